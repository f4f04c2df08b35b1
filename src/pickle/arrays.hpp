// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace nq::detail {

/// Where the octets of an array stand in a pickle: [offset, offset + size), and the instruction
/// that holds them from `instruction` on.
struct ArrayOctets {
    std::size_t instruction = 0;
    std::size_t offset = 0;
    std::size_t size = 0;
    bool writable = false;  ///< a bytearray's, not those of bytes
};

/// Finds the octets that a pickle of protocol 5 hands to numpy's `_frombuffer` alone, `size_min`
/// and longer and outside of frames: those that whoever runs the pickle may take from elsewhere
/// (NEXT_BUFFER) instead of copying them. In the order of their offsets.
///
/// A search, no check: what can't be decoded ends it, and what was found until then still holds
/// where the pickle loads at all.
std::vector<ArrayOctets> find_arrays(std::span<const std::byte> pickle, std::size_t size_min);

}  // namespace nq::detail
