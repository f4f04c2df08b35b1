// SPDX-License-Identifier: Apache-2.0
#include <net_queue/future.hpp>

#include <memory>
#include <mutex>
#include <utility>

#include "buffer/spare.hpp"
#include "handoff/callbacks.hpp"
#include "handoff/completion.hpp"

namespace nq {

namespace {

// Collects the outcomes of a broadcast and reports once, when the last has come.
class Gather {
  public:
    Gather(std::size_t count, Future::Callback callback)
        : left_(count), failures_(count), callback_(std::move(callback)) {}

    void settle(std::size_t index, const Future::Outcome& outcome) {
        {
            const std::lock_guard lock(mutex_);
            if (!outcome) failures_[index] = outcome.error();
            if (--left_ > 0) return;
        }
        for (auto& failure : failures_) {
            if (failure) return callback_(*std::move(failure));
        }
        callback_(Future::Outcome());
    }

  private:
    std::mutex mutex_;
    std::size_t left_;
    std::vector<std::optional<Failure>> failures_;
    Future::Callback callback_;
};

// The queue has gone, and with it whoever could be told what a callback throws.
void call_here(const Future::Callback& callback, const Future::Outcome& outcome) noexcept {
    try {
        callback(outcome);
    } catch (...) {
    }
}

}  // namespace

namespace detail {

namespace {

// A share that is counted.
struct DropShare {
    void operator()(Completion* completion) const noexcept { completion->drop_share(); }
};
using CountedShare = std::unique_ptr<Completion, DropShare>;

bool is_share_in(const CountedShare& share, const Completion* completion) {
    return share.get() == completion;
}

}  // namespace

CompletionShare::CompletionShare(std::unique_ptr<Completion> made) noexcept
    : completion_(made.release()) {}

void CompletionShare::take() noexcept {
    if (Spare<CountedShare>::take(completion_).release() == nullptr) completion_->add_share();
}

void CompletionShare::drop() noexcept {
    Spare<CountedShare>::keep(CountedShare(std::exchange(completion_, nullptr)));
}

}  // namespace detail

std::optional<Future::Outcome> Future::poll() const {
    Outcome combined;
    for (std::size_t i = 0; i < tickets_.count(); ++i) {
        auto outcome = tickets_[i].completion->poll(tickets_[i].number);
        if (!outcome) return std::nullopt;
        if (!*outcome && combined) combined = *std::move(outcome);
    }
    return combined;
}

bool Future::ready() const { return poll().has_value(); }

void Future::wait() const {
    for (std::size_t i = 0; i < tickets_.count(); ++i) {
        tickets_[i].completion->wait(tickets_[i].number, std::nullopt);
    }
}

bool Future::wait_for(std::chrono::nanoseconds timeout) const {
    using Clock = detail::Completion::Clock;
    // A timeout too long for the clock means for ever.
    std::optional<Clock::time_point> deadline;
    const auto now = Clock::now();
    if (timeout <= Clock::time_point::max() - now) deadline = now + timeout;
    for (std::size_t i = 0; i < tickets_.count(); ++i) {
        if (!tickets_[i].completion->wait(tickets_[i].number, deadline)) return false;
    }
    return true;
}

Future::Outcome Future::result() const {
    wait();
    return *poll();
}

void Future::get() const {
    if (const Outcome outcome = result(); !outcome) raise(outcome.error());
}

void Future::on_ready(Callback callback) const {
    // What completes a message hands the call on; it runs on the callback thread.
    const bool nobody = tickets_.count() == 0;
    auto deliver = [callbacks = nobody ? callbacks_.lock() : tickets_[0].completion->callbacks(),
                    callback = std::move(callback)](const Outcome& outcome) {
        if (callbacks == nullptr) return call_here(callback, outcome);
        callbacks->post([callback, outcome] { callback(outcome); });
    };
    if (nobody) return deliver(Outcome());
    const auto gather = std::make_shared<Gather>(tickets_.count(), std::move(deliver));
    for (std::size_t i = 0; i < tickets_.count(); ++i) {
        tickets_[i].completion->subscribe(tickets_[i].number, [gather, i](const Outcome& outcome) {
            gather->settle(i, outcome);
        });
    }
}

bool Future::cancel() const {
    bool any = false;
    for (std::size_t i = 0; i < tickets_.count(); ++i) {
        if (tickets_[i].completion->cancel(tickets_[i].number)) any = true;
    }
    return any;
}

std::vector<Future> Future::futures() const {
    std::vector<Future> futures;
    futures.reserve(tickets_.count());
    for (std::size_t i = 0; i < tickets_.count(); ++i) {
        futures.push_back(Future(tickets_[i]));
    }
    return futures;
}

std::vector<Uuid> Future::peers() const {
    std::vector<Uuid> peers;
    peers.reserve(tickets_.count());
    for (std::size_t i = 0; i < tickets_.count(); ++i) {
        peers.push_back(tickets_[i].completion->peer());
    }
    return peers;
}

}  // namespace nq
