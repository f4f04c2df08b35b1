// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <net_queue/stream.hpp>
#include <net_queue/value.hpp>

#include "pickle/opcodes.hpp"

namespace nq::detail {

/// The octets of a pickle under construction: small ones are collected, large ones shared.
class PickleBuffer {
  public:
    void put(Op op) { octets_.push_back(static_cast<std::byte>(op)); }
    void put_octet(std::size_t octet) { octets_.push_back(static_cast<std::byte>(octet)); }
    /// Little-endian.
    void put_number(std::uint64_t number, std::size_t size);
    void put_octets(std::span<const std::byte> octets);
    /// Long octets go out as they are, shared; others are copied.
    void put_payload(const Chunk& payload);
    /// Puts a constant that is dropped at once, so that what comes `ahead` octets further lies on a
    /// multiple of 16 from the start of the pickle.
    void align(std::size_t ahead);
    Stream finish();

  private:
    void flush();

    Stream stream_;
    std::vector<std::byte> octets_;
};

/// Writes a value as a pickle of protocol 5 that CPython's pickle.loads reads back equal.
///
/// Without frames: they serve readers of files, and pickle.loads asks for none. What a value shares
/// is written once and referred to; what nobody shares is not memoised.
/// Thread safety: none; used once.
class Writer {
  public:
    /// Throws SerializationError for what pickle can't express.
    Stream write(const Value& value);

  private:
    // A container that is being written, and how far it has come.
    struct Open {
        const Value* value;
        std::size_t next;
    };

    void write_value(const Value& value);
    void write_leaf(const Value& value);
    void begin(const Value& container);
    void begin_object(const Object& object);
    /// One step of the innermost container: writes what is due, and opens or ends.
    void step();
    void step_list(const std::vector<Value>& items, Op close);
    void step_tuple(const std::vector<Value>& items);
    void step_frozenset(const std::vector<Value>& items);
    void step_dict(const std::vector<Value::Pair>& pairs);
    void step_object(const Object& object);
    void end();

    void write_int(std::int64_t value);
    void write_big_int(const BigInt& value);
    void write_float(double value);
    void write_str(std::string_view utf8);
    void write_text(const Chunk& utf8);
    void write_bytes(const Chunk& octets);
    void write_short_bytes(std::span<const std::byte> octets);
    void write_bytearray(const Chunk& octets);
    void write_global(std::string_view module, std::string_view name);
    void write_uuid(const Uuid& uuid);
    void write_complex(std::complex<double> value);
    void write_decimal(const Chunk& text);
    void write_date(const Date& date);
    void write_time(const Time& time);
    void write_datetime(const DateTime& value);
    void write_timedelta(const TimeDelta& delta);
    void write_timezone(const TimeZone& zone);
    void write_dtype(std::string_view dtype);
    void write_shape(const std::vector<std::size_t>& shape);
    void write_array(const Array& array);
    void write_scalar(const Array& scalar);

    /// Writes a reference to what was written already. False: it was not.
    bool write_reference(const Value& value);
    void memoise(const Value& value);
    void write_get(std::uint32_t index);

    PickleBuffer out_;
    std::vector<Open> open_;
    std::unordered_map<const void*, std::uint32_t> memo_;
    std::map<std::pair<std::string_view, std::string_view>, std::uint32_t> globals_;
    std::uint32_t memo_count_ = 0;
};

}  // namespace nq::detail
