// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pickle/blocks.hpp"

namespace nq::detail {

/// The memo as the checker keeps it: a mark of 16 bits (not 0) for each index in use. Indices that
/// come one after the other, as every pickler's do, cost 2 octets each; others cost 16.4 at most
/// while the table grows, so that an index of 2^31 costs no more than any (it takes 5 octets of
/// pickle to name).
/// Thread safety: none.
class MarkMemo {
  public:
    /// REQUIRES: find(index) == nullptr.
    void define(std::uint32_t index, std::uint16_t mark);
    /// The mark, or null. Valid until the next define.
    [[nodiscard]] std::uint16_t* find(std::uint32_t index);

    /// Entries; also the index that MEMOIZE gives next.
    [[nodiscard]] std::size_t count() const { return count_; }
    /// Where dense indices end.
    [[nodiscard]] std::size_t dense_end() const { return dense_.size(); }

    /// Whether an index that is new stands in the dense part, which ends at `dense_end` and then
    /// reaches up to it, if `count` entries exist. Holes are filled where they are few: what
    /// MEMOIZE gives is always dense, and so is what picklers that count from 1 give.
    static bool is_dense(std::size_t dense_end, std::size_t count, std::uint32_t index) {
        return index <= dense_end || index <= count || index < k_hole_end;
    }

  private:
    static constexpr std::size_t k_hole_end = 256;

    void grow();
    /// The slot of that index, or the free one where it would stand.
    [[nodiscard]] std::size_t slot_of(std::uint32_t index) const;

    Blocks<std::uint16_t> dense_;  // 0: a hole
    // Open addressing; keys_ and marks_ are of one size; mark 0: free.
    std::vector<std::uint32_t> keys_;
    std::vector<std::uint16_t> marks_;
    std::size_t sparse_count_ = 0;
    std::size_t count_ = 0;
};

}  // namespace nq::detail
