// SPDX-License-Identifier: Apache-2.0
#include "io/reactor.hpp"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <system_error>

#include "handoff/this_thread.hpp"

namespace nq::detail {

namespace {

using Clock = std::chrono::steady_clock;

/// Events fetched at once: 3 KiB of stack, and few enough that timers and tasks are not kept
/// waiting long by a crowd of busy connections.
constexpr int k_events_max = 256;
constexpr std::uint32_t k_interest = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
/// Marks the event of the eventfd; no descriptor is that large.
constexpr std::uint64_t k_wakeup_key = ~std::uint64_t{0};
/// A longer wait is cut to this; the next round waits for the rest.
constexpr Duration k_wait_max = std::chrono::hours(1);

std::uint64_t event_key(int fd, std::uint32_t generation) {
    return std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(fd);
}

[[noreturn]] void throw_errno(const char* what) {
    throw std::system_error(errno, std::system_category(), what);
}

}  // namespace

Reactor::Timer::Timer(Timer&& other) noexcept
    : reactor_(std::exchange(other.reactor_, nullptr)), id_(other.id_), due_(other.due_) {}

Reactor::Timer& Reactor::Timer::operator=(Timer&& other) noexcept {
    if (this == &other) return *this;
    cancel();
    reactor_ = std::exchange(other.reactor_, nullptr);
    id_ = other.id_;
    due_ = other.due_;
    return *this;
}

void Reactor::Timer::cancel() noexcept {
    if (reactor_ == nullptr) return;
    Reactor& reactor = *std::exchange(reactor_, nullptr);
    // Extracted, not erased: what the task owns may cancel timers when it goes.
    const auto node = reactor.timers_.extract(TimerKey(due_, id_));
}

bool Reactor::Timer::armed() const noexcept {
    return reactor_ != nullptr && reactor_->timers_.contains(TimerKey(due_, id_));
}

Reactor::Reactor(Duration busy_poll) : busy_poll_(busy_poll), now_(Clock::now()) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw_errno("cannot create a reactor: epoll_create1");
    event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_event interest{};
    interest.events = EPOLLIN | EPOLLET;
    interest.data.u64 = k_wakeup_key;
    if (event_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &interest) != 0) {
        const int error = errno;
        if (event_ >= 0) ::close(event_);
        ::close(epoll_);
        throw std::system_error(error, std::system_category(), "cannot create a reactor: eventfd");
    }
}

Reactor::~Reactor() {
    for (std::size_t fd = 0; fd < watches_.size(); ++fd) {
        const auto source = std::exchange(watches_[fd].source, nullptr);
        if (source) source->handle_reactor_gone();
    }
    // What is dropped may own what posts or cancels, so one at a time and until nothing is left.
    do {
        (void)tasks_.take_all();
        while (!turns_.empty()) {
            const Task turn = std::move(turns_.front());
            turns_.pop_front();
        }
        while (!timers_.empty()) (void)timers_.extract(timers_.begin());
    } while (!tasks_.empty() || !turns_.empty());
    ::close(event_);
    ::close(epoll_);
}

