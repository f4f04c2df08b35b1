// SPDX-License-Identifier: Apache-2.0
#include "handoff/role.hpp"

#include <utility>

#include "handoff/this_thread.hpp"

namespace nq::detail {

bool Role::try_take() {
    // relaxed: a guess; the exchange checks it.
    std::uint64_t state = state_.load(std::memory_order_relaxed);
    if ((state & k_held) != 0) return false;
    // acquire: see what the last holder did. seq_cst: see the top of role.hpp.
    return state_.compare_exchange_strong(state, (state + k_taken) | k_held,
                                          std::memory_order_seq_cst, std::memory_order_relaxed);
}

// A waiter's: not once the turns are stopped. It would come back and back, and the stand-in, which
// keeps the role then, would never find it at rest.
bool Role::try_take_to_wait() {
    // relaxed: who finds it unset and takes the role is told by the next turn.
    return !stopped_.load(std::memory_order_relaxed) && try_take();
}

void Role::let_go() {
    // release: the next holder sees what this one did. seq_cst: see the top of role.hpp.
    state_.fetch_and(~k_held, std::memory_order_seq_cst);
}

void Role::leave() {
    let_go();
    if (asleep_.load(std::memory_order_seq_cst) > 0) return call();  // seq_cst: as above
    if (stopped_.load(std::memory_order_relaxed)) return call();  // relaxed: see try_take_to_wait
    if (!wakeup_.notify()) return;
    const std::lock_guard lock(mutex_);
    woken_ = true;
    stand_in_.notify_one();
}

void Role::call() {
    const std::lock_guard lock(mutex_);
    called_ = true;
    stand_in_.notify_one();
}

void Role::stand_in() {
    for (;;) {
        wait_unattended();
        do {
            if (!turn_(Clock::time_point::max())) return;
        } while (!dispensable());
        let_go();
        // A waiter that fell asleep meanwhile found the role held. seq_cst: as in leave.
        if (asleep_.load(std::memory_order_seq_cst) > 0) call();
    }
}

// Somebody has waited while the stand-in had the role, and nobody does now: they will be back.
bool Role::dispensable() {
    // relaxed: a hint; whether anybody sleeps is looked at again after letting go.
    return asleep_.load(std::memory_order_relaxed) == 0 &&
           wanted_.exchange(false, std::memory_order_relaxed);
}

// Returns with the role: at once when called, otherwise when nobody took it for k_grace.
void Role::wait_unattended() {
    std::unique_lock lock(mutex_);
    for (;;) {
        // relaxed, here and below: a look at what changes; taking it and sleeping look again.
        const std::uint64_t before = state_.load(std::memory_order_relaxed);
        const bool called = std::exchange(called_, false);
        if (called && try_take()) break;
        if (stand_in_.wait_for(lock, k_grace, [this] { return called_; })) continue;
        if (state_.load(std::memory_order_relaxed) != before) continue;  // it goes to and fro
        if ((before & k_held) == 0) {
            if (try_take()) break;
            continue;
        }
        wakeup_.prepare();
        woken_ = false;
        // seq_cst: the second look; see wakeup.hpp.
        if ((state_.load(std::memory_order_seq_cst) & k_held) != 0) {
            stand_in_.wait(lock, [this] { return woken_ || called_; });
        }
        wakeup_.cancel();
    }
    wanted_.store(false, std::memory_order_relaxed);  // relaxed: a hint
}

// Counts one who is about to sleep. False: it must not, the role is free.
bool Role::add_sleeper() {
    wanted_.store(true, std::memory_order_relaxed);  // relaxed: a hint
    // seq_cst, twice: see the top of role.hpp.
    asleep_.fetch_add(1, std::memory_order_seq_cst);
    // relaxed: see try_take_to_wait.
    return (state_.load(std::memory_order_seq_cst) & k_held) != 0 ||
           stopped_.load(std::memory_order_relaxed);
}

void Role::remove_sleeper() {
    // relaxed: one sleeper too many calls the stand-in once too often.
    asleep_.fetch_sub(1, std::memory_order_relaxed);
}

bool Role::Waiter::wait(std::unique_lock<std::mutex>& lock, Deadline deadline) {
    const auto over = [&deadline] { return deadline && Clock::now() >= *deadline; };
    while (!served_ && !over()) {
        if (role_ != nullptr && role_->try_take_to_wait()) {
            run(lock, deadline.value_or(Clock::time_point::max()));
        } else {
            wait_served(lock, deadline);
        }
    }
    return served_;
}

// Holds the role until it is served, the time is over, or the turns are stopped.
void Role::Waiter::run(std::unique_lock<std::mutex>& lock, Clock::time_point until) {
    state_ = State::running;
    thread_ = this_thread();
    struct Leave {
        Role& role;
        std::unique_lock<std::mutex>& lock;
        ~Leave() {
            if (lock.owns_lock()) lock.unlock();
            role.leave();
            lock.lock();
        }
    };
    {
        const Leave leave{*role_, lock};
        bool more = true;
        while (more && !served_ && Clock::now() < until) {
            lock.unlock();
            more = role_->turn_(until);
            lock.lock();
        }
        // relaxed: see try_take_to_wait.
        if (!more) role_->stopped_.store(true, std::memory_order_relaxed);
    }
    state_ = State::elsewhere;
}

void Role::Waiter::wait_served(std::unique_lock<std::mutex>& lock, Deadline deadline) {
    const auto served = [this] { return served_; };
    state_ = State::asleep;
    if (role_ != nullptr && !role_->add_sleeper()) {
        // Free: the role it is, after all.
    } else if (deadline) {
        woken_.wait_until(lock, *deadline, served);
    } else {
        woken_.wait(lock, served);
    }
    if (role_ != nullptr && !served_) role_->remove_sleeper();
    state_ = State::elsewhere;
}

void Role::Waiter::serve() {
    served_ = true;
    switch (state_) {
        case State::elsewhere: break;
        case State::running:
            if (thread_ != this_thread()) role_->interrupt_();
            break;
        case State::asleep:
            if (role_ != nullptr) role_->remove_sleeper();
            woken_.notify_one();
            break;
    }
}

}  // namespace nq::detail
