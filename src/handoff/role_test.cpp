// SPDX-License-Identifier: Apache-2.0
#include "handoff/role.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <list>
#include <thread>
#include <vector>

namespace nq::detail {
namespace {

using std::chrono::minutes;

/// What stands for a reactor: tasks that any thread may post, run in turns by whoever has the role.
/// And what the tasks bring: numbers, to be taken in order.
class Works {
  public:
    ~Works() { stop(); }

    Role role{[this](Role::Clock::time_point until) { return turn(until); },
              [this] { post([] {}); }};

    void start() {
        thread_ = std::thread([this] { role.stand_in(); });
    }
    void stop() {
        if (!thread_.joinable()) return;
        post([this] { stopped_ = true; });
        thread_.join();
    }
    void post(std::function<void()> task) {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
        posted_.notify_one();
    }
    /// A turn brings a number.
    void bring(int number) {
        post([this, number] {
            const std::lock_guard lock(goods_mutex_);
            runner_ = std::this_thread::get_id();
            goods_.push_back(number);
            if (waiters_.empty()) return;
            waiters_.front()->serve();
            waiters_.pop_front();
        });
    }
    /// Waits for a number; -1: not in time.
    int take(Role::Deadline deadline = std::nullopt) {
        std::unique_lock lock(goods_mutex_);
        while (goods_.empty()) {
            Role::Waiter waiter(&role);
            waiters_.push_back(&waiter);
            if (waiter.wait(lock, deadline)) continue;
            waiters_.remove(&waiter);
            return -1;
        }
        const int number = goods_.front();
        goods_.pop_front();
        return number;
    }
    /// Brings a number beside the turns, as whoever closes does once they are stopped.
    void bring_at_once(int number) {
        const std::lock_guard lock(goods_mutex_);
        goods_.push_back(number);
        for (Role::Waiter* const waiter : waiters_) waiter->serve();
        waiters_.clear();
    }
    /// The thread that brought the last number.
    std::thread::id runner() {
        const std::lock_guard lock(goods_mutex_);
        return runner_;
    }
    std::thread::id stand_in() const { return thread_.get_id(); }
    /// Two turns at once, at any time.
    bool overlapped() const { return overlapped_; }

  private:
    bool turn(Role::Clock::time_point until) {
        if (inside_.exchange(true)) overlapped_ = true;
        std::deque<std::function<void()>> tasks;
        {
            std::unique_lock lock(mutex_);
            // As epoll_wait, which no point in time is too far for.
            until = std::min(until, Role::Clock::now() + minutes(10));
            posted_.wait_until(lock, until, [this] { return !tasks_.empty() || stopped_; });
            tasks.swap(tasks_);
        }
        for (const auto& task : tasks) task();
        const bool more = !stopped_;
        inside_ = false;
        return more;
    }

    std::mutex mutex_;
    std::condition_variable posted_;
    std::deque<std::function<void()>> tasks_;
    bool stopped_ = false;
    std::atomic<bool> inside_{false};
    std::atomic<bool> overlapped_{false};