void Reactor::post(Task task) {
    tasks_.push(std::move(task));
    // seq_cst, as the push: either this sees that the reactor retired, or retire sees the task.
    if (retired_.load(std::memory_order_seq_cst)) return run_tasks_retired();
    if (!wakeup_.notify()) return;
    // Never read: edge-triggered, each write is an event of its own, and 2^64 - 2 of them fit.
    const std::uint64_t one = 1;
    while (::write(event_, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void Reactor::stop() {
    post([this] { stopped_ = true; });
}

bool Reactor::on_reactor_thread() const noexcept {
    // relaxed: a thread looks only for its own number, which it stored itself or which isn't there.
    return thread_.load(std::memory_order_relaxed) == this_thread();
}

void Reactor::run() {
    while (run_once(TimePoint::max())) {
    }
}

bool Reactor::run_once(TimePoint until) {
    // relaxed, here and below: see on_reactor_thread.
    thread_.store(this_thread(), std::memory_order_relaxed);
    std::array<epoll_event, k_events_max> events;
    const int ready = wait(until, events.data(), k_events_max);
    work_ = 0;
    run_turns();
    serve(ready, events.data());
    run_timers();
    run_tasks();
    thread_.store(0, std::memory_order_relaxed);
    return !stopped_;
}

int Reactor::wait(TimePoint until, epoll_event* events, int events_max) {
    if (stopped_ || !tasks_.empty() || !turns_.empty()) {
        const int ready = wait_for(Duration::zero(), events, events_max);
        now_ = Clock::now();
        return ready;
    }
    const TimePoint begun = Clock::now();
    const TimePoint patience = begun + busy_poll_ - quiet_;
    int ready = polls_ ? poll_until(std::min(until, patience), events, events_max) : 0;
    if (ready == 0 && tasks_.empty()) ready = block_until(until, events, events_max);
    now_ = Clock::now();
    // A wait that only a deadline ended goes on in the next one.
    const bool came = ready > 0 || !tasks_.empty();
    quiet_ += now_ - begun;
    polls_ = quiet_ < busy_poll_ && (polls_ || came);
    if (came) quiet_ = Duration::zero();
    return ready;
}

int Reactor::block_until(TimePoint until, epoll_event* events, int events_max) {
    Duration wait = wait_until(until);
    wakeup_.prepare();
    if (!tasks_.empty()) wait = Duration::zero();  // posted before they could see this side asleep
    const int ready = wait_for(wait, events, events_max);
    wakeup_.cancel();
    return ready;
}

// Returns as soon as there is anything to do, or with 0.
int Reactor::poll_until(TimePoint until, epoll_event* events, int events_max) {
    if (!timers_.empty()) until = std::min(until, timers_.begin()->first.first);
    for (;;) {
        const int ready = wait_for(Duration::zero(), events, events_max);
        if (ready != 0 || !tasks_.empty() || Clock::now() >= until) return ready;
        (void)::sched_yield();
    }
}

int Reactor::wait_for(Duration wait, epoll_event* events, int events_max) {
    if (fine_waits_) {
        const auto whole = std::chrono::floor<std::chrono::seconds>(wait);
        const timespec time{whole.count(), (wait - whole) / std::chrono::nanoseconds(1)};
        const int ready = ::epoll_pwait2(epoll_, events, events_max, &time, nullptr);
        assert(ready >= 0 || errno == EINTR || errno == ENOSYS);
        if (ready >= 0 || errno != ENOSYS) return ready;
        fine_waits_ = false;
    }
    // Rounded up: rounding down would spin through the last part of a millisecond.
    const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(wait);
    const int ready = ::epoll_wait(epoll_, events, events_max, static_cast<int>(wait_ms.count()));
    assert(ready >= 0 || errno == EINTR);
    return ready;
}

Duration Reactor::wait_until(TimePoint until) const {
    if (!timers_.empty()) until = std::min(until, timers_.begin()->first.first);
    if (until == TimePoint::max()) return k_wait_max;
    return std::clamp<Duration>(until - Clock::now(), Duration{0}, k_wait_max);
}

void Reactor::serve(int ready, const epoll_event* events) {
    constexpr std::uint32_t k_over = EPOLLERR | EPOLLHUP;
    for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[i];
        if (event.data.u64 == k_wakeup_key) continue;
        const auto fd = static_cast<int>(event.data.u64 & 0xffffffff);
        const auto generation = static_cast<std::uint32_t>(event.data.u64 >> 32);
        // A share of the source for the length of the calls: it may unwatch itself.
        auto source = find(fd, generation);
        if (source == nullptr) continue;
        if ((event.events & (k_over | EPOLLRDHUP)) != 0) {
            source->handle_hangup((event.events & k_over) != 0);
            if (find(fd, generation) == nullptr) continue;
        }
        source->handle_ready((event.events & (EPOLLIN | EPOLLRDHUP | k_over)) != 0,
                             (event.events & (EPOLLOUT | k_over)) != 0);
    }
}

// Before the events: who becomes ready now finds the round over, if those who waited fill it, and
// gets in line behind them.
void Reactor::run_turns() {
    for (std::size_t count = turns_.size(); count > 0 && !round_over(); --count) {
        const Task turn = std::move(turns_.front());
        turns_.pop_front();
        turn();
    }
    if (turns_.empty()) turns_.trim();
}

std::shared_ptr<Reactor::Source> Reactor::find(int fd, std::uint32_t generation) const {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= watches_.size() || watches_[index].generation != generation) return nullptr;
    return watches_[index].source;
}

void Reactor::run_timers() {
    // Those armed by the tasks run here wait for the next round, even if due: nobody can keep
    // descriptors from being served.
    const std::uint64_t limit = next_timer_;
    while (!timers_.empty()) {
        const auto& [due, id] = timers_.begin()->first;
        if (due > now_ || id >= limit) return;
        const auto node = timers_.extract(timers_.begin());
        node.mapped()();
    }
}

void Reactor::retire() {
    retired_.store(true, std::memory_order_seq_cst);  // seq_cst: see post
    run_tasks_retired();
}

void Reactor::run_tasks_retired() {
    if (on_reactor_thread()) return;  // within a task: the loop below goes on with what it posted
    const std::lock_guard lock(retired_mutex_);
    thread_.store(this_thread(), std::memory_order_relaxed);  // relaxed: see on_reactor_thread
    while (!tasks_.empty() || !turns_.empty()) {
        work_ = 0;
        run_turns();
        run_tasks();
    }
    thread_.store(0, std::memory_order_relaxed);  // relaxed: as above
}

void Reactor::run_tasks() {
    auto batch = tasks_.take_all();
    while (!batch.empty()) batch.pop()();
}

void Reactor::watch(int fd, std::shared_ptr<Source> source) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= watches_.size()) watches_.resize(std::max(index + 1, watches_.size() * 2));
    Watch& watch = watches_[index];
    assert(watch.source == nullptr);
    // The generation tells this life of the descriptor number from the one before, of which an
    // event may still stand in the batch being served.
    ++watch.generation;
    epoll_event interest{};
    interest.events = k_interest;
    interest.data.u64 = event_key(fd, watch.generation);
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &interest) != 0) throw_errno("epoll_ctl");
    watch.source = std::move(source);
}

void Reactor::unwatch(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= watches_.size()) return;
    // Out of the table first: its destructor may come back here.
    const auto source = std::exchange(watches_[index].source, nullptr);
    if (source == nullptr) return;
    epoll_event unused{};
    (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &unused);
}

Reactor::Timer Reactor::call_at(TimePoint due, Task task) {
    Timer timer;
    timer.id_ = next_timer_++;
    timer.due_ = due;
    timers_.emplace(TimerKey(due, timer.id_), std::move(task));
    timer.reactor_ = this;
    return timer;
}

Reactor::Timer Reactor::call_after(Duration delay, Task task) {
    // Not now_: before run, or late in a long round, it lies too far back.
    return call_at(Clock::now() + delay, std::move(task));
}

}  // namespace nq::detail
