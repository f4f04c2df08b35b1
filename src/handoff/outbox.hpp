// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "handoff/queue.hpp"

namespace nq::detail {

/// Messages on their way from the threads that put to the send half of one session. Each gets its
/// number, which is its position in the session, before it is queued, so that its future exists
/// without waiting for anybody.
///
/// Order: by number. A thread that took a number and has not pushed yet holds back what others
/// pushed after it, until it has; its own push then tells the consumer.
/// Thread safety: push and close from any thread; pass and drain by one at a time.
class Outbox {
  public:
    /// Returns the message's number, or nothing once closed.
    std::optional<std::uint64_t> push(Stream&& payload, const std::optional<Uuid>& target) {
        // relaxed: the number orders nothing but itself; the push below publishes the message.
        const std::uint64_t number = tickets_.fetch_add(1, std::memory_order_relaxed);
        if ((number & k_closed) != 0) return std::nullopt;
        queue_.push(Entry{number, std::move(payload), target});
        return number;
    }

    /// As push, for the one who drains: where the message is the next one, it goes straight to
    /// accept; otherwise drain yields it once its turn has come.
    template <class Accept>
    std::optional<std::uint64_t> pass(Stream&& payload, const std::optional<Uuid>& target,
                                      Accept&& accept) {
        // relaxed: as in push.
        const std::uint64_t number = tickets_.fetch_add(1, std::memory_order_relaxed);
        if ((number & k_closed) != 0) return std::nullopt;
        if (number == drained_ && early_.empty()) {
            ++drained_;
            accept(std::move(payload), target);
        } else {
            queue_.push(Entry{number, std::move(payload), target});
        }
        return number;
    }

    /// No more messages. Returns how many there were in all; drain yields every one of them.
    std::uint64_t close() {
        // relaxed: as in push. Numbers handed out before this are below the one returned.
        const std::uint64_t count = tickets_.fetch_or(k_closed, std::memory_order_relaxed);
        if ((count & k_closed) == 0) count_ = count;
        return count_;
    }

    /// Calls accept(payload, target) for each message whose turn has come.
    template <class Accept>
    void drain(Accept&& accept) {
        if (queue_.empty()) return;
        auto batch = queue_.take_all();
        while (!batch.empty()) {
            Entry entry = batch.pop();
            if (entry.number != drained_) {
                early_.emplace(entry.number, std::move(entry));
                continue;
            }
            ++drained_;
            accept(std::move(entry.payload), entry.target);
            while (!early_.empty() && early_.begin()->first == drained_) {
                auto node = early_.extract(early_.begin());
                ++drained_;
                accept(std::move(node.mapped().payload), node.mapped().target);
            }
        }
    }

    /// Messages numbered so far. Any thread.
    [[nodiscard]] std::uint64_t accepted() const {
        // relaxed, both: counts alone. Between the two writes of close a number that somebody was
        // refused may be counted.
        const std::uint64_t count = tickets_.load(std::memory_order_relaxed);
        const std::uint64_t closed_at = count_.load(std::memory_order_relaxed);
        return (count & k_closed) != 0 && closed_at != k_open ? closed_at : count & ~k_closed;
    }
    /// Messages drained so far. For the one who drains.
    [[nodiscard]] std::uint64_t drained() const { return drained_; }

  private:
    struct Entry {
        std::uint64_t number;
        Stream payload;
        std::optional<Uuid> target;
    };
    static constexpr std::uint64_t k_closed = std::uint64_t{1} << 63;
    static constexpr std::uint64_t k_open = ~std::uint64_t{0};

    std::atomic<std::uint64_t> tickets_{0};
    std::atomic<std::uint64_t> count_{k_open};  ///< of all, once closed
    Queue<Entry> queue_;

    // Belong to the one who drains.
    std::uint64_t drained_ = 0;
    std::map<std::uint64_t, Entry> early_;
};

}  // namespace nq::detail
