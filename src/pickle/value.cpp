// SPDX-License-Identifier: Apache-2.0
#include <net_queue/value.hpp>

#include <algorithm>
#include <array>
#include <type_traits>

#include <net_queue/error.hpp>

#include "pickle/decimal.hpp"
#include "pickle/dtype.hpp"
#include "pickle/node.hpp"

namespace nq {

using detail::raise_serialization;
using detail::ValueAccess;

namespace {

constexpr std::array<std::string_view, 24> k_type_names = {
    "None",      "bool",    "int",         "float",        "str",      "bytes",
    "bytearray", "list",    "tuple",       "dict",         "set",      "frozenset",
    "complex",   "UUID",    "date",        "time",         "datetime", "timedelta",
    "timezone",  "Decimal", "numpy array", "numpy scalar", "global",   "object"};

[[noreturn]] void raise_type(const Value& value, std::string_view wanted) {
    std::string text = "the value is a ";
    text.append(to_string(value.type())).append(", not a ").append(wanted);
    raise_serialization(std::move(text));
}

template <class Node>
const Node& node_of(const Value& value, ValueType wanted) {
    const Node* const node = ValueAccess::node<Node>(value);
    if (node == nullptr) raise_type(value, to_string(wanted));
    return *node;
}

template <class T>
const T& content_of(const Value& value, ValueType wanted) {
    const T* const content = std::get_if<T>(&ValueAccess::storage(value));
    if (content == nullptr) raise_type(value, to_string(wanted));
    return *content;
}

template <ValueType type>
Value make_octets(Chunk octets) {
    return ValueAccess::wrap(
        std::make_shared<detail::OctetsNode<type>>(detail::OctetsNode<type>{std::move(octets)}));
}

template <ValueType type>
Value make_sequence(std::vector<Value> items) {
    return ValueAccess::wrap(
        std::make_shared<detail::SequenceNode<type>>(detail::SequenceNode<type>{std::move(items)}));
}

template <ValueType type>
Value make_array(Array array) {
    const std::size_t item_size = array.item_size();
    if (item_size == 0) raise_serialization("unknown numpy dtype '" + array.dtype + "'");
    const std::size_t size = array.size();
    if (array.octets.size() / item_size != size || array.octets.size() % item_size != 0) {
        raise_serialization("a numpy array's shape and octets disagree");
    }
    return ValueAccess::wrap(
        std::make_shared<detail::ArrayNode<type>>(detail::ArrayNode<type>{std::move(array)}));
}

}  // namespace

std::string_view to_string(ValueType type) { return k_type_names[static_cast<std::size_t>(type)]; }

Value::Value(const char* text) : Value(std::string_view(text)) {}
Value::Value(std::string_view text) : Value(str(Chunk::copy_of(text))) {}
Value::Value(std::string&& text) : Value(str(Chunk(std::move(text)))) {}
Value::Value(const std::string& text) : Value(std::string_view(text)) {}
Value::Value(std::complex<double> value) : storage_(value) {}
Value::Value(const Uuid& value) : storage_(value) {}
Value::Value(Date value) : storage_(value) {}
Value::Value(Time value) : storage_(std::make_shared<Time>(std::move(value))) {}
Value::Value(DateTime value) : storage_(std::make_shared<DateTime>(std::move(value))) {}
Value::Value(TimeDelta value) : storage_(value) {}
Value::Value(TimeZone value) : storage_(std::make_shared<TimeZone>(std::move(value))) {}
Value::Value(Array value) : Value(make_array<ValueType::array>(std::move(value))) {}
Value::Value(Global value) : storage_(std::make_shared<Global>(std::move(value))) {}
Value::Value(Object value) : storage_(std::make_shared<Object>(std::move(value))) {}

Value::Value(BigInt value) {
    if (const auto small = value.to_int64()) {
        storage_.emplace<std::int64_t>(*small);
    } else {
        storage_ = std::make_shared<BigInt>(std::move(value));
    }
}

void Value::assign_unsigned(std::uint64_t value) {
    if (value <= std::uint64_t{INT64_MAX}) {
        storage_.emplace<std::int64_t>(static_cast<std::int64_t>(value));
        return;
    }
    std::array<std::byte, 9> octets{};
    for (std::size_t i = 0; i < 8; ++i) octets[i] = static_cast<std::byte>(value >> (8 * i));
    storage_ = std::make_shared<BigInt>(octets);
}

Value Value::str(Chunk utf8) { return make_octets<ValueType::str>(std::move(utf8)); }
Value Value::bytes(Chunk octets) { return make_octets<ValueType::bytes>(std::move(octets)); }
Value Value::bytearray(Chunk octets) {
    return make_octets<ValueType::bytearray>(std::move(octets));
}
Value Value::list(std::vector<Value> items) {
    return make_sequence<ValueType::list>(std::move(items));
}
Value Value::tuple(std::vector<Value> items) {
    return make_sequence<ValueType::tuple>(std::move(items));
}
Value Value::set(std::vector<Value> items) {
    return make_sequence<ValueType::set>(std::move(items));
}
Value Value::frozenset(std::vector<Value> items) {
    return make_sequence<ValueType::frozenset>(std::move(items));
}
Value Value::dict(std::vector<Pair> items) {
    return ValueAccess::wrap(
        std::make_shared<detail::DictNode>(detail::DictNode{std::move(items)}));
}

Value Value::decimal(std::string_view text) {
    if (!detail::is_decimal(text))
        raise_serialization("no decimal number: '" + std::string(text) + "'");
    return make_octets<ValueType::decimal>(Chunk::copy_of(text));
}

Value Value::scalar(Array value) {
    if (!value.shape.empty()) raise_serialization("a numpy scalar has no shape");
    return make_array<ValueType::scalar>(std::move(value));
}

ValueType Value::type() const noexcept {
    const std::size_t index = storage_.index();
    return index >= k_type_names.size() ? ValueType::integer : static_cast<ValueType>(index);
}

bool Value::as_bool() const { return content_of<bool>(*this, ValueType::boolean); }

std::int64_t Value::as_int() const {
    if (ValueAccess::node<BigInt>(*this) != nullptr) {
        raise_serialization("the int does not fit in 64 bits: as_big_int reads it");
    }
    return content_of<std::int64_t>(*this, ValueType::integer);
}

BigInt Value::as_big_int() const {
    if (const auto* big = ValueAccess::node<BigInt>(*this)) return *big;
    const auto value =
        static_cast<std::uint64_t>(content_of<std::int64_t>(*this, ValueType::integer));
    std::array<std::byte, 8> octets{};
    for (std::size_t i = 0; i < 8; ++i) octets[i] = static_cast<std::byte>(value >> (8 * i));
    return BigInt(octets);
}

double Value::as_float() const { return content_of<double>(*this, ValueType::floating); }

std::string_view Value::as_str() const {
    return node_of<detail::StrNode>(*this, ValueType::str).octets.text();
}

const Chunk& Value::as_bytes() const {
    if (const auto* node = ValueAccess::node<detail::ByteArrayNode>(*this)) return node->octets;
    return node_of<detail::BytesNode>(*this, ValueType::bytes).octets;
}

const std::vector<Value>& Value::as_list() const {
    return node_of<detail::ListNode>(*this, ValueType::list).items;
}

const std::vector<Value>& Value::as_tuple() const {
    return node_of<detail::TupleNode>(*this, ValueType::tuple).items;
}

const std::vector<Value>& Value::as_set() const {
    if (const auto* node = ValueAccess::node<detail::FrozenSetNode>(*this)) return node->items;
    return node_of<detail::SetNode>(*this, ValueType::set).items;
}

const std::vector<Value::Pair>& Value::as_dict() const {
    return node_of<detail::DictNode>(*this, ValueType::dict).items;
}

std::complex<double> Value::as_complex() const {
    return content_of<std::complex<double>>(*this, ValueType::complex);
}

const Uuid& Value::as_uuid() const { return content_of<Uuid>(*this, ValueType::uuid); }
const Date& Value::as_date() const { return content_of<Date>(*this, ValueType::date); }
const Time& Value::as_time() const { return node_of<Time>(*this, ValueType::time); }
const DateTime& Value::as_datetime() const { return node_of<DateTime>(*this, ValueType::datetime); }
const TimeDelta& Value::as_timedelta() const {
    return content_of<TimeDelta>(*this, ValueType::timedelta);
}
const TimeZone& Value::as_timezone() const { return node_of<TimeZone>(*this, ValueType::timezone); }

std::string_view Value::as_decimal() const {
    return node_of<detail::DecimalNode>(*this, ValueType::decimal).octets.text();
}

const Array& Value::as_array() const {
    if (const auto* node = ValueAccess::node<detail::ArrayNode<ValueType::scalar>>(*this)) {
        return node->array;
    }
    return node_of<detail::ArrayNode<ValueType::array>>(*this, ValueType::array).array;
}

const Global& Value::as_global() const { return node_of<Global>(*this, ValueType::global); }
const Object& Value::as_object() const { return node_of<Object>(*this, ValueType::object); }

std::size_t Value::size() const {
    switch (type()) {
        case ValueType::str: return as_str().size();
        case ValueType::bytes:
        case ValueType::bytearray: return as_bytes().size();
        case ValueType::list: return as_list().size();
        case ValueType::tuple: return as_tuple().size();
        case ValueType::dict: return as_dict().size();
        case ValueType::set:
        case ValueType::frozenset: return as_set().size();
        default: raise_type(*this, "container, str or bytes");
    }
}

const Value* Value::find(const Value& key) const {
    const auto& pairs = as_dict();
    // From the back: of equal keys the last one counts.
    const auto found = std::find_if(pairs.rbegin(), pairs.rend(),
                                    [&key](const Pair& pair) { return pair.first == key; });
    return found == pairs.rend() ? nullptr : &found->second;
}

const Value& Value::at(const Value& key) const {
    const Value* const found = find(key);
    if (found == nullptr) raise_serialization("the dict has no key " + key.repr(100));
    return *found;
}

}  // namespace nq
