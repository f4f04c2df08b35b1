// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "buffer/ring.hpp"
#include "handoff/queue.hpp"
#include "handoff/wakeup.hpp"
#include "io/limits.hpp"

struct epoll_event;

namespace nq::detail {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// Waits for file descriptors, deadlines and tasks from other threads, and calls what they concern,
/// one call after the other. Built on epoll(7), edge-triggered, with an eventfd(2) to end a wait.
///
/// A thread that sleeps has to be woken, and so does its processor: that takes longer than most
/// answers do. So if what the last wait was for came within `busy_poll`, the next one looks again
/// and again for as long before it sleeps, and lets other threads have the processor in between.
///
/// A round is short: who receives says how much (`count_work`), and leaves the rest to another turn
/// once all together have received limits::k_round_work. Turns come in the order in which they were
/// asked for.
///
/// Owns the sources it watches until `unwatch`. Outlives every object that posts to it and every
/// armed Timer; tasks still queued when it is destroyed are dropped unrun.
/// Thread safety: post, stop and on_reactor_thread from any thread; everything else on the reactor
/// thread (the one inside `run`), or before `run` is called. Callbacks run on the reactor thread
/// and must neither block nor throw.
class Reactor {
  public:
    using Task = std::function<void()>;

    /// Someone interested in a descriptor.
    class Source {
      public:
        virtual ~Source() = default;
        /// The descriptor became readable or writable, or failed (then both are true), since the
        /// last call. Edge-triggered: use it until it would block, or remember that it is ready.
        virtual void handle_ready(bool readable, bool writable) = 0;
        /// The peer finished sending, or (both_directions) the descriptor failed or is shut both
        /// ways. Comes just before the handle_ready of the same event, and maybe more than once.
        virtual void handle_hangup(bool both_directions) { (void)both_directions; }
        /// The reactor is destroyed while it watches this source: nothing more will come, and what
        /// the source keeps for the reactor's sake has to go now.
        virtual void handle_reactor_gone() {}
    };

    /// A deadline; movable, cancelled when dropped. Belongs to the reactor thread.
    class Timer {
      public:
        Timer() = default;
        Timer(Timer&& other) noexcept;
        Timer& operator=(Timer&& other) noexcept;
        ~Timer() { cancel(); }
        void cancel() noexcept;
        /// Still to come: neither cancelled nor run (nor running).
        [[nodiscard]] bool armed() const noexcept;

      private:
        friend class Reactor;
        Reactor* reactor_ = nullptr;
        std::uint64_t id_ = 0;
        TimePoint due_;
    };

    /// Throws std::system_error where the system gives no descriptors.
    explicit Reactor(Duration busy_poll = Duration::zero());
    ~Reactor();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    /// Runs `task` on the reactor thread, in the order posted; wakes the reactor if it sleeps.
    void post(Task task);
    /// After `run` returned for good: runs the tasks left, and from now on `post` runs them, on the
    /// thread that posts. So no task is ever left lying, whoever posts how late.
    void retire();
    /// Makes `run` return once the tasks posted before have run.
    void stop();
    [[nodiscard]] bool on_reactor_thread() const noexcept;

    /// Serves until stopped. A signal that interrupts a wait does not end it.
    void run();
    /// One round: waits at most until `until` (nothing to do: at once if in the past), then serves
    /// what is there. A signal ends the wait, so a user's thread may look after it. Returns false
    /// once stopped.
    bool run_once(TimePoint until);

    /// So many octets were received, or what costs as much was done.
    void count_work(std::uint64_t amount) noexcept { work_ += amount; }
    /// Who could go on should ask for another turn.
    [[nodiscard]] bool round_over() const noexcept { return work_ >= limits::k_round_work; }
    /// What was done so far does not count, for who can't wait for another round.
    void extend_round() noexcept { work_ = 0; }
    /// Runs `task` in a later round, after the turns that others have asked for. Throws
    /// std::bad_alloc.
    void take_turn(Task task) { turns_.push_back(std::move(task)); }

    /// Reports readiness of `fd` to `source` from now on. Throws std::system_error.
    /// REQUIRES: `fd` is not watched already.
    void watch(int fd, std::shared_ptr<Source> source);
    /// No more calls for `fd`, those already waiting included. Call before closing it. A descriptor
    /// that is not watched is left alone.
    void unwatch(int fd) noexcept;

    /// Calls `task` once at `due` or soon after: if not busy, within what the kernel takes to wake
    /// a thread; a millisecond more before Linux 5.11.
    [[nodiscard]] Timer call_at(TimePoint due, Task task);
    [[nodiscard]] Timer call_after(Duration delay, Task task);
    /// When this round began: good enough for deadlines, and free.
    [[nodiscard]] TimePoint now() const noexcept { return now_; }

  private:
    struct Watch {
        std::shared_ptr<Source> source;
        std::uint32_t generation = 0;
    };
    using TimerKey = std::pair<TimePoint, std::uint64_t>;

    int wait(TimePoint until, epoll_event* events, int events_max);
    int block_until(TimePoint until, epoll_event* events, int events_max);
    int poll_until(TimePoint until, epoll_event* events, int events_max);
    void run_tasks();
    void run_tasks_retired();
    void run_timers();
    void run_turns();
    void serve(int ready, const epoll_event* events);
    [[nodiscard]] std::shared_ptr<Source> find(int fd, std::uint32_t generation) const;
    int wait_for(Duration wait, epoll_event* events, int events_max);
    [[nodiscard]] Duration wait_until(TimePoint until) const;

    // Constant after construction.
    const Duration busy_poll_;
    int epoll_ = -1;
    int event_ = -1;

    // Belong to the reactor thread.
    std::vector<Watch> watches_;  // by descriptor
    Ring<Task> turns_;
    std::uint64_t work_ = 0;  ///< done in this round
    std::map<TimerKey, Task> timers_;
    std::uint64_t next_timer_ = 0;
    TimePoint now_;
    Duration quiet_{};    ///< how long it has waited since something came
    bool polls_ = false;  ///< what came last came soon
    bool stopped_ = false;
    bool fine_waits_ = true;  ///< the kernel has epoll_pwait2(2)

    // Shared.
    std::atomic<std::uint64_t> thread_{0};  // who is inside run, 0: nobody
    Queue<Task> tasks_;
    Wakeup wakeup_;
    std::atomic<bool> retired_{false};
    std::mutex retired_mutex_;  ///< held by the thread that runs the tasks of a retired reactor
};

}  // namespace nq::detail
