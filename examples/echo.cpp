// SPDX-License-Identifier: Apache-2.0
// One server that sends back whatever comes, and many clients at once.
#include <iostream>
#include <thread>
#include <vector>

#include <net_queue/net_queue.hpp>

namespace {

constexpr int k_clients = 20;
constexpr int k_messages = 50;

// Answers whoever asked, until the queue is closed.
void serve(nq::Queue& queue) {
    try {
        for (;;) {
            auto message = queue.get();
            queue.put(message.data, message.peer);
        }
    } catch (const nq::ConnectionAborted&) {
        // closed: that is how this loop ends
    }
}

// Returns how many messages came back as they went.
int ask(const nq::NetworkLocation& server) {
    auto queue = nq::open(nq::Protocol::tcp, nq::Purpose::client, {.netloc = server});
    int right = 0;
    for (int i = 0; i < k_messages; ++i) {
        queue.put(i);
        right += queue.get().data.as_int() == i ? 1 : 0;
    }
    return right;
}

}  // namespace

int main() {
    auto queue = nq::open(nq::Protocol::tcp, nq::Purpose::server, {.netloc = {.port = 0}});
    std::thread server(serve, std::ref(queue));

    std::vector<int> right(k_clients);
    std::vector<std::thread> clients;
    for (int i = 0; i < k_clients; ++i) {
        clients.emplace_back([&right, i, &queue] {
            right[static_cast<std::size_t>(i)] = ask(queue.options().netloc);
        });
    }
    for (auto& client : clients) client.join();
    queue.close();
    server.join();

    int total = 0;
    for (const int each : right) total += each;
    std::cout << total << " of " << k_clients * k_messages << " messages came back\n";
    return total == k_clients * k_messages ? 0 : 1;
}
