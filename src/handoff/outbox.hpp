// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "handoff/baton.hpp"
#include "handoff/queue.hpp"

namespace nq::detail {

/// Messages on their way from the threads that put to the send half of one session, whose baton
/// numbers them: each has its number, which is its position in the session, before it is queued, so
/// that its future exists without waiting for anybody.
///
/// Order: by number. A thread that took a number and has not pushed yet holds back what others
/// pushed after it, until it has and the consumer has looked again.
/// Thread safety: push from any thread; pass and drain by the holder of the baton.
class Outbox {
  public:
    explicit Outbox(Baton& baton) : baton_(baton) {}

    /// Returns the message's number, or nothing once the count is sealed. Throws std::bad_alloc,
    /// and no number is taken then.
    std::optional<Baton::Count> push(Stream&& payload, const std::optional<Uuid>& target) {
        auto node = Entries::make_node({0, std::move(payload), target});
        const auto number = baton_.count_up();
        if (!number) return std::nullopt;
        node->value.number = *number;
        enqueue(std::move(node));
        return number;
    }

    /// The holder's own message, with the number it took with the baton: where that is the next
    /// one, it goes straight to accept; otherwise drain yields it once its turn has come.
    template <class Accept>
    void pass(Baton::Count number, Stream&& payload, const std::optional<Uuid>& target,
              Accept&& accept) {
        if (number != drained_) {
            return enqueue(Entries::make_node({number, std::move(payload), target}));
        }
        assert(early_.empty());  // nobody has a number beyond this one
        accept(std::move(payload), target);
        ++drained_;
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
            yield(std::move(entry), accept);
            while (!early_.empty() && early_.begin()->first == drained_) {
                yield(std::move(early_.extract(early_.begin()).mapped()), accept);
            }
        }
    }

    /// Of the messages that wait in it. Any thread.
    [[nodiscard]] std::uint64_t octets() const {
        return octets_.load(std::memory_order_relaxed);  // relaxed: it bounds and reports
    }
    /// Messages drained so far. For the one who drains.
    [[nodiscard]] Baton::Count drained() const { return drained_; }

  private:
    struct Entry {
        Baton::Count number;
        Stream payload;
        std::optional<Uuid> target;
    };

    using Entries = Queue<Entry>;

    void enqueue(std::unique_ptr<Entries::Node> node) {
        // relaxed: as in octets. Before it is queued: never fewer than none.
        octets_.fetch_add(node->value.payload.size(), std::memory_order_relaxed);
        queue_.push_node(std::move(node));
    }
    template <class Accept>
    void yield(Entry&& entry, Accept& accept) {
        octets_.fetch_sub(entry.payload.size(), std::memory_order_relaxed);  // relaxed: as above
        ++drained_;
        accept(std::move(entry.payload), entry.target);
    }

    Baton& baton_;
    Entries queue_;
    std::atomic<std::uint64_t> octets_{0};

    // Belong to the one who drains.
    Baton::Count drained_ = 0;
    std::map<Baton::Count, Entry> early_;
};

}  // namespace nq::detail
