// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <bit>

#include "pickle/dtype.hpp"
#include "pickle/node.hpp"
#include "pickle/writer.hpp"

// What holds no other values, as instructions. The recipes of known types are those of CPython 3.8
// and later, and of numpy 1 (which numpy 2 reads).
namespace nq::detail {

void Writer::write_int(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= 0 && value < 256) {
        out_.put(Op::binint1);
        out_.put_octet(bits);
    } else if (value >= 0 && value < 65536) {
        out_.put(Op::binint2);
        out_.put_number(bits, 2);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        out_.put(Op::binint);
        out_.put_number(bits, 4);
    } else {
        out_.put(Op::long1);
        out_.put_octet(8);
        out_.put_number(bits, 8);
    }
}

void Writer::write_big_int(const BigInt& value) {
    const auto octets = value.octets();
    if (octets.size() < 256) {
        out_.put(Op::long1);
        out_.put_octet(octets.size());
    } else {
        if (octets.size() > INT32_MAX) raise_serialization("an int of more than 2 GiB");
        out_.put(Op::long4);
        out_.put_number(octets.size(), 4);
    }
    out_.put_octets(octets);
}

void Writer::write_float(double value) {
    out_.put(Op::binfloat);
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 56; shift >= 0; shift -= 8) out_.put_octet((bits >> shift) & 0xff);
}

void Writer::write_str(std::string_view utf8) {
    write_text(Chunk(std::as_bytes(std::span(utf8)), nullptr));
}

void Writer::write_text(const Chunk& utf8) {
    if (!is_utf8(utf8.octets())) raise_serialization("a str that is not UTF-8");
    if (utf8.size() < 256) {
        out_.put(Op::short_binunicode);
        out_.put_octet(utf8.size());
    } else if (utf8.size() <= UINT32_MAX) {
        out_.put(Op::binunicode);
        out_.put_number(utf8.size(), 4);
    } else {
        out_.put(Op::binunicode8);
        out_.put_number(utf8.size(), 8);
    }
    out_.put_payload(utf8);
}

void Writer::write_bytes(const Chunk& octets) {
    if (octets.size() < 256) return write_short_bytes(octets.octets());
    if (octets.size() <= UINT32_MAX) {
        out_.put(Op::binbytes);
        out_.put_number(octets.size(), 4);
    } else {
        out_.put(Op::binbytes8);
        out_.put_number(octets.size(), 8);
    }
    out_.put_payload(octets);
}

void Writer::write_short_bytes(std::span<const std::byte> octets) {
    out_.put(Op::short_binbytes);
    out_.put_octet(octets.size());
    out_.put_octets(octets);
}

void Writer::write_bytearray(const Chunk& octets) {
    out_.put(Op::bytearray8);
    out_.put_number(octets.size(), 8);
    out_.put_payload(octets);
}

// UUID.__new__(UUID) with the state {"int": n}.
void Writer::write_uuid(const Uuid& uuid) {
    std::array<std::byte, Uuid::k_size + 1> octets{};  // the last one holds the sign
    std::reverse_copy(uuid.octets().begin(), uuid.octets().end(), octets.begin());
    write_global("uuid", "UUID");
    out_.put(Op::empty_tuple);
    out_.put(Op::newobj);
    out_.put(Op::empty_dict);
    write_str("int");
    write_big_int(BigInt(octets));
    out_.put(Op::setitem);
    out_.put(Op::build);
}

void Writer::write_complex(std::complex<double> value) {
    write_global("builtins", "complex");
    write_float(value.real());
    write_float(value.imag());
    out_.put(Op::tuple2);
    out_.put(Op::reduce);
}

void Writer::write_decimal(const Chunk& text) {
    write_global("decimal", "Decimal");
    write_text(text);
    out_.put(Op::tuple1);
    out_.put(Op::reduce);
}

namespace {

std::byte octet(std::int64_t value) { return static_cast<std::byte>(value & 0xff); }

std::array<std::byte, 4> octets_of_date(const Date& date) {
    return {octet(date.year >> 8), octet(date.year), octet(date.month), octet(date.day)};
}

std::array<std::byte, 6> octets_of_time(const Time& time) {
    return {octet(time.hour),
            octet(time.minute),
            octet(time.second),
            octet(time.microsecond >> 16),
            octet(time.microsecond >> 8),
            octet(time.microsecond)};
}

// Python tells a time with fold=1 by the top bit of an octet that never uses it.
constexpr std::byte k_fold{0x80};

}  // namespace

void Writer::write_date(const Date& date) {
    write_global("datetime", "date");
    write_short_bytes(octets_of_date(date));
    out_.put(Op::tuple1);
    out_.put(Op::reduce);
}

void Writer::write_time(const Time& time) {
    auto octets = octets_of_time(time);
    if (time.fold) octets[0] |= k_fold;
    write_global("datetime", "time");
    write_short_bytes(octets);
    if (time.zone) write_timezone(*time.zone);
    out_.put(time.zone ? Op::tuple2 : Op::tuple1);
    out_.put(Op::reduce);
}

