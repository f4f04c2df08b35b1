// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <utility>
#include <vector>

namespace nq::detail {

/// A double-ended queue in one block of memory, which is used again: in a steady flow it allocates
/// nothing. (std::deque allocates with every few elements that pass.) What a burst made it grow to
/// is given back by `trim`.
/// Invariants: size() <= slots; slots is 0 or a power of two.
/// Thread safety: none. T: default-constructible and movable; a slot that is free holds a T().
template <class T>
class Ring {
  public:
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// REQUIRES: i < size().
    [[nodiscard]] T& operator[](std::size_t i) { return slots_[slot(i)]; }
    [[nodiscard]] const T& operator[](std::size_t i) const { return slots_[slot(i)]; }
    /// REQUIRES: !empty().
    [[nodiscard]] T& front() { return (*this)[0]; }
    [[nodiscard]] const T& front() const { return (*this)[0]; }
    [[nodiscard]] T& back() { return (*this)[size_ - 1]; }

    void push_back(T value) { push_back() = std::move(value); }
    /// Appends a T() and returns it.
    T& push_back() {
        if (size_ == slots_.size()) grow();
        ++size_;
        return back();
    }
    void push_front(T value) {
        if (size_ == slots_.size()) grow();
        head_ = (head_ + slots_.size() - 1) & (slots_.size() - 1);
        ++size_;
        front() = std::move(value);
    }
    /// REQUIRES: !empty().
    void pop_front() {
        assert(!empty());
        front() = T();
        head_ = (head_ + 1) & (slots_.size() - 1);
        --size_;
    }
    void pop_back() {
        assert(!empty());
        back() = T();
        --size_;
    }
    /// Is it empty, and holds much?
    [[nodiscard]] bool trimmable() const { return size_ == 0 && slots_.size() > k_kept; }
    /// If so, gives its memory back.
    void trim() {
        if (!trimmable()) return;
        slots_ = std::vector<T>();
        head_ = 0;
    }

  private:
    static constexpr std::size_t k_least = 4;
    /// Slots that are always kept: a few KiB.
    static constexpr std::size_t k_kept = 64;

    [[nodiscard]] std::size_t slot(std::size_t i) const {
        assert(i < size_);
        return (head_ + i) & (slots_.size() - 1);
    }
    void grow() {
        std::vector<T> larger(slots_.empty() ? k_least : slots_.size() * 2);
        for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
        slots_ = std::move(larger);
        head_ = 0;
    }

    std::vector<T> slots_;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
};

}  // namespace nq::detail
