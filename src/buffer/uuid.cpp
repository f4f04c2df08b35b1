// SPDX-License-Identifier: Apache-2.0
#include <net_queue/uuid.hpp>

#include <sys/random.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace nq {

namespace {

constexpr char k_digits[] = "0123456789abcdef";

int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_hyphen_position(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

}  // namespace

Uuid Uuid::random() {
    std::array<std::byte, k_size> octets;
    // Up to 256 octets come whole or not at all (getrandom(2)).
    while (::getrandom(octets.data(), octets.size(), 0) != static_cast<ssize_t>(octets.size())) {
        if (errno != EINTR) throw std::system_error(errno, std::system_category(), "getrandom");
    }
    octets[6] = (octets[6] & std::byte{0x0f}) | std::byte{0x40};  // version 4
    octets[8] = (octets[8] & std::byte{0x3f}) | std::byte{0x80};  // variant of RFC 9562
    return Uuid(octets);
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
    const bool hyphens = text.size() == 36;
    if (!hyphens && text.size() != 32) return std::nullopt;
    std::array<std::byte, k_size> octets{};
    std::size_t nibble = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (hyphens && is_hyphen_position(i)) {
            if (text[i] != '-') return std::nullopt;
            continue;
        }
        const int value = digit_value(text[i]);
        if (value < 0) return std::nullopt;
        octets[nibble / 2] = (octets[nibble / 2] << 4) | static_cast<std::byte>(value);
        ++nibble;
    }
    return Uuid(octets);
}

std::string Uuid::hex() const {
    std::string text;
    text.reserve(32);
    for (const std::byte octet : octets_) {
        text.push_back(k_digits[std::to_integer<unsigned>(octet >> 4)]);
        text.push_back(k_digits[std::to_integer<unsigned>(octet & std::byte{0x0f})]);
    }
    return text;
}

std::string Uuid::to_string() const {
    std::string text = hex();
    for (const std::size_t position : {8U, 13U, 18U, 23U}) text.insert(position, 1, '-');
    return text;
}

}  // namespace nq

std::size_t std::hash<nq::Uuid>::operator()(const nq::Uuid& uuid) const noexcept {
    // Peers choose their UUIDs, so a weak mix would let them choose collisions: both halves go
    // through a 64-bit finaliser seeded once per process.
    static const std::uint64_t seed = [] {
        std::uint64_t value = 0x9e3779b97f4a7c15;
        (void)!::getrandom(&value, sizeof value, 0);
        return value;
    }();
    std::uint64_t halves[2];
    std::memcpy(halves, uuid.octets().data(), sizeof halves);
    std::uint64_t mixed = seed;
    for (const std::uint64_t half : halves) {
        mixed ^= half;
        mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccd;
        mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53;
        mixed ^= mixed >> 33;
    }
    return static_cast<std::size_t>(mixed);
}
