// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <net_queue/error.hpp>
#include <net_queue/uuid.hpp>

namespace nq {

namespace detail {

class Completion;
class Callbacks;

/// A share in what becomes of a session's messages. Every message takes and drops one; so the last
/// one that a thread dropped waits for the next that it takes of the same session, and neither
/// touches the count. It is one word: two that were stored just before are not loaded at once until
/// the copy of a message, stored before them, has reached the cache.
///
/// Thread safety: as std::shared_ptr.
class CompletionShare {
  public:
    CompletionShare() = default;
    /// The first share. Null: none.
    explicit CompletionShare(std::unique_ptr<Completion> made) noexcept;
    CompletionShare(const CompletionShare& other) noexcept : completion_(other.completion_) {
        if (completion_ != nullptr) take();
    }
    CompletionShare(CompletionShare&& other) noexcept
        : completion_(std::exchange(other.completion_, nullptr)) {}
    CompletionShare& operator=(CompletionShare other) noexcept {
        std::swap(completion_, other.completion_);
        return *this;
    }
    ~CompletionShare() {
        if (completion_ != nullptr) drop();
    }
    Completion* operator->() const noexcept { return completion_; }
    explicit operator bool() const noexcept { return completion_ != nullptr; }

  private:
    void take() noexcept;
    void drop() noexcept;

    Completion* completion_ = nullptr;
};

/// One message to one peer: its number in that session. A message that was not even queued has a
/// completion of its own, which has failed.
struct Ticket {
    CompletionShare completion;
    std::uint64_t number = 0;
};

template <class T>
concept TicketMaker = requires(T make) {
    { make() } -> std::same_as<Ticket>;
};

/// Those of one put, one for each peer. The first stands apart: a put to one peer allocates
/// nothing.
class Tickets {
  public:
    Tickets() = default;
    /// The one that `make` returns, which is made where it stays: to move it costs more.
    template <TicketMaker Make>
    explicit Tickets(Make&& make) : first_(make()) {}
    explicit Tickets(Ticket ticket) : first_(std::move(ticket)) {}
    void add(Ticket ticket) {
        if (!first_.completion) {
            first_ = std::move(ticket);
        } else {
            rest_.push_back(std::move(ticket));
        }
    }
    [[nodiscard]] std::size_t count() const { return first_.completion ? 1 + rest_.size() : 0; }
    /// REQUIRES: i < count().
    [[nodiscard]] const Ticket& operator[](std::size_t i) const {
        return i == 0 ? first_ : rest_[i - 1];
    }

  private:
    Ticket first_;  ///< without a completion: there is none
    std::vector<Ticket> rest_;
};

}  // namespace detail

/// What becomes of a put. It completes exactly once, for all its peers:
/// - done: in the base protocol, the transport has taken every octet and the memory may be reused
///   (not that the peer has it: see docs/guarantees.md);
/// - failed: ConnectionError or another Error, with the peer;
/// - cancelled.
/// A broadcast completes when the last of its peers has; it fails with the first failure in the
/// order of its peers. Dropping a Future neither blocks nor cancels. It may outlive the queue.
/// Thread safety: distinct Futures of one put may be used on different threads; one Future as any
/// object. Copies refer to the same put.
class Future {
  public:
    /// What a callback receives: done, or why not.
    using Outcome = Result<void>;
    using Callback = std::function<void(const Outcome&)>;

    /// A put to nobody: done.
    Future() = default;
    /// The same, with the thread that calls back.
    explicit Future(const std::shared_ptr<detail::Callbacks>& callbacks) : callbacks_(callbacks) {}
    /// Of one message; `make` returns its Ticket.
    template <detail::TicketMaker Make>
    explicit Future(Make&& make) : tickets_(make) {}
    explicit Future(detail::Ticket ticket) : tickets_(std::move(ticket)) {}
    explicit Future(detail::Tickets tickets) : tickets_(std::move(tickets)) {}

    /// Waits; throws what the put failed with (ConnectionError and its kind, ProtocolError,
    /// Cancelled).
    void get() const;
    /// Waits; returns what get would throw.
    [[nodiscard]] Outcome result() const;
    /// Waits until complete.
    void wait() const;
    /// Waits at most so long; true: complete.
    [[nodiscard]] bool wait_for(std::chrono::nanoseconds timeout) const;
    /// Complete? Never blocks.
    [[nodiscard]] bool ready() const;

    /// Calls `callback` once with the outcome, on the callback thread of the queue, also if
    /// complete already. What it throws is logged. After the queue was destroyed it is called on
    /// this thread, at once, and nobody learns what it throws.
    void on_ready(Callback callback) const;

    /// Takes the message back for every peer to which no octet of it was offered yet. True: for at
    /// least one; its part completes as cancelled. May wait for a send under way (microseconds).
    bool cancel() const;

    /// One Future for each peer, in the order of the put.
    [[nodiscard]] std::vector<Future> futures() const;
    /// The peers, in the same order; nil where the put named nobody who is known.
    [[nodiscard]] std::vector<Uuid> peers() const;

    /// `co_await future`: resumes on the callback thread, throws as get.
    auto operator co_await() const;

  private:
    [[nodiscard]] std::optional<Outcome> poll() const;

    detail::Tickets tickets_;
    std::weak_ptr<detail::Callbacks> callbacks_;  ///< of a put to nobody; else a ticket knows
};

inline auto Future::operator co_await() const {
    struct Awaiter {
        Future future;
        [[nodiscard]] bool await_ready() const { return future.ready(); }
        void await_suspend(std::coroutine_handle<> handle) const {
            // The coroutine may be resumed, and this awaiter destroyed, before on_ready returns.
            const Future copy = future;
            copy.on_ready([handle](const Outcome&) { handle.resume(); });
        }
        void await_resume() const { future.get(); }
    };
    return Awaiter{*this};
}

}  // namespace nq
