// SPDX-License-Identifier: Apache-2.0
// Thread-safe throughout: many threads on one communicator.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "network.hpp"

namespace nq::api {

namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int k_each = 2'000;
#else
constexpr int k_each = 20'000;
#endif
constexpr int k_threads = 8;

/// "thread number"
struct Said {
    int thread = 0;
    int number = 0;
};

Said parse(const std::string& text) {
    const auto space = text.find(' ');
    return {std::stoi(text.substr(0, space)), std::stoi(text.substr(space + 1))};
}

/// What one getter heard of each putting thread.
using Heard = std::array<std::vector<int>, k_threads>;

void check(const std::vector<Heard>& heard) {
    for (std::size_t thread = 0; thread < k_threads; ++thread) {
        std::vector<int> all;
        for (const Heard& getter : heard) {
            CHECK(std::is_sorted(getter[thread].begin(), getter[thread].end()));
            all.insert(all.end(), getter[thread].begin(), getter[thread].end());
        }
        std::sort(all.begin(), all.end());
        REQUIRE(all.size() == k_each);
        for (int i = 0; i < k_each; ++i) REQUIRE(all[static_cast<std::size_t>(i)] == i);
    }
}

/// Eight threads put on one queue while eight get on another.
void converse(TextQueue& from, TextQueue& to) {
    std::vector<Heard> heard(k_threads);
    std::atomic<int> left{k_threads * k_each};
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < k_threads; ++thread) {
        threads.emplace_back([&from, thread] {
            for (int i = 0; i < k_each; ++i) {
                from.put(std::to_string(thread) + " " + std::to_string(i));
            }
        });
        threads.emplace_back([&to, &left, &mine = heard[static_cast<std::size_t>(thread)]] {
            // Whoever takes a number from `left` may wait for one more message.
            while (left.fetch_sub(1) > 0) {
                const Said said = parse(hear(to));
                mine[static_cast<std::size_t>(said.thread)].push_back(said.number);
            }
        });
    }
    threads.clear();
    check(heard);
}

}  // namespace

ON_EVERY_TRANSPORT(
    "8 threads put and 8 get: nothing lost, each putter's messages in ascending order") {
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    converse(client, server);
    converse(server, client);
}

ON_EVERY_TRANSPORT("8 threads put and 8 get on one communicator at the same time, both ways") {
    auto server = network.server({.workers = 2});
    auto client = network.client();
    REQUIRE(meet(server, client));
    std::jthread there([&] { converse(client, server); });
    converse(server, client);
}

ON_EVERY_TRANSPORT("threads put, get, cancel, ask and come and go at the same time") {
    auto server = network.server({.workers = 2, .session_expiry = std::chrono::milliseconds(5)});
    std::atomic<bool> stop{false};
    std::atomic<int> echoed{0};
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
        while (!stop) {
            const auto message = server.get_for(std::chrono::milliseconds(5));
            if (message) server.put(message->data, message->peer);
        }
    });
    threads.emplace_back([&] {
        while (!stop) {
            (void)server.put("to all").cancel();
            (void)server.peers();
            for (const PeerStats& each : server.stats().peers) {
                if (each.queued_messages < 100) (void)server.put("to you", each.peer).ready();
            }
            std::this_thread::yield();
        }
    });
    std::vector<std::jthread> guests;
    for (int guest = 0; guest < 3; ++guest) {
        guests.emplace_back([&] {
            for (int visit = 0; visit < 10; ++visit) {
                auto client = network.client();
                client.put("mine");
                while (hear(client) != "mine") {
                }
                ++echoed;
            }
        });
    }
    guests.clear();
    stop = true;
    threads.clear();
    CHECK(echoed == 30);
}

}  // namespace nq::api
