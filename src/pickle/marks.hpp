// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace nq::detail::marks {

// A mark of 16 bits. Not text: a kind in the low bits, and two flags.
inline constexpr std::uint16_t k_plain = 1;      // hashable, nothing more to know
inline constexpr std::uint16_t k_bytearray = 2;  // not hashable
inline constexpr std::uint16_t k_tuple = 3;
inline constexpr std::uint16_t k_global = 5;
inline constexpr std::uint16_t k_list = 6;
inline constexpr std::uint16_t k_dict = 7;
inline constexpr std::uint16_t k_set = 8;
inline constexpr std::uint16_t k_instance = 9;
inline constexpr std::uint16_t k_built = 10;  // an instance that has its state
inline constexpr std::uint16_t k_mark = 11;   // MARK itself
inline constexpr std::uint16_t k_kind_bits = 0x1f;
inline constexpr std::uint16_t k_held = 0x20;    // stands in the memo, its index in held_
inline constexpr std::uint16_t k_shared = 0x40;  // referred to elsewhere: closed
// Text: this bit, whether it is too long for a global, and its word in the allow list.
inline constexpr std::uint16_t k_text = 0x8000;
inline constexpr std::uint16_t k_long_text = 0x4000;
inline constexpr std::uint16_t k_word_bits = 0x1fff;

constexpr std::uint16_t kind_of(std::uint16_t mark) {
    return (mark & k_text) != 0 ? k_text : mark & k_kind_bits;
}

constexpr bool is_mutable(std::uint16_t mark) {
    const std::uint16_t kind = kind_of(mark);
    return kind >= k_list && kind <= k_built;
}

/// What is certainly not hashable; of tuples and instances nothing is known.
constexpr bool is_hashable(std::uint16_t mark) {
    switch (kind_of(mark)) {
        case k_bytearray:
        case k_list:
        case k_dict:
        case k_set: return false;
        default: return true;
    }
}

constexpr bool is_instance(std::uint16_t mark) {
    return kind_of(mark) == k_instance || kind_of(mark) == k_built;
}

}  // namespace nq::detail::marks
