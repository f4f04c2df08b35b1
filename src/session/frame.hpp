// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <net_queue/uuid.hpp>

namespace nq::detail {

// The byte grammar (WIRE.md, Framing):
//
//     connection = ini *message [fin]        in each direction
//     ini, fin   = frame                     whose payload is the sender's UUID
//     message    = frame
//     frame      = size payload              size: u64, big-endian, octets of the payload alone

constexpr std::size_t k_header_size = 8;
/// Octets of an ini or a fin, header included.
constexpr std::size_t k_identity_size = k_header_size + Uuid::k_size;

using Header = std::array<std::byte, k_header_size>;
using IdentityFrame = std::array<std::byte, k_identity_size>;

constexpr Header encode_header(std::uint64_t size) {
    Header header{};
    for (std::size_t i = k_header_size; i-- > 0; size >>= 8) {
        header[i] = static_cast<std::byte>(size & 0xff);
    }
    return header;
}

/// REQUIRES: octets.size() >= 8.
constexpr std::uint64_t decode_header(std::span<const std::byte> octets) {
    std::uint64_t size = 0;
    for (const std::byte octet : octets.first(k_header_size)) {
        size = size << 8 | std::to_integer<std::uint64_t>(octet);
    }
    return size;
}

/// The ini or the fin of `uuid`.
inline IdentityFrame encode_identity(const Uuid& uuid) {
    IdentityFrame frame;
    const Header header = encode_header(Uuid::k_size);
    std::memcpy(frame.data(), header.data(), k_header_size);
    std::memcpy(frame.data() + k_header_size, uuid.octets().data(), Uuid::k_size);
    return frame;
}

/// Reads the first frame of a connection from a stranger: 24 octets and no more, refused as soon as
/// one of them is wrong. The octets land in `space()`; nothing is allocated.
class IdentityReader {
  public:
    enum class Status { incomplete, complete, invalid };

    /// Where the next octets of the ini should land; empty when complete.
    [[nodiscard]] std::span<std::byte> space() { return std::span(frame_).subspan(filled_); }

    /// n octets landed in space().
    void handle_received(std::size_t n) { filled_ += n; }

    [[nodiscard]] Status status() const {
        constexpr Header expected = encode_header(Uuid::k_size);
        const std::size_t known = filled_ < k_header_size ? filled_ : k_header_size;
        if (std::memcmp(frame_.data(), expected.data(), known) != 0) return Status::invalid;
        return filled_ == k_identity_size ? Status::complete : Status::incomplete;
    }

    /// REQUIRES: status() is complete.
    [[nodiscard]] Uuid uuid() const {
        return Uuid::from_octets(std::span(frame_).subspan(k_header_size));
    }

    /// What came so far, for the log.
    [[nodiscard]] std::span<const std::byte> received() const {
        return std::span(frame_).first(filled_);
    }

  private:
    IdentityFrame frame_{};
    std::size_t filled_ = 0;
};

}  // namespace nq::detail
