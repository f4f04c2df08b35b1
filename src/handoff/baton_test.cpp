// SPDX-License-Identifier: Apache-2.0
#include "handoff/baton.hpp"

#include <doctest/doctest.h>

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
