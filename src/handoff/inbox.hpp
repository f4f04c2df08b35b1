// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include <net_queue/error.hpp>
#include <net_queue/message.hpp>
#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "buffer/batch.hpp"
#include "buffer/ring.hpp"
#include "handoff/bias.hpp"
#include "handoff/queue.hpp"
#include "handoff/role.hpp"

namespace nq::detail {

/// Received messages on their way from the reactors to the threads that get.
///
/// Reactors push batches without a lock and take one only if somebody sleeps, or to pause. Getters
/// sort what was pushed, under a lock of their own, into one lane per peer and one order over all:
/// so a get from anybody and a get from certain peers both cost the same however many messages
/// wait. A thread that alone gets for a while passes without the lock (bias.hpp).
///
/// Order: per peer as received; over all, as the batches arrived.
/// Thread safety: all methods, from any thread; deliver for one lane by one thread at a time.
class Inbox {
  public:
    using Clock = std::chrono::steady_clock;
    using Peers = std::span<const Uuid>;

    /// The unread messages of one peer. Outlives the session: what was received stays readable.
    class Lane {
      public:
        explicit Lane(const Uuid& uuid) : peer(uuid) {}
        const Uuid peer;

        [[nodiscard]] std::uint64_t unread_messages() const { return messages_.unread(); }
        [[nodiscard]] std::uint64_t unread_bytes() const { return bytes_.unread(); }

      private:
        friend class Inbox;
        /// What came and what went, each counted by one thread at a time: so neither side needs an
        /// atomic addition. What went before it was counted as having come is not unread; who
        /// brings it has counted it, and sees no less than there is.
        class Count {
          public:
            void arrive(std::uint64_t n) { add(arrived_, n); }
            void take(std::uint64_t n) { add(taken_, n); }
            [[nodiscard]] std::uint64_t unread() const {
                // acquire, in this order: so that what was taken is seen to have come, if counted.
                const std::uint64_t taken = taken_.load(std::memory_order_acquire);
                const std::uint64_t arrived = arrived_.load(std::memory_order_acquire);
                return arrived - std::min(arrived, taken);
            }

          private:
            static void add(std::atomic<std::uint64_t>& count, std::uint64_t n) {
                // relaxed: nobody else writes it. release: see unread.
                count.store(count.load(std::memory_order_relaxed) + n, std::memory_order_release);
            }
            std::atomic<std::uint64_t> arrived_{0};
            std::atomic<std::uint64_t> taken_{0};
        };
        /// Messages that arrived together; sequence is that of the first, taken or not.
        struct Arrived {
            std::uint64_t sequence = 0;
            Batch messages;
        };
        /// Of the first message unread. REQUIRES: there is one.
        [[nodiscard]] std::uint64_t front() const {
            return unread_.front().sequence + unread_.front().messages.popped();
        }
        [[nodiscard]] bool has_room() const {
            return unread_messages() <= messages_low_ && unread_bytes() <= bytes_low_;
        }

        // Shared: the receiving side counts what arrives, who gets what is taken.
        Count messages_;
        Count bytes_;

        // Guarded by the inbox.
        std::uint64_t messages_low_ = 0;
        std::uint64_t bytes_low_ = 0;
        std::function<void()> resume_;  ///< if the receiver is paused
        Ring<Arrived> unread_;          // none empty
        bool open_ = true;
        Failure failure_;
    };

    /// Keeps at most `departed_max` lanes of peers that went and left nothing unread.
    explicit Inbox(std::size_t departed_max) : departed_max_(departed_max) {}

    // For the receiving side.
    /// The lane of a peer whose session begins.
    std::shared_ptr<Lane> open_lane(const Uuid& peer);
    /// The peer's session is over: once its messages are read, getters of this peer are told so.
    void close_lane(const std::shared_ptr<Lane>& lane, Failure failure);
    void deliver(const std::shared_ptr<Lane>& lane, Batch messages);
    /// The receiver stops until there is room: half of both bounds free. False: there is room
    /// already, so go on. `resume` is called once, by the getter that makes room.
    bool pause(const std::shared_ptr<Lane>& lane, std::uint64_t messages_max,
               std::uint64_t bytes_max, std::function<void()> resume);
    /// The receiver goes on although there may be no room.
    void unpause(const std::shared_ptr<Lane>& lane);
    /// Drops the oldest unread message of the lane, if there is one.
    bool drop_oldest(const std::shared_ptr<Lane>& lane);
    /// No more messages from anybody: once all are read, every get reports `failure`. A
    /// later call replaces the failure.
    void close(Failure failure);

