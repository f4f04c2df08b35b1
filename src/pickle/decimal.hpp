// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace nq::detail {

/// Whether str(decimal.Decimal) may give this text:
///     number  = [sign] (digits ["." [digits]] | "." digits) [("e" | "E") [sign] 1*18 digit]
///     special = [sign] ("Infinity" | "Inf" | "NaN" [digits] | "sNaN" [digits])
[[nodiscard]] bool is_decimal(std::string_view text) noexcept;

}  // namespace nq::detail