    std::mutex goods_mutex_;
    std::deque<int> goods_;
    std::list<Role::Waiter*> waiters_;
    std::thread::id runner_;
    std::thread thread_;
};

Role::Deadline in(std::chrono::milliseconds delay) { return Role::Clock::now() + delay; }

TEST_CASE("who waits runs the turns itself") {
    Works works;
    works.bring(1);
    CHECK(works.take() == 1);
    CHECK(works.runner() == std::this_thread::get_id());
}

TEST_CASE("who waits with a deadline waits no longer") {
    Works works;
    const auto begun = Role::Clock::now();
    CHECK(works.take(in(std::chrono::milliseconds(20))) == -1);
    CHECK(Role::Clock::now() - begun >= std::chrono::milliseconds(20));
}

TEST_CASE("where nobody waits the stand-in runs them") {
    Works works;
    works.start();
    works.bring(1);
    while (works.runner() != works.stand_in()) std::this_thread::yield();
    CHECK(works.take() == 1);
}

TEST_CASE("the stand-in takes over from one that stays away, and gives it back to who returns") {
    Works works;
    works.start();
    for (int i = 0; i < 3; ++i) {
        works.bring(1);
        while (works.runner() != works.stand_in()) std::this_thread::yield();
        // Served by the stand-in while it slept, from then on it does so itself: it may take some
        // numbers until the stand-in has seen that somebody waits.
        std::jthread feeder([&works](const std::stop_token& enough) {
            for (int number = 2; !enough.stop_requested(); ++number) {
                works.bring(number);
                std::this_thread::yield();
            }
        });
        while (works.runner() != std::this_thread::get_id()) (void)works.take();
    }
}

TEST_CASE("when two wait, and the one with the role leaves, the other is served") {
    Works works;
    works.start();
    for (int i = 0; i < 200; ++i) {
        int first = 0;
        int second = 0;
        {
            const std::jthread one([&works, &first] { first = works.take(); });
            const std::jthread two([&works, &second] { second = works.take(); });
            works.bring(1);
            works.bring(2);
        }
        REQUIRE(first + second == 3);
    }
}

TEST_CASE("one that is served by another thread while it runs a turn is told") {
    Works works;
    std::mutex mutex;
    Role::Waiter waiter(&works.role);
    std::jthread server;
    std::unique_lock lock(mutex);
    works.post([&mutex, &waiter, &server] {
        server = std::jthread([&mutex, &waiter] {
            const std::lock_guard served(mutex);
            waiter.serve();
        });
    });
    CHECK(waiter.wait(lock, std::nullopt));  // the next turn has nothing to wake up for
}

TEST_CASE("stopped, nobody runs a turn any more, and who waits is not kept beyond its deadline") {
    Works works;
    works.start();
    int taken = 0;
    {
        const std::jthread waiting(
            [&works, &taken] { taken = works.take(in(std::chrono::milliseconds(50))); });
        works.stop();
    }
    CHECK(taken == -1);
    works.bring(1);
    CHECK(works.take(in(std::chrono::milliseconds(1))) == -1);
}

TEST_CASE("stopped while some wait as long as it takes: the stand-in ends, and they are served") {
    for (int round = 0; round < 100; ++round) {
        Works works;
        works.start();
        int first = 0;
        int second = 0;
        {
            const std::jthread one([&works, &first] { first = works.take(); });
            const std::jthread two([&works, &second, round] {
                second = round % 2 == 0 ? 1 : works.take();  // one alone, or two
            });
            if (round % 4 < 2) std::this_thread::yield();
            works.stop();
            works.bring_at_once(1);
            works.bring_at_once(1);
        }
        REQUIRE(first + second == 2);
    }
}

TEST_CASE("stress: many wait, come and go, one after another, and all is taken") {
    Works works;
    works.start();
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    constexpr int k_numbers = 5'000;
#else
    constexpr int k_numbers = 50'000;
#endif
    constexpr int k_takers = 4;
    std::atomic<int> left{k_numbers};
    std::atomic<long> sum{0};
    std::vector<std::jthread> takers;
    for (int taker = 0; taker < k_takers; ++taker) {
        takers.emplace_back([&works, &left, &sum, taker] {
            // One of them goes to work longer than the role is left unattended, now and then.
            while (left.fetch_sub(1) > 0) {
                sum += works.take();
                if (taker == 0 && left % 1024 == 0) {
                    const auto until = Role::Clock::now() + 2 * Role::k_grace;
                    while (Role::Clock::now() < until) std::this_thread::yield();
                }
            }
        });
    }
    for (int number = 1; number <= k_numbers; ++number) {
        works.bring(number);
        if (number % 64 == 0) std::this_thread::yield();
    }
    takers.clear();
    CHECK(sum == long{k_numbers} * (k_numbers + 1) / 2);
    CHECK_FALSE(works.overlapped());
}

}  // namespace
}  // namespace nq::detail
