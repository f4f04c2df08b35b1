// SPDX-License-Identifier: Apache-2.0
#include "handoff/queue.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace nq::detail {

TEST_CASE("a queue hands out what was pushed, oldest first") {
    Queue<int> queue;
    CHECK(queue.empty());
    CHECK(queue.take_all().empty());
    CHECK(queue.push(1));  // the first one is told to wake the consumer
    CHECK_FALSE(queue.push(2));
    CHECK_FALSE(queue.empty());
    auto batch = queue.take_all();
    CHECK(queue.empty());
    CHECK(queue.push(3));
    CHECK(batch.pop() == 1);
    CHECK(batch.pop() == 2);
    CHECK(batch.empty());
    CHECK(queue.take_all().pop() == 3);
}

TEST_CASE("what is left in a queue or a batch goes with it") {
    const auto value = std::make_shared<int>(0);
    {
        Queue<std::shared_ptr<int>> queue;
        for (int i = 0; i < 4; ++i) queue.push(value);
        auto batch = queue.take_all();
        (void)batch.pop();
        queue.push(value);
        CHECK(value.use_count() == 5);
    }
    CHECK(value.use_count() == 1);
}

TEST_CASE("a queue takes values that can only be moved") {
    Queue<std::unique_ptr<int>> queue;
    queue.push(std::make_unique<int>(7));
    CHECK(*queue.take_all().pop() == 7);
}

TEST_CASE("eight producers: each one's order is kept and nothing is lost") {
    constexpr std::size_t k_producers = 8;
    constexpr int k_items = 20'000;
    struct Item {
        std::size_t producer;
        int number;
        std::unique_ptr<int> payload;  // a race on it would be seen by a sanitizer
    };
    Queue<Item> queue;
    std::array<int, k_producers> next{};
    std::vector<std::jthread> producers;
    for (std::size_t p = 0; p < k_producers; ++p) {
        producers.emplace_back([&queue, p] {
            for (int i = 0; i < k_items; ++i) queue.push({p, i, std::make_unique<int>(i)});
        });
    }
    int misplaced = 0;
    std::size_t count = 0;
    while (count < k_producers * k_items) {
        auto batch = queue.take_all();
        if (batch.empty()) std::this_thread::yield();
        while (!batch.empty()) {
            const Item item = batch.pop();
            if (item.number != next[item.producer]++ || *item.payload != item.number) ++misplaced;
            ++count;
        }
    }
    CHECK(misplaced == 0);
    CHECK(queue.empty());
}

TEST_CASE("exactly one push of each burst is told that the queue was empty") {
    constexpr int k_items = 20'000;
    Queue<int> queue;
    std::atomic<int> firsts{0};
    std::atomic<int> running{4};
    std::vector<std::jthread> producers;
    for (int p = 0; p < 4; ++p) {
        producers.emplace_back([&] {
            for (int i = 0; i < k_items; ++i) {
                if (queue.push(i)) ++firsts;
            }
            --running;
        });
    }
    int bursts = 0;
    int count = 0;
    while (running > 0 || !queue.empty()) {
        auto batch = queue.take_all();
        if (batch.empty()) std::this_thread::yield();
        if (!batch.empty()) ++bursts;
        for (; !batch.empty(); ++count) (void)batch.pop();
    }
    CHECK(count == 4 * k_items);
    CHECK(firsts == bursts);
}

}  // namespace nq::detail
