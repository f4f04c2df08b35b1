// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "handoff/wakeup.hpp"

namespace nq::detail {

/// The role of running something in turns, a reactor, that moves between threads: whoever waits for
/// what the turns bring takes the role, if it is free, and runs them itself, so that no thread has
/// to wake another. A stand-in, a thread of its own, has the role when nobody waits: a program that
/// computes for a minute still sends and receives.
///
/// Who leaves the role leaves it unattended. The stand-in takes it only if nobody came back for
/// k_grace: a loop of requests and replies never hops threads. If others wait when it is left, the
/// stand-in is called at once, and keeps the role while there is always someone else to wait.
///
/// Why nobody waits in vain: who sleeps has said so (asleep_) and then found the role held; who
/// holds it lets go and then looks whether anybody sleeps. These are two sequentially consistent
/// operations on the same two variables, so either the sleeper finds the role free and takes it, or
/// the holder sees the sleeper and calls the stand-in. And the stand-in sleeps without a deadline
/// only after it said so (wakeup_) and found the role held; who lets go looks for that afterwards.
/// So a free role is taken by the stand-in within k_grace, or by somebody else.
///
/// Once a turn was told to stop, the stand-in alone takes the role: it is called, and finds it
/// free, for who waits from then on sleeps. Thread safety: all methods, from any thread, unless
/// said otherwise.
class Role {
  public:
    using Clock = std::chrono::steady_clock;
    using Deadline = std::optional<Clock::time_point>;
    class Waiter;

    /// How long a role stays unattended: long enough for what a program does between two messages,
    /// short enough that its peers don't notice.
    static constexpr std::chrono::milliseconds k_grace{1};

    /// `turn` waits at most until a point in time, and serves what is there; false: it is stopped,
    /// and will be for ever. `interrupt` ends a wait in it.
    Role(std::function<bool(Clock::time_point)> turn, std::function<void()> interrupt)
        : turn_(std::move(turn)), interrupt_(std::move(interrupt)) {}

    /// The stand-in's thread. Returns once a turn was told to stop, and then holds the role for
    /// ever: when it has returned, nobody is inside a turn, or will be.
    void stand_in();
    /// Someone waits for the turns in another way: the stand-in takes the role at once, if it is
    /// free.
    void call();

  private:
    // Of the state: the lowest bit says that it is held, the others count how often it was taken.
    static constexpr std::uint64_t k_held = 1;
    static constexpr std::uint64_t k_taken = 2;

    [[nodiscard]] bool try_take();
    [[nodiscard]] bool try_take_to_wait();
    void leave();
    void let_go();
    void wait_unattended();
    [[nodiscard]] bool dispensable();
    [[nodiscard]] bool add_sleeper();
    void remove_sleeper();

    // Constant after construction.
    const std::function<bool(Clock::time_point)> turn_;
    const std::function<void()> interrupt_;

    // Shared.
    std::atomic<std::uint64_t> state_{0};
    std::atomic<int> asleep_{0};        ///< waiters that sleep and were not served
    std::atomic<bool> wanted_{false};   ///< a waiter slept since the stand-in took the role
    std::atomic<bool> stopped_{false};  ///< a turn of a waiter was told to stop
    Wakeup wakeup_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable stand_in_;
    bool woken_ = false;
    bool called_ = true;  ///< from the beginning: there is something to do before anybody waits
};

/// One thread's wait for something that the turns of a role bring. Lives on that thread's stack;
/// everything else about it is guarded by a mutex of whoever knows when it is served.
class Role::Waiter {
  public:
    /// Without a role it just sleeps.
    explicit Waiter(Role* role) : role_(role) {}
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    /// Waits until it is served, or until the deadline; true: served. Releases the mutex meanwhile.
    /// REQUIRES: `lock` holds the mutex.
    bool wait(std::unique_lock<std::mutex>& lock, Deadline deadline);
    /// What it waits for is there. REQUIRES: the mutex is held.
    void serve();

  private:
    enum class State { elsewhere, running, asleep };

    void run(std::unique_lock<std::mutex>& lock, Clock::time_point until);
    void wait_served(std::unique_lock<std::mutex>& lock, Deadline deadline);

    Role* const role_;
    State state_ = State::elsewhere;
    bool served_ = false;
    std::uintptr_t thread_ = 0;  ///< that runs
    std::condition_variable woken_;
};

}  // namespace nq::detail
