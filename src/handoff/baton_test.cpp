// SPDX-License-Identifier: Apache-2.0
#include "handoff/baton.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "handoff/queue.hpp"

namespace nq::detail {

namespace {
constexpr Baton::Work k_read = 1;
constexpr Baton::Work k_write = 2;
}  // namespace

TEST_CASE("who raises first holds the baton, the others leave their work") {
    Baton baton;
    CHECK(baton.raise(k_read));
    CHECK_FALSE(baton.raise(k_write));
    CHECK(baton.take() == (k_read | k_write));
    CHECK(baton.take() == 0);
    CHECK_FALSE(baton.raise(k_read));
    CHECK_FALSE(baton.release());  // there is new work
    CHECK(baton.take() == k_read);
    CHECK(baton.release());
    CHECK(baton.raise(k_write));  // free again
}

TEST_CASE("many raisers: one at a time works, and no work is lost") {
    constexpr int k_threads = 4;
    constexpr int k_rounds = 20'000;
    Baton baton;
    Queue<int> work;
    int done = 0;  // guarded by the baton; not atomic, so that a sanitizer sees a second holder
    std::atomic<bool> inside{false};
    std::atomic<int> crowded{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < k_rounds; ++i) {
                work.push(1);
                if (!baton.raise(k_read)) continue;
                do {
                    if (inside.exchange(true)) ++crowded;
                    if ((baton.take() & k_read) != 0) {
                        for (auto batch = work.take_all(); !batch.empty();) done += batch.pop();
                    }
                    inside = false;
                } while (!baton.release());
            }
        });
    }
    threads.clear();
    CHECK(crowded == 0);
    CHECK(work.empty());
    CHECK(done == k_threads * k_rounds);
    CHECK(baton.raise(k_write));  // nobody holds it
}

TEST_CASE("the baton and a number are taken in one, if nobody has the baton") {
    Baton baton;
    CHECK(baton.try_hold_and_count() == 0);
    CHECK_FALSE(baton.try_hold_and_count());
    CHECK(baton.count_up() == 1);  // without the baton
    CHECK_FALSE(baton.raise(k_read));
    CHECK_FALSE(baton.release());
    CHECK(baton.take() == k_read);
    CHECK(baton.count() == 2);
    CHECK(baton.release());
    CHECK(baton.try_hold_and_count() == 2);
    CHECK(baton.release());
    CHECK(baton.raise(k_write));
    CHECK(baton.take() == k_write);
    CHECK(baton.release());
    CHECK(baton.count() == 3);
}

TEST_CASE("a sealed count gives no number, and says how many it gave; the baton goes on") {
    Baton baton;
    CHECK(baton.count_up() == 0);
    CHECK(baton.seal() == 1);
    CHECK_FALSE(baton.count_up());
    CHECK_FALSE(baton.try_hold_and_count());
    CHECK(baton.count() == 1);
    CHECK(baton.seal() == 1);
    CHECK(baton.raise(k_read));
    CHECK(baton.take() == k_read);
    CHECK(baton.release());
}

TEST_CASE("numbers are given once, to holders and others alike, and disturb no hand-over") {
    constexpr int k_threads = 4;
    constexpr std::uint64_t k_rounds = 20'000;
    Baton baton;
    std::uint64_t held = 0;  // guarded by the baton
    std::vector<std::vector<std::uint64_t>> numbers(k_threads);
    std::vector<std::jthread> threads;
    for (auto& mine : numbers) {
        threads.emplace_back([&] {
            while (mine.size() < k_rounds) {
                if (const auto number = baton.try_hold_and_count()) {
                    mine.push_back(*number);
                    do {
                        ++held;
                    } while (!baton.release());
                } else {
                    mine.push_back(*baton.count_up());
                }
            }
        });
    }
    threads.clear();
    std::vector<bool> given(k_threads * k_rounds);
    for (const auto& mine : numbers) {
        CHECK(std::ranges::is_sorted(mine));
        for (const std::uint64_t number : mine) given.at(number) = true;
    }
    CHECK(std::ranges::count(given, true) == k_threads * k_rounds);
    CHECK(held > 0);
    CHECK(baton.count() == k_threads * k_rounds);
}

TEST_CASE("a baton can be passed on to another thread") {
    Baton baton;
    int state = 0;
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(baton.raise(k_read));
        ++state;
        std::jthread([&] {
            do {
                if ((baton.take() & k_read) != 0) ++state;
            } while (!baton.release());
        }).join();
    }
    CHECK(state == 2000);
}

}  // namespace nq::detail
