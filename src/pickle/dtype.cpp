// SPDX-License-Identifier: Apache-2.0
#include "pickle/dtype.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <net_queue/value.hpp>

#include "pickle/node.hpp"

namespace nq::detail {

namespace {

// numpy's own bound on the size of an item (an int in its C sources).
constexpr std::size_t k_item_size_max = INT32_MAX;

constexpr std::array<std::string_view, 13> k_units = {"Y",  "M",  "W",  "D",  "h",  "m", "s",
                                                      "ms", "us", "ns", "ps", "fs", "as"};

/// The number at the front, taken off it; nothing where there is none.
template <class T>
std::optional<T> take_number(std::string_view& text) {
    T number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

bool is_one_of(std::size_t size, std::initializer_list<std::size_t> sizes) {
    return std::find(sizes.begin(), sizes.end(), size) != sizes.end();
}

}  // namespace

std::optional<Dtype> Dtype::parse(std::string_view text) {
    if (text.size() < 3) return std::nullopt;
    Dtype dtype;
    dtype.order = text[0];
    dtype.kind = text[1];
    text.remove_prefix(2);
    const auto count = take_number<std::size_t>(text);
    if (!count) return std::nullopt;
    dtype.count = *count;
    if (text.starts_with('[') && text.ends_with(']')) {
        text = text.substr(1, text.size() - 2);
        if (const auto number = take_number<std::int32_t>(text)) dtype.unit_count = *number;
        dtype.unit = text;
        text = {};
        if (dtype.unit.empty()) return std::nullopt;
    }
    if (!text.empty() || !dtype.is_valid()) return std::nullopt;
    return dtype;
}

bool Dtype::is_valid() const {
    const bool ordered = order == '<' || order == '>';
    if (count == 0 || count > k_item_size_max / 4 || unit_count < 1) return false;
    if (!unit.empty() && !is_time()) return false;
    switch (kind) {
        case 'b': return count == 1 && order == '|';
        case 'i':
        case 'u': return count == 1 ? order == '|' : ordered && is_one_of(count, {2, 4, 8});
        case 'f': return ordered && is_one_of(count, {2, 4, 8, 16});
        case 'c': return ordered && is_one_of(count, {8, 16, 32});
        case 'S':
        case 'V': return order == '|';
        case 'U': return ordered;
        case 'M':
        case 'm':
            return ordered && count == 8 &&
                   (unit.empty()
                        ? unit_count == 1
                        : std::find(k_units.begin(), k_units.end(), unit) != k_units.end());
        default: return false;
    }
}

std::string Dtype::to_string() const {
    std::string text{order, kind};
    text += std::to_string(count);
    if (unit.empty()) return text;
    return text + "[" + (unit_count == 1 ? "" : std::to_string(unit_count)) + unit + "]";
}

std::optional<std::size_t> octets_of(const std::vector<std::size_t>& shape, std::size_t item_size) {
    std::size_t octets = item_size;
    for (const std::size_t axis : shape) {
        if (__builtin_mul_overflow(octets, axis, &octets)) return std::nullopt;
    }
    return octets;
}

}  // namespace nq::detail

namespace nq {

std::size_t Array::size() const {
    const auto items = detail::octets_of(shape, 1);
    if (!items) detail::raise_serialization("a numpy array's shape overflows");
    return *items;
}

std::size_t Array::item_size() const {
    const auto parsed = detail::Dtype::parse(dtype);
    return parsed ? parsed->item_size() : 0;
}

void Array::require_items(std::string_view wanted, std::size_t alignment) const {
    if (dtype != wanted) {
        detail::raise_serialization("the array's dtype is " + dtype + ", not " +
                                    std::string(wanted));
    }
    if (reinterpret_cast<std::uintptr_t>(octets.data()) % alignment != 0) {
        detail::raise_serialization("the array's octets are not aligned for " + dtype);
    }
}

bool operator==(const Array& a, const Array& b) {
    return a.dtype == b.dtype && a.shape == b.shape && a.fortran == b.fortran &&
           a.octets.text() == b.octets.text();
}

}  // namespace nq
