// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cassert>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nq {

/// The identity of a communicator: 16 octets in the order of RFC 9562.
/// A value type; any number of threads may read one.
class Uuid {
  public:
    static constexpr std::size_t k_size = 16;

    /// The nil UUID: all octets zero. No communicator may carry it.
    constexpr Uuid() = default;
    explicit constexpr Uuid(const std::array<std::byte, k_size>& octets) : octets_(octets) {}

    /// A random UUID (RFC 9562, version 4) from the operating system's generator.
    /// Throws std::system_error where the system has no randomness to give.
    static Uuid random();

    /// Reads the 36-character form or 32 hexadecimal digits of either case; nothing else.
    static std::optional<Uuid> parse(std::string_view text);

    /// Takes the first 16 octets. REQUIRES: octets.size() >= 16.
    static Uuid from_octets(std::span<const std::byte> octets) {
        assert(octets.size() >= k_size);
        Uuid uuid;
        std::memcpy(uuid.octets_.data(), octets.data(), k_size);
        return uuid;
    }

    [[nodiscard]] constexpr bool is_nil() const { return *this == Uuid{}; }
    [[nodiscard]] constexpr const std::array<std::byte, k_size>& octets() const { return octets_; }

    /// Lower case with hyphens: 8-4-4-4-12.
    [[nodiscard]] std::string to_string() const;
    /// 32 lower-case hexadecimal digits: the form used in MQTT topics (WIRE.md, MQTT).
    [[nodiscard]] std::string hex() const;

    friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;

  private:
    std::array<std::byte, k_size> octets_{};
};

}  // namespace nq

template <>
struct std::hash<nq::Uuid> {
    std::size_t operator()(const nq::Uuid& uuid) const noexcept;
};
