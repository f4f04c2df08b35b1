// SPDX-License-Identifier: Apache-2.0
#include <net_queue/net_queue.hpp>

int main() {
    auto queue = nq::open(nq::Protocol::tcp, nq::Purpose::client);
    queue.put("Hello, Server!");
    auto message = queue.get();
}
