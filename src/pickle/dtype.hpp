// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nq::detail {

/// A numpy dtype of plain items. Its text is numpy's dtype.str:
///     dtype = order kind count ["[" [number] unit "]"]
///     order = "<" | ">" | "|"        ("|" where order means nothing)
///     kind  = b i u f c S U V M m    (count: octets; for U: characters of 4 octets)
struct Dtype {
    char order = '|';
    char kind = 'u';
    std::size_t count = 1;
    std::string unit = {};        // of M and m: "D", "us", ...; empty: none
    std::int32_t unit_count = 1;  // 25 in "[25us]"

    /// What is no such dtype, or has items of no octets, gives nothing.
    static std::optional<Dtype> parse(std::string_view text);
    /// Whether numpy has it, and order is in its normal form.
    [[nodiscard]] bool is_valid() const;
    [[nodiscard]] std::size_t item_size() const { return kind == 'U' ? count * 4 : count; }
    [[nodiscard]] bool is_time() const { return kind == 'M' || kind == 'm'; }
    [[nodiscard]] std::string to_string() const;
};

/// The product of the axes times item_size, or nothing where it overflows.
std::optional<std::size_t> octets_of(const std::vector<std::size_t>& shape, std::size_t item_size);

}  // namespace nq::detail
