// SPDX-License-Identifier: Apache-2.0
#include "handoff/baton.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "handoff/bias_script.hpp"
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

namespace {

/// Takes the baton and a number again and again, until this thread keeps the baton.
/// REQUIRES: somebody may.
std::uint64_t keep(Baton& baton) {
    for (;;) {
        const auto number = baton.try_hold_and_count();
        REQUIRE(number);
        REQUIRE(baton.keep(*number + 1));
        const auto next = baton.enter_kept();
        if (!next) continue;
        baton.leave_kept();
        CHECK(*next == *number + 1);
        return *next + 1;
    }
}

}  // namespace

TEST_CASE("a thread that takes the baton again and again keeps it") {
    if (no_favourites()) return;
    Baton baton;
    const std::uint64_t count = keep(baton);
    CHECK(count == Bias::k_favoured + 1);
    CHECK(baton.count() == count);
    CHECK(baton.enter_kept() == count);
    CHECK(baton.count() == count + 1);
    baton.leave_kept();
    std::jthread([&] { CHECK_FALSE(baton.enter_kept()); }).join();

    SUBCASE("until another one has work: it gets the baton") {
        std::jthread([&] { CHECK(baton.raise(k_read)); }).join();
        CHECK_FALSE(baton.enter_kept());
        CHECK_FALSE(baton.try_hold_and_count());
        CHECK(baton.take() == k_read);
        CHECK(baton.release());
    }
    SUBCASE("until it has work itself") {
        CHECK(baton.raise(k_read));
        CHECK_FALSE(baton.enter_kept());
        CHECK(baton.take() == k_read);
        CHECK(baton.keep(count + 1));  // and again
        CHECK(baton.enter_kept() == count + 1);
        baton.leave_kept();
    }
    SUBCASE("until another one wants a number with the baton") {
        std::jthread([&] { CHECK(baton.try_hold_and_count() == count + 1); }).join();
        CHECK_FALSE(baton.raise(k_read));
    }
    SUBCASE("until another one wants a number") {
        CHECK(baton.count_up() == count + 1);
        CHECK_FALSE(baton.enter_kept());
    }
    SUBCASE("until the count is sealed") {
        CHECK(baton.seal() == count + 1);
        CHECK_FALSE(baton.enter_kept());
        CHECK_FALSE(baton.count_up());
    }
    CHECK(baton.count() >= count + 1);
}

TEST_CASE("a baton is not kept while there is anything left to do") {
    if (no_favourites()) return;
    Baton baton;
    std::uint64_t count = keep(baton);
    CHECK(baton.raise(k_read));  // ends it
    CHECK(baton.take() == k_read);

    SUBCASE("a number that nobody is done with") {
        CHECK(baton.count_up() == count);
        CHECK(baton.keep(count));  // released
        CHECK(baton.raise(k_read));
    }
    SUBCASE("work") {
        CHECK_FALSE(baton.raise(k_write));
        CHECK_FALSE(baton.keep(count));
        CHECK(baton.take() == k_write);
    }
    SUBCASE("a sealed count") {
        CHECK(baton.seal() == count);
        CHECK(baton.keep(count));
        CHECK(baton.raise(k_read));
    }
    CHECK_FALSE(baton.enter_kept());
}

namespace {

/// The numbers of one thread.
struct Numbers {
    std::uint64_t count = 0;
    std::uint64_t kept = 0;  ///< of those
    std::uint64_t sum = 0;
    std::uint64_t last = 0;
    bool ascend = true;
    void add(std::uint64_t number) {
        ascend = ascend && (count == 0 || number > last);
        last = number;
        sum += number;
        ++count;
    }
};

}  // namespace

TEST_CASE("keepers, holders and others: one at a time works, no work is lost, no number twice") {
    constexpr int k_interruptions = 500;
    const std::uint64_t kept_min = no_favourites() ? 0 : 100'000;
    Baton baton;
    // Guarded by the baton; not atomic, so that a sanitizer sees a second one inside.
    std::uint64_t done = 0;
    Queue<int> beside;
    const auto run = [&] {
        do {
            (void)baton.take();
            for (auto batch = beside.take_all(); !batch.empty(); (void)batch.pop()) ++done;
        } while (!baton.keep(done));
    };
    // One puts without a pause, one now and then, and one only has work.
    std::atomic<bool> running{true};
    std::atomic<int> interruptions{0};
    const auto put = [&](Numbers& mine) {
        if (const auto number = baton.enter_kept()) {
            ++done;
            baton.leave_kept();
            if (*number % 250 == 0 && baton.raise(k_write)) run();
            ++mine.kept;
            mine.add(*number);
        } else if (const auto first = baton.try_hold_and_count()) {
            ++done;
            run();
            mine.add(*first);
        } else {
            mine.add(*baton.count_up());
            beside.push(1);
            if (baton.raise(k_read)) run();
        }
    };
    Numbers own;
    Numbers others;
    std::jthread other([&] {
        while (running) {
            put(others);
            ++interruptions;
            for (int i = 0; i < 5; ++i) std::this_thread::yield();
        }
    });
    std::jthread worker([&] {
        while (running) {
            if (baton.raise(k_read)) run();
            for (int i = 0; i < 5; ++i) std::this_thread::yield();
        }
    });
    while (interruptions < k_interruptions || own.kept < kept_min) put(own);
    running = false;
    other.join();
    worker.join();

    const std::uint64_t all = own.count + others.count;
    MESSAGE("numbers of keepers: " << own.kept + others.kept << " of " << all);
    CHECK(done == all);
    CHECK(baton.count() == all);
    CHECK(own.ascend);
    CHECK(others.ascend);
    CHECK(own.sum + others.sum == (all % 2 == 0 ? all / 2 * (all - 1) : (all - 1) / 2 * all));
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