void Writer::write_datetime(const DateTime& value) {
    std::array<std::byte, 10> octets{};
    const auto date = octets_of_date(value.date);
    const auto time = octets_of_time(value.time);
    std::copy(time.begin(), time.end(), std::copy(date.begin(), date.end(), octets.begin()));
    if (value.time.fold) octets[2] |= k_fold;
    write_global("datetime", "datetime");
    write_short_bytes(octets);
    if (value.time.zone) write_timezone(*value.time.zone);
    out_.put(value.time.zone ? Op::tuple2 : Op::tuple1);
    out_.put(Op::reduce);
}

void Writer::write_timedelta(const TimeDelta& delta) {
    write_global("datetime", "timedelta");
    write_int(delta.days);
    write_int(delta.seconds);
    write_int(delta.microseconds);
    out_.put(Op::tuple3);
    out_.put(Op::reduce);
}

void Writer::write_timezone(const TimeZone& zone) {
    write_global("datetime", "timezone");
    write_timedelta(zone.offset);
    if (zone.name) write_str(*zone.name);
    out_.put(zone.name ? Op::tuple2 : Op::tuple1);
    out_.put(Op::reduce);
}

// The grammar stands in known_numpy.cpp.
void Writer::write_dtype(std::string_view text) {
    const auto parsed = Dtype::parse(text);
    if (!parsed) raise_serialization("unknown numpy dtype '" + std::string(text) + "'");
    const Dtype& dtype = *parsed;
    write_global("numpy", "dtype");
    write_str(dtype.kind + std::to_string(dtype.count));
    out_.put(Op::new_false);
    out_.put(Op::new_true);
    out_.put(Op::tuple3);
    out_.put(Op::reduce);
    out_.put(Op::mark);
    write_int(dtype.is_time() ? 4 : 3);
    write_str({&dtype.order, 1});
    for (int i = 0; i < 3; ++i) out_.put(Op::none);
    const bool sized = dtype.kind == 'S' || dtype.kind == 'U' || dtype.kind == 'V';
    write_int(sized ? static_cast<std::int64_t>(dtype.item_size()) : -1);
    write_int(!sized ? -1 : dtype.kind == 'U' ? 4 : 1);
    write_int(dtype.kind == 'U' ? 8 : 0);
    if (dtype.is_time()) {
        const std::string_view unit = dtype.unit.empty() ? "generic" : std::string_view(dtype.unit);
        out_.put(Op::empty_dict);
        out_.put(Op::mark);
        write_short_bytes(std::as_bytes(std::span(unit)));
        write_int(dtype.unit_count);
        write_int(1);
        write_int(1);
        out_.put(Op::tuple);
        out_.put(Op::tuple2);
    }
    out_.put(Op::tuple);
    out_.put(Op::build);
}

void Writer::write_shape(const std::vector<std::size_t>& shape) {
    out_.put(Op::mark);
    for (const std::size_t axis : shape) write_int(static_cast<std::int64_t>(axis));
    out_.put(Op::tuple);
}

void Writer::write_array(const Array& array) {
    // A header of BINBYTES, BINBYTES8 or BYTEARRAY8 stands between: so our reader finds the items
    // aligned and need not copy them.
    constexpr std::size_t k_worthwhile = 4096;
    const bool aligned = array.octets.size() >= k_worthwhile;
    if (array.dtype.starts_with('>')) {
        // _reconstruct would turn the items into the order of the machine that reads them.
        write_global("numpy.core.numeric", "_frombuffer");
        out_.put(Op::mark);
        if (aligned) out_.align(9);
        write_bytearray(array.octets);
        write_dtype(array.dtype);
        write_shape(array.shape);
        write_str(array.fortran ? "F" : "C");
        out_.put(Op::tuple);
        return out_.put(Op::reduce);
    }
    write_global("numpy.core.multiarray", "_reconstruct");
    write_global("numpy", "ndarray");
    write_int(0);
    out_.put(Op::tuple1);
    write_short_bytes(std::as_bytes(std::span("b", 1)));
    out_.put(Op::tuple3);
    out_.put(Op::reduce);
    out_.put(Op::mark);
    write_int(1);
    write_shape(array.shape);
    write_dtype(array.dtype);
    out_.put(array.fortran ? Op::new_true : Op::new_false);
    if (aligned) out_.align(array.octets.size() <= UINT32_MAX ? 5 : 9);
    write_bytes(array.octets);
    out_.put(Op::tuple);
    out_.put(Op::build);
}

void Writer::write_scalar(const Array& scalar) {
    write_global("numpy.core.multiarray", "scalar");
    write_dtype(scalar.dtype);
    write_bytes(scalar.octets);
    out_.put(Op::tuple2);
    out_.put(Op::reduce);
}

}  // namespace nq::detail
