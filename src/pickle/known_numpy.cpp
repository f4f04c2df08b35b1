// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

#include "pickle/dtype.hpp"
#include "pickle/globals.hpp"
#include "pickle/known.hpp"
#include "pickle/node.hpp"

// How numpy pickles itself:
//
//     dtype  = numpy.dtype(kind count, False, True)
//              with state (3, order, None, None, None, size, alignment, flags)
//              or         (4, ..., flags, ({}, (unit, number, 1, 1)))     for M8 and m8
//     array  = _reconstruct(numpy.ndarray, (0,), b"b")
//              with state (1, shape, dtype, fortran, octets)
//            | _frombuffer(octets, dtype, shape, "C" or "F")              protocol 5
//     scalar = scalar(dtype, octets)
//
// dtypes with fields, shapes or metadata of their own are left as Objects, and with them what they
// describe.
namespace nq::detail {

namespace {

struct alignas(16) Block {
    std::byte octets[16];
};

/// Takes the unit of M8 and m8 from the ninth item of a dtype's state.
bool take_unit(const Value& metadata, Dtype& dtype) {
    const Value* const pair = tuple_items(metadata, 2);
    if (pair == nullptr || !pair[0].is_dict() || pair[0].size() != 0) return false;
    const Value* const unit = tuple_items(pair[1], 4);
    if (unit == nullptr || !unit[0].is_bytes()) return false;
    const auto number = int_within(unit[1], 1, INT32_MAX);
    if (!number || !int_within(unit[2], 1, 1) || !int_within(unit[3], 1, 1)) return false;
    // "generic" is the unit of a dtype that has none.
    if (unit[0].as_bytes().text() != "generic") dtype.unit = unit[0].as_bytes().text();
    dtype.unit_count = static_cast<std::int32_t>(*number);
    return true;
}

bool has_no_fields(const Value* state) {
    return state[2].is_none() && state[3].is_none() && state[4].is_none();
}

std::optional<Dtype> dtype_of_value(const Value& value) {
    if (!value.is_object()) return std::nullopt;
    const Object& object = value.as_object();
    if (find_known(*object.type) != Known::numpy_dtype) return std::nullopt;
    const Value* const arguments = tuple_items(object.arguments, 3);
    if (arguments == nullptr || !arguments[0].is_str()) return std::nullopt;
    const Value* state = tuple_items(object.state, 8);
    const bool timed = state == nullptr;
    if (timed) state = tuple_items(object.state, 9);
    if (state == nullptr || !state[1].is_str() || state[1].size() != 1) return std::nullopt;
    if (!has_no_fields(state) || !int_within(state[0], timed ? 4 : 3, timed ? 4 : 3)) {
        return std::nullopt;
    }
    const std::string_view text = arguments[0].as_str();
    Dtype dtype;
    dtype.order = state[1].as_str()[0];
    dtype.kind = text.empty() ? '\0' : text[0];
    const auto [end, error] = std::from_chars(text.data() + std::min<std::size_t>(1, text.size()),
                                              text.data() + text.size(), dtype.count);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    // M8 and m8 have a second form of count in their code: the size is always 8.
    if (timed != dtype.is_time() || (timed && !take_unit(state[8], dtype))) return std::nullopt;
    if (!dtype.is_valid()) return std::nullopt;
    const auto size = static_cast<std::int64_t>(dtype.item_size());
    if (!int_within(state[5], -1, -1) && !int_within(state[5], size, size)) return std::nullopt;
    return dtype;
}

std::optional<std::vector<std::size_t>> shape_of(const Value& value) {
    // numpy's own bound on dimensions is 32 (64 from version 2).
    constexpr std::size_t k_axes_max = 64;
    if (!value.is_tuple() || value.size() > k_axes_max) return std::nullopt;
    std::vector<std::size_t> shape;
    for (const Value& axis : value.as_tuple()) {
        const auto length = int_within(axis, 0, INT64_MAX);
        if (!length) return std::nullopt;
        shape.push_back(static_cast<std::size_t>(*length));
    }
    return shape;
}

/// What as_span needs: a multiple of the item's size, or of 16 for large items.
bool lies_aligned(const Chunk& octets, const Dtype& dtype) {
    const std::size_t item = dtype.kind == 'U' ? 4 : dtype.item_size();
    if (dtype.kind == 'S' || dtype.kind == 'V' || !std::has_single_bit(item)) return true;
    return reinterpret_cast<std::uintptr_t>(octets.data()) % std::min<std::size_t>(item, 16) == 0;
}

Chunk aligned_copy(const Chunk& octets) {
    auto blocks = std::make_shared_for_overwrite<Block[]>((octets.size() + 15) / 16);
    std::memcpy(blocks.get(), octets.data(), octets.size());
    return Chunk({reinterpret_cast<const std::byte*>(blocks.get()), octets.size()}, blocks);
}

bool is_octets(const Value& value) { return value.is_bytes() || value.is(ValueType::bytearray); }

struct Parts {
    const Value& dtype;
    const Value& shape;
    const Value& octets;
    bool fortran;
};

template <ValueType type>
Value make_array(const Parts& parts, Spare& spare) {
    const auto dtype = dtype_of_value(parts.dtype);
    auto shape = shape_of(parts.shape);
    if (!dtype || !shape || !is_octets(parts.octets)) return {};
    Chunk octets = parts.octets.as_bytes();
    if (octets_of(*shape, dtype->item_size()) != octets.size()) return {};
    // A dtype and its shape take 1 KiB at most, and only the smallest part of it is paid for yet.
    if (!spare.take(shape->size() * sizeof(std::size_t) + dtype->unit.size())) return {};
    if (!lies_aligned(octets, *dtype)) {
        if (!spare.take(octets.size())) return {};
        octets = aligned_copy(octets);
    }
    Array array{dtype->to_string(), std::move(*shape), parts.fortran, std::move(octets)};
    return ValueAccess::wrap(std::make_shared<ArrayNode<type>>(ArrayNode<type>{std::move(array)}));
}

}  // namespace

Value recognise_reconstruct(const Object& object, Spare& spare) {
    if (object.recipe != Object::Recipe::call) return {};
    if (!object.list_items.empty() || !object.dict_items.empty()) return {};
    const Value* const arguments = tuple_items(object.arguments, 3);
    const Value* const state = tuple_items(object.state, 5);
    if (arguments == nullptr || state == nullptr) return {};
    if (!arguments[0].is(ValueType::global)) return {};
    if (find_known(arguments[0].as_global()) != Known::numpy_ndarray) return {};
    if (!int_within(state[0], 1, 1) || !state[3].is_bool()) return {};
    return make_array<ValueType::array>({state[2], state[1], state[4], state[3].as_bool()}, spare);
}

Value recognise_frombuffer(const Object& object, Spare& spare) {
    const Value* const arguments = tuple_items(object.arguments, 4);
    if (arguments == nullptr || !arguments[3].is_str()) return {};
    const std::string_view order = arguments[3].as_str();
    if (order != "C" && order != "F") return {};
    return make_array<ValueType::array>({arguments[1], arguments[2], arguments[0], order == "F"},
                                        spare);
}

Value recognise_scalar(const Object& object, Spare& spare) {
    const Value* const arguments = tuple_items(object.arguments, 2);
    if (arguments == nullptr) return {};
    const Value no_shape = Value::tuple();
    return make_array<ValueType::scalar>({arguments[0], no_shape, arguments[1], false}, spare);
}

}  // namespace nq::detail
