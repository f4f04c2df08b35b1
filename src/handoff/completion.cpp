// SPDX-License-Identifier: Apache-2.0
#include "handoff/completion.hpp"

#include <utility>
#include <vector>

namespace nq::detail {

void Completion::publish(std::uint64_t released) {
    // relaxed: only this thread writes it.
    if (released == released_.load(std::memory_order_relaxed)) return;
    // seq_cst, with the load of watched_: either this thread sees the waiter, or the waiter, who
    // set watched_ first, sees the new count. Release is implied: who sees the count may reuse the
    // memory.
    released_.store(released, std::memory_order_seq_cst);
    if (watched_.load(std::memory_order_seq_cst)) settle(std::unique_lock(mutex_));
}

void Completion::refuse(std::uint64_t number, Failure failure) {
    std::unique_lock lock(mutex_);
    verdicts_.emplace(number, std::move(failure));
    // release: pairs with the load in poll, which then takes the lock.
    special_.store(true, std::memory_order_release);
    settle(std::move(lock));
}

void Completion::fail(Failure failure) {
    std::unique_lock lock(mutex_);
    if (failure_) return;
    failure_ = std::move(failure);
    const auto needless = std::exchange(cancel_, nullptr);  // it may hold memory of the session
    // release: pairs with the load in poll, which then takes the lock.
    special_.store(true, std::memory_order_release);
    settle(std::move(lock));
}

void Completion::set_cancel(std::function<bool(std::uint64_t)> cancel) {
    const std::lock_guard lock(mutex_);
    cancel_ = std::move(cancel);
}

std::optional<Completion::Outcome> Completion::poll(std::uint64_t number) const {
    // acquire: pairs with the stores in refuse and fail.
    if (special_.load(std::memory_order_acquire)) {
        const std::lock_guard lock(mutex_);
        return poll_locked(number);
    }
    // seq_cst: see publish. A verdict on this number cannot be missed: one that is refused is told
    // so before it is counted as released.
    if (number < released_.load(std::memory_order_seq_cst)) {
        // acquire: as above; the verdict may have come between the two loads.
        if (!special_.load(std::memory_order_acquire)) return Outcome();
        const std::lock_guard lock(mutex_);
        return poll_locked(number);
    }
    return std::nullopt;
}

std::optional<Completion::Outcome> Completion::poll_locked(std::uint64_t number) const {
    if (const auto verdict = verdicts_.find(number); verdict != verdicts_.end()) {
        return Outcome(verdict->second);
    }
    // seq_cst: see publish.
    if (number < released_.load(std::memory_order_seq_cst)) return Outcome();
    if (failure_) return Outcome(*failure_);
    return std::nullopt;
}

bool Completion::wait(std::uint64_t number, std::optional<Clock::time_point> deadline) const {
    if (poll(number)) return true;
    std::unique_lock lock(mutex_);
    // seq_cst: before the look at released_ in poll_locked; see publish.
    watched_.store(true, std::memory_order_seq_cst);
    if (poll_locked(number)) return true;
    Waiter waiter{.number = number, .wait = Role::Waiter(role_.get())};
    waiters_.push_back(&waiter);
    if (waiter.wait.wait(lock, deadline)) return true;
    waiters_.remove(&waiter);
    return false;
}

void Completion::subscribe(std::uint64_t number, Subscriber subscriber) {
    std::unique_lock lock(mutex_);
    // seq_cst: before the look at released_; see publish.
    watched_.store(true, std::memory_order_seq_cst);
    if (const auto outcome = poll_locked(number)) {
        lock.unlock();
        return subscriber(*outcome);
    }
    subscribers_.emplace(number, std::move(subscriber));
}

bool Completion::cancel(std::uint64_t number) {
    if (poll(number)) return false;
    std::function<bool(std::uint64_t)> cancel;
    {
        const std::lock_guard lock(mutex_);
        cancel = cancel_;
    }
    return cancel && cancel(number);
}

Uuid Completion::peer() const {
    const std::lock_guard lock(mutex_);
    return peer_;
}

void Completion::set_peer(const Uuid& peer) {
    const std::lock_guard lock(mutex_);
    peer_ = peer;
}

// Wakes whoever waits and calls the subscribers whose message is settled, outside the lock.
void Completion::settle(std::unique_lock<std::mutex> lock) {
    std::vector<std::pair<Subscriber, Outcome>> calls;
    const bool all = failure_.has_value() || !verdicts_.empty();
    for (auto it = subscribers_.begin(); it != subscribers_.end();) {
        const auto outcome = poll_locked(it->first);
        if (!outcome) {
            if (!all) break;  // in order of number: nor are the later ones
            ++it;
            continue;
        }
        calls.emplace_back(std::move(it->second), *outcome);
        it = subscribers_.erase(it);
    }
    std::erase_if(waiters_, [this](Waiter* waiter) {
        if (!poll_locked(waiter->number)) return false;
        waiter->wait.serve();
        return true;
    });
    // relaxed: under the lock, which the next waiter takes before it sets it again.
    if (subscribers_.empty() && waiters_.empty()) {
        watched_.store(false, std::memory_order_relaxed);
    }
    lock.unlock();
    for (auto& [subscriber, outcome] : calls) subscriber(outcome);
}

}  // namespace nq::detail
