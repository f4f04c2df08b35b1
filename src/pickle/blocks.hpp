// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <memory>
#include <vector>

namespace nq::detail {

/// A stack of small items that grows by blocks. A std::vector holds up to three times its items
/// while it grows, and std::deque's blocks are small: neither keeps the bound that checker.hpp
/// promises. Small stacks live in the object itself.
/// Thread safety: none.
template <class T>
class Blocks {
  public:
    void push_back(T item) {
        if (size_ >= k_inline && (size_ - k_inline) / k_block == blocks_.size()) {
            blocks_.push_back(std::make_unique_for_overwrite<T[]>(k_block));
        }
        (*this)[size_++] = item;
    }
    void pop_back() { assert(size_ > 0), --size_; }

    [[nodiscard]] T& back() { return (*this)[size_ - 1]; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// REQUIRES: the item stands below the highest size so far.
    [[nodiscard]] T& operator[](std::size_t i) {
        if (i < k_inline) return inline_[i];
        return blocks_[(i - k_inline) / k_block][(i - k_inline) % k_block];
    }

  private:
    static constexpr std::size_t k_inline = 128;
    static constexpr std::size_t k_block = (std::size_t{64} << 10) / sizeof(T);

    std::array<T, k_inline> inline_;
    std::vector<std::unique_ptr<T[]>> blocks_;
    std::size_t size_ = 0;
};

}  // namespace nq::detail
