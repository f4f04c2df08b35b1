// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <net_queue/value.hpp>

namespace nq::detail {

// The texts of protocol 0. Each function gives nothing for what Python would not read so.
// Their memory: at most twice the text.

/// "F": what float() takes, without blanks and underscores.
std::optional<double> parse_float(std::string_view line);
/// "I": decimal, or "00" and "01" for False and True; "L": decimal, perhaps with an "L" at its end.
std::optional<Value> parse_int(std::string_view line);
std::optional<Value> parse_long(std::string_view line);
/// "p", "g": a memo index below 2^32.
std::optional<std::uint32_t> parse_index(std::string_view line);
/// "S": a literal of Python 2 in quotes with its escapes; ASCII only, as CPython's default is.
std::optional<std::string> parse_quoted(std::string_view line);
/// "V": Latin-1 with \uXXXX and \UXXXXXXXX; gives UTF-8 (surrogates as three octets each).
std::optional<std::string> parse_raw_unicode(std::string_view line);

/// UTF-8 of code points below 256, as those octets; nothing where others stand between.
std::optional<std::string> latin1_of(std::string_view utf8);

[[nodiscard]] bool is_ascii(std::string_view text) noexcept;

}  // namespace nq::detail
