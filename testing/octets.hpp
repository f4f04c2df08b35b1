// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "session/frame.hpp"

/// The peer's side of a conversation as data: octets as strings.
namespace nq::testing {

/// The UUID whose octets all are `octet`.
inline Uuid uuid_of(std::uint8_t octet) {
    std::array<std::byte, Uuid::k_size> octets;
    octets.fill(std::byte{octet});
    return Uuid(octets);
}

inline std::string_view text_of(std::span<const std::byte> octets) {
    return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

inline std::string text_of(std::span<const Chunk> chunks) {
    std::string text;
    for (const Chunk& chunk : chunks) text += chunk.text();
    return text;
}

inline std::string text_of(const Stream& stream) { return std::string(stream.to_chunk().text()); }

inline std::string text_of(const Uuid& uuid) { return std::string(text_of(uuid.octets())); }

/// The eight octets that announce a payload of `size` octets.
inline std::string header(std::uint64_t size) {
    return std::string(text_of(detail::encode_header(size)));
}

inline std::string frame(std::string_view payload) {
    return header(payload.size()) + std::string(payload);
}

/// The ini or the fin of `uuid`.
inline std::string identity(const Uuid& uuid) { return frame(text_of(uuid)); }

}  // namespace nq::testing
