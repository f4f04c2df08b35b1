// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include <net_queue/value.hpp>

namespace nq::detail {

/// The globals whose instances arrive as a ValueType of their own, or help to make one.
enum class Known : std::uint8_t {
    none,
    codecs_encode,
    builtins_bytearray,
    builtins_bytes,
    builtins_complex,
    builtins_frozenset,
    builtins_object,
    builtins_set,
    copyreg_newobj,
    copyreg_newobj_ex,
    copyreg_reconstructor,
    datetime_date,
    datetime_datetime,
    datetime_time,
    datetime_timedelta,
    datetime_timezone,
    decimal_decimal,
    numpy_dtype,
    numpy_frombuffer,
    numpy_ndarray,
    numpy_reconstruct,
    numpy_scalar,
    uuid_uuid,
};

/// Octets in a module or a name at most: so that naming one again and again stays cheap.
inline constexpr std::size_t k_global_text_max = 255;

/// Exact names only; a dotted name is none of them.
[[nodiscard]] Known find_known(const Global& global) noexcept;

struct GlobalName {
    std::string_view module;
    std::string_view name;
};

/// What protocols 0 to 2 call by its name in Python 2, by its name in Python 3.
[[nodiscard]] GlobalName modern_name(GlobalName name) noexcept;

}  // namespace nq::detail
