// SPDX-License-Identifier: Apache-2.0
#include <net_queue/net_queue.hpp>

int main() {
    auto queue = nq::open(nq::Protocol::tcp, nq::Purpose::server);
    auto message = queue.get();  // {peer, data}
    queue.put("Hello, Client!");
}  // closes: flushes, waits for the clients
