// SPDX-License-Identifier: Apache-2.0
// Raw octets from the user's own memory to the socket without a copy: the memory is lent to the
// queue, and a callback says when it is free again.
#include <algorithm>
#include <atomic>
#include <iostream>
#include <numeric>
#include <vector>

#include <net_queue/net_queue.hpp>

int main() {
    auto server = nq::open<nq::BytesSerializer>(nq::Protocol::tcp, nq::Purpose::server,
                                                {.netloc = {.port = 0}});
    auto client = nq::open<nq::BytesSerializer>(nq::Protocol::tcp, nq::Purpose::client,
                                                {.netloc = server.options().netloc});

    std::vector<int> numbers(1'000'000);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::atomic<bool> released = false;

    auto future = client.put(
        nq::Chunk::borrow(std::as_bytes(std::span(numbers)), [&released] { released = true; }));
    const auto message = server.get();
    future.get();  // the transport has taken all of it: `numbers` may change from here on

    const bool equal = std::ranges::equal(message.data.octets(), std::as_bytes(std::span(numbers)));
    std::cout << message.data.size() << " octets from " << message.peer.to_string() << '\n';

    client.close();
    server.close();
    std::cout << "the memory " << (released ? "came back" : "is still lent") << '\n';
    return equal && released ? 0 : 1;
}
