// SPDX-License-Identifier: Apache-2.0
#include "pickle/literal.hpp"

#include <algorithm>
#include <charconv>

namespace nq::detail {

namespace {

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Takes exactly n digits of that base off the front.
std::optional<std::uint32_t> take_digits(std::string_view& text, std::size_t n, int base) {
    if (text.size() < n) return std::nullopt;
    std::uint32_t value = 0;
    for (const char c : text.substr(0, n)) {
        const int digit = digit_of(c);
        if (digit < 0 || digit >= base) return std::nullopt;
        value = value * static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(digit);
    }
    text.remove_prefix(n);
    return value;
}

void append_utf8(std::string& text, std::uint32_t point) {
    const auto put = [&text](std::uint32_t octet) { text.push_back(static_cast<char>(octet)); };
    if (point < 0x80) return put(point);
    if (point < 0x800) {
        put(0xc0 | (point >> 6));
    } else if (point < 0x10000) {
        put(0xe0 | (point >> 12));
        put(0x80 | ((point >> 6) & 0x3f));
    } else {
        put(0xf0 | (point >> 18));
        put(0x80 | ((point >> 12) & 0x3f));
        put(0x80 | ((point >> 6) & 0x3f));
    }
    put(0x80 | (point & 0x3f));
}

/// What stands behind a backslash, taken off the front: its character, or nothing for an error.
std::optional<std::string> take_escape(std::string_view& text) {
    if (text.empty()) return std::nullopt;
    constexpr std::string_view k_names = "abfnrtv\\'\"";
    constexpr std::string_view k_values = "\a\b\f\n\r\t\v\\'\"";
    const char c = text.front();
    if (const std::size_t i = k_names.find(c); i != std::string_view::npos) {
        text.remove_prefix(1);
        return std::string(1, k_values[i]);
    }
    if (c == 'x') {
        text.remove_prefix(1);
        const auto value = take_digits(text, 2, 16);
        if (!value) return std::nullopt;
        return std::string(1, static_cast<char>(*value));
    }
    if (c >= '0' && c <= '7') {
        std::size_t n = 1;
        while (n < 3 && n < text.size() && text[n] >= '0' && text[n] <= '7') ++n;
        return std::string(1, static_cast<char>(*take_digits(text, n, 8)));
    }
    // Python keeps the backslash of an escape it does not know.
    text.remove_prefix(1);
    return std::string{'\\', c};
}

}  // namespace

bool is_ascii(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

std::optional<double> parse_float(std::string_view line) {
    if (line.starts_with('+')) {
        line.remove_prefix(1);
        if (line.starts_with('-')) return std::nullopt;
    }
    double value = 0;
    const char* const last = line.data() + line.size();
    const auto [end, error] = std::from_chars(line.data(), last, value);
    // from_chars reads "nan(...)" too, which Python does not.
    if (error != std::errc() || end != last || line.ends_with(')')) return std::nullopt;
    return value;
}

std::optional<Value> parse_int(std::string_view line) {
    if (line == "00") return Value(false);
    if (line == "01") return Value(true);
    return parse_long(line);
}

std::optional<Value> parse_long(std::string_view line) {
    if (line.ends_with('L')) line.remove_suffix(1);
    auto big = BigInt::parse(line);
    if (!big) return std::nullopt;
    return Value(std::move(*big));
}

std::optional<std::uint32_t> parse_index(std::string_view line) {
    std::uint32_t index = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), index);
    if (error != std::errc() || end != line.data() + line.size()) return std::nullopt;
    return index;
}

std::optional<std::string> parse_quoted(std::string_view line) {
    if (line.size() < 2 || line.front() != line.back()) return std::nullopt;
    if (line.front() != '\'' && line.front() != '"') return std::nullopt;
    line = line.substr(1, line.size() - 2);
    std::string text;
    text.reserve(line.size());
    while (!line.empty()) {
        const char c = line.front();
        line.remove_prefix(1);
        if (c != '\\') {
            text.push_back(c);
            continue;
        }
        const auto escape = take_escape(line);
        if (!escape) return std::nullopt;
        text += *escape;
    }
    if (!is_ascii(text)) return std::nullopt;
    return text;
}

std::optional<std::string> parse_raw_unicode(std::string_view line) {
    std::string text;
    text.reserve(2 * line.size());  // Latin-1 at its worst: growing step by step would take more
    while (!line.empty()) {
        const auto c = static_cast<unsigned char>(line.front());
        line.remove_prefix(1);
        if (c != '\\' || line.empty()) {
            append_utf8(text, c);
            continue;
        }
        const char kind = line.front();
        line.remove_prefix(1);
        if (kind != 'u' && kind != 'U') {
            // Two at once: the second of two backslashes does not begin an escape.
            text.push_back('\\');
            append_utf8(text, static_cast<unsigned char>(kind));
            continue;
        }
        const auto point = take_digits(line, kind == 'u' ? 4 : 8, 16);
        if (!point || *point > 0x10ffff) return std::nullopt;
        append_utf8(text, *point);
    }
    return text;
}

std::optional<std::string> latin1_of(std::string_view utf8) {
    std::string octets;
    octets.reserve(utf8.size());
    for (std::size_t i = 0; i < utf8.size(); ++i) {
        const auto lead = static_cast<unsigned char>(utf8[i]);
        if (lead < 0x80) {
            octets.push_back(utf8[i]);
        } else if (lead <= 0xc3 && i + 1 < utf8.size()) {
            ++i;
            octets.push_back(static_cast<char>(((lead & 0x03) << 6) | (utf8[i] & 0x3f)));
        } else {
            return std::nullopt;
        }
    }
    return octets;
}

}  // namespace nq::detail