    // For those who get.
    /// The first message of anybody, or of `peers`; waits until `deadline` (none: as long as it
    /// takes; time_point::min(): not at all) and meanwhile takes the role of who brings messages,
    /// if it can be had. Failures: of close, of close_lane if every peer named has gone, timed_out.
    Result<Message<Stream>> get(Peers peers, std::optional<Clock::time_point> deadline,
                                Role* role = nullptr);
    /// The same, without a deadline; raises the failure that `get` would return. For a thread that
    /// alone gets, the message is made where the caller wants it, and moved no more.
    Message<Stream> get_or_raise(Peers peers, Role* role = nullptr);
    /// Calls `tell` once, as soon as a get of these peers need not wait: now, or on the thread
    /// that delivers. It must not come back here.
    void when_readable(Peers peers, std::function<void()> tell);

  private:
    struct Arrival {
        std::shared_ptr<Lane> lane;
        Batch messages;
    };
    /// Messages [first, first + count) of one lane, at their place in the order over all; those
    /// taken already are found missing from the lane.
    struct Run {
        std::shared_ptr<Lane> lane;
        std::uint64_t first = 0;
        std::uint64_t count = 0;
        /// Is any of them unread?
        [[nodiscard]] bool left() const {
            return !lane->unread_.empty() && lane->front() < first + count;
        }
    };
    /// What a get would return: the first message of a lane, or a failure; neither: nothing yet.
    struct Found {
        Lane* lane = nullptr;
        const Failure* failure = nullptr;
        explicit operator bool() const { return lane != nullptr || failure != nullptr; }
    };
    using Outcome = Result<Message<Stream>>;
    struct Waiter {
        Peers peers;
        Role::Waiter wait;
        std::optional<Outcome>& outcome;
    };
    /// Who wants to know when there is something, but takes nothing yet.
    struct Watcher {
        std::vector<Uuid> peers;
        std::function<void()> tell;
    };
    using Lock = std::unique_lock<std::mutex>;

    /// The lock, and nobody inside without it.
    [[nodiscard]] Lock hold();
    void sort();
    void dispatch();
    [[nodiscard]] Outcome get_found(Found found, Lock& lock);
    [[nodiscard]] Outcome get_later(Peers peers, std::optional<Clock::time_point> deadline,
                                    Role* role, Lock& lock);
    [[nodiscard]] Found find(Peers peers);
    [[nodiscard]] Lane* find_lane(Peers peers);
    [[nodiscard]] inline Lane* find_first();
    [[nodiscard]] Found find_among(Peers peers) const;
    [[nodiscard]] Outcome take(Found found);
    [[nodiscard]] inline Message<Stream> take_front(Lane& lane);
    void note_taken(Lane& lane);
    [[nodiscard]] bool readable(Peers peers) const;
    void forget_departed();
    void forget_taken();
    void call_out(Lock& lock);

    const std::size_t departed_max_;

    Queue<Arrival> arrivals_;
    std::atomic<int> sleepers_{0};  ///< waiters_ and watchers_; changes with them

    std::mutex mutex_;  // guards what follows, and the private part of the lanes
    Bias bias_;         ///< of who gets, while nobody waits
    std::unordered_map<Uuid, std::shared_ptr<Lane>> lanes_;
    std::deque<Uuid> departed_;
    Ring<Run> order_;
    std::uint64_t next_sequence_ = 0;
    std::uint64_t unread_ = 0;
    std::list<Waiter*> waiters_;
    std::vector<Watcher> watchers_;
    std::optional<Failure> closed_;
    /// To call once the lock is released: receivers to resume, watchers to tell.
    std::vector<std::function<void()>> calls_;
};

}  // namespace nq::detail
