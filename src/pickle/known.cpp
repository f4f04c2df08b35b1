// SPDX-License-Identifier: Apache-2.0
#include "pickle/known.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "pickle/decimal.hpp"
#include "pickle/globals.hpp"
#include "pickle/literal.hpp"
#include "pickle/node.hpp"

namespace nq::detail {

namespace {

bool has_items(const Object& object) {
    return !object.list_items.empty() || !object.dict_items.empty();
}

/// Called with arguments and nothing else.
bool is_plain_call(const Object& object) {
    return object.recipe == Object::Recipe::call && object.state.is_none() && !has_items(object);
}

bool is_global(const Value& value, Known known) {
    return value.is(ValueType::global) && find_known(value.as_global()) == known;
}

Value recognise_bytes(const Object& object) {
    return object.arguments.size() == 0 ? Value::bytes({}) : Value();
}

// _codecs.encode(text, "latin1"): how protocols 0 to 2 spell bytes.
Value recognise_encode(const Object& object, Spare& spare) {
    const Value* const arguments = tuple_items(object.arguments, 2);
    if (arguments == nullptr || !arguments[0].is_str() || !arguments[1].is_str()) return {};
    if (arguments[1].as_str() != "latin1") return {};
    const Chunk& text = ValueAccess::node<StrNode>(arguments[0])->octets;
    if (is_ascii(text.text())) return Value::bytes(text);
    if (!spare.take(text.size())) return {};
    auto octets = latin1_of(text.text());
    return octets ? Value::bytes(Chunk(std::move(*octets))) : Value();
}

Value recognise_bytearray(const Object& object, Spare& spare) {
    if (object.arguments.size() == 0) return Value::bytearray({});
    if (const Value* const arguments = tuple_items(object.arguments, 1)) {
        return arguments[0].is_bytes() ? Value::bytearray(arguments[0].as_bytes()) : Value();
    }
    // Python 2 writes bytearray(text, "latin-1").
    const Value* const arguments = tuple_items(object.arguments, 2);
    if (arguments == nullptr || !arguments[0].is_str() || !arguments[1].is_str()) return {};
    if (arguments[1].as_str() != "latin-1" || !spare.take(arguments[0].size())) return {};
    auto octets = latin1_of(arguments[0].as_str());
    return octets ? Value::bytearray(Chunk(std::move(*octets))) : Value();
}

Value recognise_set(const Object& object, bool frozen, Spare& spare) {
    const Value* const arguments = tuple_items(object.arguments, 1);
    if (arguments == nullptr || !arguments[0].is_list()) return {};
    const auto& items = arguments[0].as_list();
    const auto hashable = [](const Value& item) { return is_hashable(item.type()); };
    if (!std::all_of(items.begin(), items.end(), hashable)) return {};
    if (!spare.take(items.size() * sizeof(Value))) return {};
    return frozen ? Value::frozenset(items) : Value::set(items);
}

Value recognise_complex(const Object& object) {
    const Value* const arguments = tuple_items(object.arguments, 2);
    if (arguments == nullptr || !arguments[0].is_float() || !arguments[1].is_float()) return {};
    return std::complex<double>(arguments[0].as_float(), arguments[1].as_float());
}

Value recognise_decimal(const Object& object) {
    const Value* const arguments = tuple_items(object.arguments, 1);
    if (arguments == nullptr || !arguments[0].is_str()) return {};
    const Chunk& text = ValueAccess::node<StrNode>(arguments[0])->octets;
    if (!is_decimal(text.text())) return {};
    return ValueAccess::wrap(std::make_shared<DecimalNode>(DecimalNode{text}));
}

// UUID.__new__(UUID) with the state {"int": n} and perhaps "is_safe", which equality ignores.
Value recognise_uuid(const Object& object) {
    const bool created = object.recipe == Object::Recipe::create;
    if (!(created || object.recipe == Object::Recipe::bare) || has_items(object)) return {};
    if (object.arguments.size() != 0 || !object.state.is_dict()) return {};
    if (object.state.size() > 2) return {};
    const Value* number = nullptr;
    for (const auto& [key, mapped] : object.state.as_dict()) {
        if (!key.is_str()) return {};
        if (key.as_str() == "int") {
            number = &mapped;
        } else if (key.as_str() != "is_safe" || !int_within(mapped, -1, 1)) {
            return {};
        }
    }
    if (number == nullptr || !number->is_int()) return {};
    const BigInt big = number->as_big_int();
    const auto octets = big.octets();
    // 16 octets, and perhaps a 17th of zero to hold the sign.
    if (big.is_negative() || octets.size() > Uuid::k_size + 1) return {};
    std::array<std::byte, Uuid::k_size> reversed{};
    const std::size_t length = std::min(octets.size(), Uuid::k_size);
    if (octets.size() > length && octets[length] != std::byte{0}) return {};
    std::reverse_copy(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(length),
                      reversed.end() - static_cast<std::ptrdiff_t>(length));
    return Uuid(reversed);
}

Value recognise_timedelta(const Object& object) {
    constexpr std::int64_t k_days_max = 999'999'999;
    const Value* const arguments = tuple_items(object.arguments, 3);
    if (arguments == nullptr) return {};
    const auto days = int_within(arguments[0], -k_days_max, k_days_max);
    const auto seconds = int_within(arguments[1], 0, 86'399);
    const auto microseconds = int_within(arguments[2], 0, 999'999);
    if (!days || !seconds || !microseconds) return {};
    return TimeDelta{static_cast<std::int32_t>(*days), static_cast<std::int32_t>(*seconds),
                     static_cast<std::int32_t>(*microseconds)};
}

Value recognise_timezone(const Object& object) {
    const Value* arguments = tuple_items(object.arguments, 2);
    const bool named = arguments != nullptr;
    if (!named) arguments = tuple_items(object.arguments, 1);
    if (arguments == nullptr || !arguments[0].is(ValueType::timedelta)) return {};
    const TimeDelta& offset = arguments[0].as_timedelta();
    // Less than a day either way.
    const bool is_zero_less_day = offset == TimeDelta{-1, 0, 0};
    if (offset.days < -1 || offset.days > 0 || is_zero_less_day) return {};
    if (!named) return TimeZone{offset};
    if (!arguments[1].is_str() || arguments[1].size() > k_global_text_max) return {};
    return TimeZone{offset, std::string(arguments[1].as_str())};
}

unsigned octet_at(const Chunk& octets, std::size_t i) {
    return std::to_integer<unsigned>(octets.data()[i]);
}

std::optional<Date> date_of(const Chunk& octets, unsigned month) {
    constexpr std::array<unsigned, 12> k_days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const unsigned year = octet_at(octets, 0) * 256 + octet_at(octets, 1);
    const unsigned day = octet_at(octets, 3);
    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return std::nullopt;
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > k_days[month - 1] + (month == 2 && leap ? 1 : 0)) return std::nullopt;
    return Date{static_cast<std::int16_t>(year), static_cast<std::uint8_t>(month),
                static_cast<std::uint8_t>(day)};
}

/// Six octets from `first`: hour, minute, second, microsecond in three.
std::optional<Time> time_of(const Chunk& octets, std::size_t first, unsigned hour, bool fold) {
    const unsigned minute = octet_at(octets, first + 1), second = octet_at(octets, first + 2);
    const unsigned microsecond = octet_at(octets, first + 3) * 65536 +
                                 octet_at(octets, first + 4) * 256 + octet_at(octets, first + 5);
    if (hour > 23 || minute > 59 || second > 59 || microsecond > 999'999) return std::nullopt;
    return Time{static_cast<std::uint8_t>(hour), static_cast<std::uint8_t>(minute),
                static_cast<std::uint8_t>(second), fold, static_cast<std::int32_t>(microsecond)};
}

/// The octets of a date, time or datetime and its zone (the second argument), or null octets.
struct Stamp {
    const Chunk* octets = nullptr;
    const TimeZone* zone = nullptr;
};

Stamp stamp_of(const Object& object, std::size_t size) {
    const Value* arguments = tuple_items(object.arguments, 1);
    const TimeZone* zone = nullptr;
    if (arguments == nullptr) {
        arguments = tuple_items(object.arguments, 2);
        if (arguments == nullptr || !arguments[1].is(ValueType::timezone)) return {};
        zone = &arguments[1].as_timezone();
    }
    if (!arguments[0].is_bytes() || arguments[0].size() != size) return {};
    return {&arguments[0].as_bytes(), zone};
}

Value recognise_date(const Object& object) {
    const Stamp stamp = stamp_of(object, 4);
    if (stamp.octets == nullptr || stamp.zone != nullptr) return {};
    const auto date = date_of(*stamp.octets, octet_at(*stamp.octets, 2));
    return date ? Value(*date) : Value();
}

Value recognise_time(const Object& object) {
    const Stamp stamp = stamp_of(object, 6);
    if (stamp.octets == nullptr) return {};
    const unsigned hour = octet_at(*stamp.octets, 0);
    auto time = time_of(*stamp.octets, 0, hour & 0x7f, (hour & 0x80) != 0);
    if (!time) return {};
    if (stamp.zone != nullptr) time->zone = *stamp.zone;
    return std::move(*time);
}

Value recognise_datetime(const Object& object) {
    const Stamp stamp = stamp_of(object, 10);
    if (stamp.octets == nullptr) return {};
    const unsigned month = octet_at(*stamp.octets, 2);
    const auto date = date_of(*stamp.octets, month & 0x7f);
    auto time = time_of(*stamp.octets, 4, octet_at(*stamp.octets, 4), (month & 0x80) != 0);
    if (!date || !time) return {};
    if (stamp.zone != nullptr) time->zone = *stamp.zone;
    return DateTime{*date, std::move(*time)};
}

}  // namespace

const Value* tuple_items(const Value& value, std::size_t length) {
    if (!value.is_tuple() || value.size() != length) return nullptr;
    return value.as_tuple().data();
}

std::optional<std::int64_t> int_within(const Value& value, std::int64_t lowest,
                                       std::int64_t highest) {
    const auto* const number = std::get_if<std::int64_t>(&ValueAccess::storage(value));
    if (number == nullptr || *number < lowest || *number > highest) return std::nullopt;
    return *number;
}

void normalise(Object& object, Spare& spare) {
    if (object.recipe != Object::Recipe::call) return;
    const Known known = find_known(*object.type);
    const bool helper = known == Known::copyreg_reconstructor || known == Known::copyreg_newobj ||
                        known == Known::copyreg_newobj_ex;
    if (!helper || object.arguments.size() == 0) return;
    const Value arguments = object.arguments;  // keeps them while the object's are replaced
    const auto& items = arguments.as_tuple();
    const auto* const type = std::get_if<std::shared_ptr<Global>>(&ValueAccess::storage(items[0]));
    if (type == nullptr) return;
    if (known == Known::copyreg_reconstructor) {
        if (items.size() != 3 || !is_global(items[1], Known::builtins_object)) return;
        if (!items[2].is_none()) return;
        object.arguments = Value::tuple();
    } else if (known == Known::copyreg_newobj) {
        if (!spare.take(items.size() * sizeof(Value))) return;
        object.arguments = Value::tuple({items.begin() + 1, items.end()});
    } else {
        if (items.size() != 3 || !items[1].is_tuple() || !items[2].is_dict()) return;
        object.arguments = items[1];
        object.keywords = items[2];
    }
    object.recipe = known == Known::copyreg_reconstructor ? Object::Recipe::bare
                    : known == Known::copyreg_newobj      ? Object::Recipe::create
                                                          : Object::Recipe::create_keywords;
    object.type = *type;
}

Value recognise(const Object& object, Spare& spare) {
    const Known known = find_known(*object.type);
    if (known == Known::none) return {};
    if (known == Known::uuid_uuid) return recognise_uuid(object);
    if (known == Known::numpy_reconstruct) return recognise_reconstruct(object, spare);
    if (!is_plain_call(object)) return {};
    switch (known) {
        case Known::codecs_encode: return recognise_encode(object, spare);
        case Known::builtins_bytearray: return recognise_bytearray(object, spare);
        case Known::builtins_bytes: return recognise_bytes(object);
        case Known::builtins_complex: return recognise_complex(object);
        case Known::builtins_frozenset: return recognise_set(object, true, spare);
        case Known::builtins_set: return recognise_set(object, false, spare);
        case Known::datetime_date: return recognise_date(object);
        case Known::datetime_datetime: return recognise_datetime(object);
        case Known::datetime_time: return recognise_time(object);
        case Known::datetime_timedelta: return recognise_timedelta(object);
        case Known::datetime_timezone: return recognise_timezone(object);
        case Known::decimal_decimal: return recognise_decimal(object);
        case Known::numpy_frombuffer: return recognise_frombuffer(object, spare);
        case Known::numpy_scalar: return recognise_scalar(object, spare);
        default: return {};
    }
}

}  // namespace nq::detail
