// SPDX-License-Identifier: Apache-2.0
#include "handoff/wakeup.hpp"

#include <doctest/doctest.h>

#include <semaphore>
#include <thread>
#include <vector>

#include "handoff/queue.hpp"

namespace nq::detail {

TEST_CASE("nobody is woken who does not sleep, and a sleeper once") {
    Wakeup wakeup;
    CHECK_FALSE(wakeup.notify());
    wakeup.prepare();
    CHECK(wakeup.notify());
    CHECK_FALSE(wakeup.notify());
    wakeup.prepare();
    wakeup.cancel();
    CHECK_FALSE(wakeup.notify());
}

TEST_CASE("no wake-up is lost, and there are at most as many as sleeps") {
    constexpr int k_notifiers = 3;
    constexpr int k_items = 20'000;
    Wakeup wakeup;
    Queue<int> queue;
    std::counting_semaphore<> bell(0);
    std::atomic<int> calls{0};
    std::vector<std::jthread> notifiers;
    for (int n = 0; n < k_notifiers; ++n) {
        notifiers.emplace_back([&] {
            for (int i = 0; i < k_items; ++i) {
                queue.push(i);
                if (!wakeup.notify()) continue;
                ++calls;
                bell.release();
            }
        });
    }
    int sleeps = 0;
    int count = 0;
    bool lost = false;
    while (count < k_notifiers * k_items && !lost) {
        wakeup.prepare();
        ++sleeps;
        if (queue.empty()) lost = !bell.try_acquire_for(std::chrono::seconds(60));
        wakeup.cancel();
        for (auto batch = queue.take_all(); !batch.empty(); ++count) (void)batch.pop();
    }
    CHECK_FALSE(lost);
    notifiers.clear();
    CHECK(count == k_notifiers * k_items);
    CHECK(calls <= sleeps);
}

}  // namespace nq::detail
