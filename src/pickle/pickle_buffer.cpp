// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "pickle/writer.hpp"

namespace nq::detail {

namespace {

// From here on sharing a block is cheaper than copying it (Options: connection.efficient_size).
constexpr std::size_t k_shared_min = std::size_t{64} << 10;
// Blocks of collected octets: large enough that their number does not matter, small enough that
// growing one copies little.
constexpr std::size_t k_block = std::size_t{256} << 10;
constexpr std::size_t k_alignment = 16;
// SHORT_BINBYTES, a length, POP.
constexpr std::size_t k_padding_min = 3;

}  // namespace

void PickleBuffer::put_number(std::uint64_t number, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) put_octet((number >> (8 * i)) & 0xff);
}

void PickleBuffer::put_octets(std::span<const std::byte> octets) {
    if (octets_.size() >= k_block) flush();
    octets_.insert(octets_.end(), octets.begin(), octets.end());
}

void PickleBuffer::put_payload(const Chunk& payload) {
    if (payload.size() < k_shared_min) return put_octets(payload.octets());
    flush();
    stream_.write_chunk(payload);
}

void PickleBuffer::align(std::size_t ahead) {
    const std::size_t position = (stream_.size() + octets_.size() + ahead) % k_alignment;
    if (position == 0) return;
    std::size_t padding = k_alignment - position;
    if (padding < k_padding_min) padding += k_alignment;
    put(Op::short_binbytes);
    put_octet(padding - k_padding_min);
    octets_.insert(octets_.end(), padding - k_padding_min, std::byte{0});
    put(Op::pop);
}

Stream PickleBuffer::finish() {
    flush();
    return std::exchange(stream_, Stream());
}

void PickleBuffer::flush() {
    if (octets_.empty()) return;
    stream_.write_chunk(Chunk::take(std::exchange(octets_, {})));
}

}  // namespace nq::detail
