// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <net_queue/stream.hpp>

#include "buffer/spare.hpp"

namespace nq::detail {

/// Messages that came together, on their way to who gets them: first in, first out. Nearly all are
/// slices of one block, and cost two words each until they are taken; then they become Streams that
/// share it.
/// Thread safety: none; one owner.
class Batch {
  public:
    /// So many will be added.
    void reserve(std::size_t n) { messages_.reserve(n); }
    void push(Stream message) {
        const std::size_t octets = message.size();
        streams_.push_back(std::move(message));
        // Where there is no memory for this note, the batch holds the message and never tells.
        messages_.push_back({nullptr, streams_.size() - 1});
        octets_ += octets;
    }
    /// A message that lies in `block`, or at its end if it is empty. REQUIRES: not a null pointer.
    void push(Chunk::Octets octets, const std::shared_ptr<std::byte>& block) {
        assert(octets.data() != nullptr);
        if (block_ != block) {
            if (block_ != nullptr) return push(Stream(Chunk(octets, block)));
            block_ = block;
        }
        messages_.push_back({octets.data(), octets.size()});
        octets_ += octets.size();
    }
    /// REQUIRES: !empty().
    Stream pop() {
        assert(!empty());
        const Entry entry = messages_[popped_++];
        if (entry.data == nullptr) {
            octets_ -= streams_[entry.size].size();
            return std::move(streams_[entry.size]);
        }
        octets_ -= entry.size;
        return Stream(std::in_place, Chunk::Octets(entry.data, entry.size), share_of_block(block_));
    }

    [[nodiscard]] bool empty() const { return popped_ == messages_.size(); }
    /// Messages.
    [[nodiscard]] std::size_t size() const { return messages_.size() - popped_; }
    /// Of all messages together.
    [[nodiscard]] std::uint64_t octets() const { return octets_; }
    /// Messages taken so far.
    [[nodiscard]] std::size_t popped() const { return popped_; }

  private:
    /// A slice of the block, or without data the index of a stream.
    struct Entry {
        const std::byte* data;
        std::size_t size;
    };

    std::vector<Entry> messages_;
    std::vector<Stream> streams_;
    std::shared_ptr<std::byte> block_;
    std::size_t popped_ = 0;
    std::uint64_t octets_ = 0;
};

}  // namespace nq::detail
