// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <map>
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
        auto node = Queue<Entry>::make_node(Entry{0, std::move(payload), target});
        const auto number = baton_.count_up();
        if (!number) return std::nullopt;
        node->value.number = *number;
        queue_.push_node(std::move(node));
        return number;
    }

    /// The holder's own message, with the number it took with the baton: where that is the next
    /// one, it goes straight to accept; otherwise drain yields it once its turn has come. True: it
    /// was accepted.
    template <class Accept>
    bool pass(Baton::Count number, Stream&& payload, const std::optional<Uuid>& target,
              Accept&& accept) {
        if (number != drained_) {
            queue_.push(Entry{number, std::move(payload), target});
            return false;
        }
        assert(early_.empty());  // nobody has a number beyond this one
        accept(std::move(payload), target);
        ++drained_;
        return true;
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

    /// Is there nothing for drain to look at?
    [[nodiscard]] bool empty() const { return queue_.empty(); }
    /// Messages drained so far. For the one who drains.
    [[nodiscard]] Baton::Count drained() const { return drained_; }

  private:
    struct Entry {
        Baton::Count number;
        Stream payload;
        std::optional<Uuid> target;
    };

    Baton& baton_;
    Queue<Entry> queue_;

    // Belong to the one who drains.
    Baton::Count drained_ = 0;
    std::map<Baton::Count, Entry> early_;
};

}  // namespace nq::detail
