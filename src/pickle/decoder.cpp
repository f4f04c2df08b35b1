// SPDX-License-Identifier: Apache-2.0
#include "pickle/decoder.hpp"

#include <array>
#include <cstdio>
#include <cstring>

#include "pickle/node.hpp"

namespace nq::detail {

namespace {

enum class Argument : std::uint8_t {
    unknown,  // no such opcode
    none,
    u1,
    u2,
    u4,
    u8,
    i4,
    f8,
    counted1,
    counted4,
    counted8,
    countedi,
    line,
    lines,
};

constexpr auto k_arguments = [] {
    std::array<Argument, 256> table{};
    const auto set = [&table](Argument argument, std::initializer_list<Op> ops) {
        for (const Op op : ops) table[static_cast<std::size_t>(op)] = argument;
    };
    set(Argument::none,
        {Op::none,       Op::new_true,  Op::new_false,   Op::empty_list,     Op::empty_tuple,
         Op::empty_dict, Op::empty_set, Op::list,        Op::tuple,          Op::tuple1,
         Op::tuple2,     Op::tuple3,    Op::dict,        Op::frozenset,      Op::append,
         Op::appends,    Op::setitem,   Op::setitems,    Op::additems,       Op::stack_global,
         Op::reduce,     Op::build,     Op::object,      Op::newobj,         Op::newobj_ex,
         Op::memoize,    Op::mark,      Op::pop,         Op::pop_mark,       Op::dup,
         Op::stop,       Op::binpersid, Op::next_buffer, Op::readonly_buffer});
    set(Argument::u1, {Op::binint1, Op::binput, Op::binget, Op::proto, Op::ext1});
    set(Argument::u2, {Op::binint2, Op::ext2});
    set(Argument::u4, {Op::long_binput, Op::long_binget});
    set(Argument::u8, {Op::frame});
    set(Argument::i4, {Op::binint, Op::ext4});
    set(Argument::f8, {Op::binfloat});
    set(Argument::counted1,
        {Op::long1, Op::short_binstring, Op::short_binunicode, Op::short_binbytes});
    set(Argument::counted4, {Op::binunicode, Op::binbytes});
    set(Argument::counted8, {Op::binunicode8, Op::binbytes8, Op::bytearray8});
    set(Argument::countedi, {Op::long4, Op::binstring});
    set(Argument::line, {Op::integer, Op::long_text, Op::float_text, Op::string, Op::unicode,
                         Op::put, Op::get, Op::persid});
    set(Argument::lines, {Op::global, Op::instance});
    return table;
}();

}  // namespace

void fail_at(std::size_t offset, const std::string& text) {
    raise_serialization("pickle, offset " + std::to_string(offset) + ": " + text);
}

std::span<const std::byte> Decoder::take(std::uint64_t size) {
    if (size > remaining()) {
        fail_at(op_offset_, "the message ends " + std::to_string(size - remaining()) +
                                " octets short of what the instruction claims");
    }
    const auto octets = message_.subspan(at_, static_cast<std::size_t>(size));
    at_ += octets.size();
    return octets;
}

std::uint64_t Decoder::take_number(std::size_t size) {
    const auto octets = take(size);
    std::uint64_t number = 0;
    for (std::size_t i = size; i > 0; --i) {
        number = (number << 8) | std::to_integer<std::uint64_t>(octets[i - 1]);
    }
    return number;
}

std::span<const std::byte> Decoder::take_line() {
    const auto rest = message_.subspan(at_);
    const void* const end = rest.empty() ? nullptr : std::memchr(rest.data(), '\n', rest.size());
    if (end == nullptr) fail_at(op_offset_, "the message ends inside a line");
    const auto line =
        take(static_cast<std::size_t>(static_cast<const std::byte*>(end) - rest.data()));
    ++at_;
    return line;
}

Instruction Decoder::next() {
    op_offset_ = at_;
    if (remaining() == 0) fail_at(at_, "the message ends before STOP");
    const std::byte code = message_[at_++];
    Instruction instruction;
    instruction.op = static_cast<Op>(code);
    instruction.offset = op_offset_;
    switch (k_arguments[std::to_integer<std::size_t>(code)]) {
        case Argument::unknown: {
            char text[32];
            std::snprintf(text, sizeof text, "unknown opcode 0x%02x",
                          std::to_integer<unsigned>(code));
            fail_at(op_offset_, text);
        }
        case Argument::none: break;
        case Argument::u1: instruction.number = take_number(1); break;
        case Argument::u2: instruction.number = take_number(2); break;
        case Argument::u4: instruction.number = take_number(4); break;
        case Argument::u8: instruction.number = take_number(8); break;
        case Argument::i4:
            instruction.number = static_cast<std::uint64_t>(
                static_cast<std::int64_t>(static_cast<std::int32_t>(take_number(4))));
            break;
        case Argument::f8:
            for (const std::byte octet : take(8)) {
                instruction.number =
                    (instruction.number << 8) | std::to_integer<std::uint64_t>(octet);
            }
            break;
        case Argument::counted1: instruction.octets = take(take_number(1)); break;
        case Argument::counted4: instruction.octets = take(take_number(4)); break;
        case Argument::counted8: instruction.octets = take(take_number(8)); break;
        case Argument::countedi: {
            const std::uint64_t size = take_number(4);
            if (size > INT32_MAX) fail_at(op_offset_, "a negative length");
            instruction.octets = take(size);
            break;
        }
        case Argument::line: instruction.octets = take_line(); break;
        case Argument::lines:
            instruction.octets = take_line();
            instruction.second = take_line();
            break;
    }
    return instruction;
}

}  // namespace nq::detail
