// SPDX-License-Identifier: Apache-2.0
#include "pickle/decimal.hpp"

#include <cstddef>

namespace nq::detail {

namespace {

bool skip_word(std::string_view& text, std::string_view word) {
    if (!text.starts_with(word)) return false;
    text.remove_prefix(word.size());
    return true;
}

void skip_sign(std::string_view& text) {
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
}

std::size_t skip_digits(std::string_view& text) {
    std::size_t n = 0;
    while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
    text.remove_prefix(n);
    return n;
}

// Beyond 18 digits the exponent leaves what Python's Decimal can hold.
constexpr std::size_t k_exponent_digits_max = 18;

}  // namespace

bool is_decimal(std::string_view text) noexcept {
    skip_sign(text);
    if (skip_word(text, "Infinity") || skip_word(text, "Inf")) return text.empty();
    if (skip_word(text, "NaN") || skip_word(text, "sNaN")) return skip_digits(text), text.empty();
    std::size_t digits = skip_digits(text);
    if (skip_word(text, ".")) digits += skip_digits(text);
    if (digits == 0) return false;
    if (skip_word(text, "E") || skip_word(text, "e")) {
        skip_sign(text);
        const std::size_t n = skip_digits(text);
        if (n == 0 || n > k_exponent_digits_max) return false;
    }
    return text.empty();
}

}  // namespace nq::detail
