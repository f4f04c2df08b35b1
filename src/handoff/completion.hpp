// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include <net_queue/error.hpp>
#include <net_queue/uuid.hpp>

#include "handoff/callbacks.hpp"
#include "handoff/role.hpp"

namespace nq::detail {

/// Tells the futures of one session what became of its messages: those with a number below
/// released() are done, all others fail when the session ends; exceptions to that (cancelled,
/// refused) are kept by number. Nothing is allocated for a message until somebody waits for it.
///
/// Shared by the session and its futures, which may outlive it. Invariants: released() never
/// falls, and rises no more once fail was called; so each number completes once.
/// Thread safety: publish, refuse and fail by the holder of the session's send baton; everything
/// else from any thread.
class Completion {
  public:
    using Outcome = Result<void>;
    /// Called once, on the thread that completes the message: hand it on and return.
    using Subscriber = std::function<void(const Outcome&)>;
    using Clock = std::chrono::steady_clock;

    /// Who waits runs the turns of `role`, if there is one.
    explicit Completion(const Uuid& peer, std::shared_ptr<Role> role = nullptr,
                        const std::shared_ptr<Callbacks>& callbacks = nullptr)
        : role_(std::move(role)), callbacks_(callbacks), peer_(peer) {}

    /// Who made it (std::make_unique) has the first share, who drops the last one destroys it: see
    /// CompletionShare.
    void add_share() noexcept {
        shares_.fetch_add(1, std::memory_order_relaxed);  // relaxed: who adds one has one
    }
    void drop_share() noexcept {
        // release: what was done with a share comes before the end; acquire: the end comes after.
        if (shares_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            const std::unique_ptr<Completion> last(this);
        }
    }

    /// Messages with lower numbers are done.
    void publish(std::uint64_t released);
    /// Message `number` will never be sent.
    void refuse(std::uint64_t number, Failure failure);
    /// The session is over: what is not done will not be.
    void fail(Failure failure);
    /// Who may take a message back; see Future::cancel.
    void set_cancel(std::function<bool(std::uint64_t)> cancel);

    /// The thread that futures call back on; null: none, or it has gone with its communicator.
    [[nodiscard]] std::shared_ptr<Callbacks> callbacks() const { return callbacks_.lock(); }

    /// What became of a message, if that is known.
    [[nodiscard]] std::optional<Outcome> poll(std::uint64_t number) const;
    /// Waits until it is known, or until `deadline`. True: it is known.
    bool wait(std::uint64_t number, std::optional<Clock::time_point> deadline) const;
    void subscribe(std::uint64_t number, Subscriber subscriber);
    [[nodiscard]] bool cancel(std::uint64_t number);

    [[nodiscard]] Uuid peer() const;
    /// Client: the server is known now.
    void set_peer(const Uuid& peer);

  private:
    struct Waiter {
        std::uint64_t number;
        Role::Waiter wait;
    };

    [[nodiscard]] std::optional<Outcome> poll_locked(std::uint64_t number) const;
    void settle(std::unique_lock<std::mutex> lock);

    const std::shared_ptr<Role> role_;
    /// Not a share: it holds what is the user's, and futures may live until the program ends.
    const std::weak_ptr<Callbacks> callbacks_;

    std::atomic<std::size_t> shares_{1};
    std::atomic<std::uint64_t> released_{0};
    /// Somebody waits, subscribed, or was refused: publish must take the lock.
    mutable std::atomic<bool> watched_{false};
    std::atomic<bool> special_{false};  ///< there are verdicts, or the session is over

    mutable std::mutex mutex_;  // guards what follows
    mutable std::list<Waiter*> waiters_;
    Uuid peer_;
    std::multimap<std::uint64_t, Subscriber> subscribers_;
    std::map<std::uint64_t, Failure> verdicts_;
    std::optional<Failure> failure_;
    std::function<bool(std::uint64_t)> cancel_;
};

}  // namespace nq::detail
