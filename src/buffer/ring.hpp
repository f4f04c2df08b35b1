// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace nq::detail {

/// A double-ended queue in one block of memory, which is used again: in a steady flow it allocates
/// nothing. (std::deque allocates with every few elements that pass.) What a burst made it grow to
/// is given back by `trim`.
/// Invariants: size() <= slots; slots is 0 or a power of two; the slots in use hold a T, no other.
/// Thread safety: none. T: movable without exceptions.
template <class T>
class Ring {
  public:
    Ring() = default;
    Ring(Ring&& other) noexcept
        : slots_(std::move(other.slots_)),
          slot_count_(std::exchange(other.slot_count_, 0)),
          head_(std::exchange(other.head_, 0)),
          size_(std::exchange(other.size_, 0)) {}
    Ring& operator=(Ring&&) = delete;
    ~Ring() {
        while (!empty()) pop_front();
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// REQUIRES: i < size().
    [[nodiscard]] T& operator[](std::size_t i) {
        assert(i < size_);
        return *at(i);
    }
    [[nodiscard]] const T& operator[](std::size_t i) const {
        assert(i < size_);
        return *at(i);
    }
    /// REQUIRES: !empty().
    [[nodiscard]] T& front() { return (*this)[0]; }
    [[nodiscard]] const T& front() const { return (*this)[0]; }
    [[nodiscard]] T& back() { return (*this)[size_ - 1]; }

    /// Appends a T made of `arguments`, which are none of its own elements. Throws std::bad_alloc,
    /// and nothing is pushed then; so do the others.
    template <class... Arguments>
    void emplace_back(Arguments&&... arguments) {
        if (size_ == slot_count_) grow();
        std::construct_at(at(size_), std::forward<Arguments>(arguments)...);
        ++size_;
    }
    void push_back(T value) { emplace_back(std::move(value)); }
    template <class... Arguments>
    void emplace_front(Arguments&&... arguments) {
        if (size_ == slot_count_) grow();
        std::construct_at(at(slot_count_ - 1), std::forward<Arguments>(arguments)...);
        head_ = (head_ + slot_count_ - 1) & (slot_count_ - 1);
        ++size_;
    }
    /// REQUIRES: !empty().
    void pop_front() {
        std::destroy_at(&front());
        head_ = (head_ + 1) & (slot_count_ - 1);
        --size_;
    }
    void pop_back() {
        std::destroy_at(&back());
        --size_;
    }
    /// Is it empty, and holds much?
    [[nodiscard]] bool trimmable() const { return size_ == 0 && slot_count_ > k_kept; }
    /// If so, gives its memory back.
    void trim() {
        if (!trimmable()) return;
        slots_.reset();
        slot_count_ = head_ = 0;
    }

  private:
    static_assert(std::is_nothrow_move_constructible_v<T>);
    static constexpr std::size_t k_least = 4;
    /// Slots that are always kept: a few KiB.
    static constexpr std::size_t k_kept = 64;

    /// Room for a T, which need not be there.
    union Slot {
        Slot() {}
        ~Slot() {}
        T value;
    };

    // The place of the i-th element, or of the one that will be.
    [[nodiscard]] T* at(std::size_t i) const {
        return &slots_[(head_ + i) & (slot_count_ - 1)].value;
    }
    void grow() {
        const std::size_t larger = slot_count_ == 0 ? k_least : slot_count_ * 2;
        auto slots = std::make_unique_for_overwrite<Slot[]>(larger);
        for (std::size_t i = 0; i < size_; ++i) {
            std::construct_at(&slots[i].value, std::move(*at(i)));
            std::destroy_at(at(i));
        }
        slots_ = std::move(slots);
        slot_count_ = larger;
        head_ = 0;
    }

    std::unique_ptr<Slot[]> slots_;
    std::size_t slot_count_ = 0;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
};

}  // namespace nq::detail
