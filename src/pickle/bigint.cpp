// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <net_queue/value.hpp>

namespace nq {

namespace {

// CPython refuses longer decimal text (sys.int_info.default_max_str_digits), because conversion
// costs the square of the length.
constexpr std::size_t k_digits_max = 4300;
// 4,300 digits need 14,285 bits and a sign.
constexpr std::size_t k_decimal_octets_max = 1786;
constexpr std::uint32_t k_chunk = 1'000'000'000;  // 9 decimal digits at a time
constexpr std::size_t k_chunk_digits = 9;

/// Drops the octets at the top that only repeat the sign.
void normalise(std::string& octets) {
    while (!octets.empty()) {
        const auto top = static_cast<unsigned char>(octets.back());
        const bool below_negative =
            octets.size() > 1 &&
            (static_cast<unsigned char>(octets[octets.size() - 2]) & 0x80) != 0;
        if (!(top == 0x00 && !below_negative) && !(top == 0xff && below_negative)) return;
        octets.pop_back();
    }
}

void negate(std::string& octets) {
    unsigned carry = 1;
    for (char& octet : octets) {
        const unsigned sum = (~static_cast<unsigned>(octet) & 0xff) + carry;
        octet = static_cast<char>(sum & 0xff);
        carry = sum >> 8;
    }
}

/// value = value * factor + addend; the least significant limb first.
void multiply_add(std::vector<std::uint32_t>& limbs, std::uint32_t factor, std::uint32_t addend) {
    std::uint64_t carry = addend;
    for (std::uint32_t& limb : limbs) {
        carry += std::uint64_t{limb} * factor;
        limb = static_cast<std::uint32_t>(carry);
        carry >>= 32;
    }
    if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
}

/// value = value / k_chunk; returns the remainder.
std::uint32_t divide(std::vector<std::uint32_t>& limbs) {
    std::uint64_t rest = 0;
    for (auto limb = limbs.rbegin(); limb != limbs.rend(); ++limb) {
        rest = (rest << 32) | *limb;
        *limb = static_cast<std::uint32_t>(rest / k_chunk);
        rest %= k_chunk;
    }
    while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
    return static_cast<std::uint32_t>(rest);
}

std::string hexadecimal(const std::string& magnitude) {
    std::string text = "0x";
    char digits[3];
    for (auto octet = magnitude.rbegin(); octet != magnitude.rend(); ++octet) {
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(*octet) & 0xff);
        text += digits;
    }
    return text;
}

std::string decimal(const std::string& magnitude) {
    std::vector<std::uint32_t> limbs((magnitude.size() + 3) / 4);
    for (std::size_t i = 0; i < magnitude.size(); ++i) {
        limbs[i / 4] |= (static_cast<std::uint32_t>(magnitude[i]) & 0xff) << (8 * (i % 4));
    }
    std::string reversed;
    while (!limbs.empty()) {
        std::uint32_t rest = divide(limbs);
        for (std::size_t i = 0; i < k_chunk_digits; ++i, rest /= 10) {
            reversed.push_back(static_cast<char>('0' + rest % 10));
        }
    }
    while (reversed.size() > 1 && reversed.back() == '0') reversed.pop_back();
    std::reverse(reversed.begin(), reversed.end());
    return reversed.empty() ? "0" : reversed;
}

}  // namespace

BigInt::BigInt(std::span<const std::byte> octets)
    : octets_(reinterpret_cast<const char*>(octets.data()), octets.size()) {
    normalise(octets_);
}

std::optional<BigInt> BigInt::parse(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    if (text.empty() || text.size() > k_digits_max) return std::nullopt;
    std::vector<std::uint32_t> limbs;
    while (!text.empty()) {
        std::uint32_t factor = 1, digits = 0;
        const std::size_t n = std::min(k_chunk_digits, text.size());
        for (const char digit : text.substr(0, n)) {
            if (digit < '0' || digit > '9') return std::nullopt;
            digits = digits * 10 + static_cast<std::uint32_t>(digit - '0');
            factor *= 10;
        }
        multiply_add(limbs, factor, digits);
        text.remove_prefix(n);
    }
    BigInt result;
    for (const std::uint32_t limb : limbs) {
        for (int shift = 0; shift < 32; shift += 8) {
            result.octets_.push_back(static_cast<char>(limb >> shift));
        }
    }
    result.octets_.push_back('\0');
    if (negative) negate(result.octets_);
    normalise(result.octets_);
    return result;
}

std::span<const std::byte> BigInt::octets() const { return std::as_bytes(std::span(octets_)); }

bool BigInt::is_negative() const {
    return !octets_.empty() && (static_cast<unsigned char>(octets_.back()) & 0x80) != 0;
}

std::optional<std::int64_t> BigInt::to_int64() const {
    if (octets_.size() > 8) return std::nullopt;
    std::uint64_t value = is_negative() ? ~std::uint64_t{0} : 0;
    for (auto octet = octets_.rbegin(); octet != octets_.rend(); ++octet) {
        value = (value << 8) | (static_cast<std::uint64_t>(*octet) & 0xff);
    }
    return static_cast<std::int64_t>(value);
}

std::string BigInt::to_string() const {
    std::string magnitude = octets_;
    if (is_negative()) {
        magnitude.push_back('\xff');
        negate(magnitude);
    }
    const bool is_long = magnitude.size() > k_decimal_octets_max;
    return (is_negative() ? "-" : "") + (is_long ? hexadecimal(magnitude) : decimal(magnitude));
}

}  // namespace nq
