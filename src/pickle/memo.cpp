// SPDX-License-Identifier: Apache-2.0
#include "pickle/memo.hpp"

#include <cassert>
#include <random>

namespace nq::detail {

namespace {

// At most 15 of 16 slots in use, and a quarter more of them each time: old and new table together
// take (1 + 1.25) x 6 octets a slot, 14.4 an entry; and a hole that it may leave takes 2.
constexpr std::size_t k_slots_min = 64;
constexpr bool is_full(std::size_t count, std::size_t slots) { return count * 16 >= slots * 15; }

}  // namespace

void MarkMemo::define(std::uint32_t index, std::uint16_t mark) {
    assert(mark != 0);
    if (is_dense(dense_.size(), count_++, index)) {
        while (dense_.size() <= index) dense_.push_back(0);
        dense_[index] = mark;
        return;
    }
    if (is_full(sparse_count_, keys_.size())) grow();
    const std::size_t slot = slot_of(index);
    keys_[slot] = index;
    marks_[slot] = mark;
    ++sparse_count_;
}

std::uint16_t* MarkMemo::find(std::uint32_t index) {
    if (index < dense_.size() && dense_[index] != 0) return &dense_[index];
    if (keys_.empty()) return nullptr;
    // Also below dense_end: the index may have been sparse before the dense part reached it.
    const std::size_t slot = slot_of(index);
    return marks_[slot] == 0 ? nullptr : &marks_[slot];
}

std::size_t MarkMemo::slot_of(std::uint32_t index) const {
    const std::size_t slots = keys_.size();
    // The sender chooses the indices; seeded, so that it can't choose them to collide.
    static const std::uint64_t seed = std::random_device()();
    std::uint64_t mixed = (index ^ (seed << 32) ^ seed) * 0xff51afd7ed558ccd;
    mixed = ((mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53) >> 32;
    std::size_t slot = static_cast<std::size_t>((mixed * slots) >> 32);
    while (marks_[slot] != 0 && keys_[slot] != index) slot = slot + 1 == slots ? 0 : slot + 1;
    return slot;
}

void MarkMemo::grow() {
    const std::size_t slots = keys_.empty() ? k_slots_min : keys_.size() + keys_.size() / 4;
    std::vector<std::uint32_t> keys(slots);
    std::vector<std::uint16_t> marks(slots);
    keys_.swap(keys);
    marks_.swap(marks);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (marks[i] == 0) continue;
        const std::size_t slot = slot_of(keys[i]);
        keys_[slot] = keys[i];
        marks_[slot] = marks[i];
    }
}

}  // namespace nq::detail
