// SPDX-License-Identifier: Apache-2.0
#include "pickle/checker.hpp"

#include <algorithm>

#include "pickle/cost.hpp"
#include "pickle/globals.hpp"
#include "pickle/literal.hpp"
#include "pickle/marks.hpp"
#include "pickle/node.hpp"

// What each instruction asks for; checker_stack.cpp has the stack and the memo.
namespace nq::detail {

using namespace marks;

namespace {

/// A name of the peer's for an error text: short, and harmless on a terminal.
std::string printable(std::string_view text) {
    if (text.empty()) return "?";
    std::string result(text.substr(0, 80));
    for (char& c : result) {
        if (c < 0x20 || c == 0x7f) c = '?';
    }
    return result;
}

}  // namespace

Survey Checker::run() {
    for (;;) {
        const Instruction in = decoder_.next();
        offset_ = in.offset;
        if (in.op == Op::stop) break;
        if (!step_scalar(in) && !step_container(in) && !step_instance(in)) step_control(in);
    }
    pop();
    if (!stack_.empty()) fail("STOP leaves " + std::to_string(stack_.size()) + " items behind");
    if (decoder_.remaining() > 0) {
        offset_ = decoder_.consumed();
        fail(std::to_string(decoder_.remaining()) + " octets follow STOP");
    }
    survey_.memo_dense = memo_.dense_end();
    charge(survey_.items_max * sizeof(Value) + survey_.marks_max * sizeof(std::size_t) +
           memo_.dense_end() * sizeof(Value));
    return survey_;
}

bool Checker::step_scalar(const Instruction& in) {
    switch (in.op) {
        case Op::none:
        case Op::new_true:
        case Op::new_false:
        case Op::binint:
        case Op::binint1:
        case Op::binint2:
        case Op::binfloat: return push(k_plain), true;
        case Op::long1:
        case Op::long4:
            charge(in.octets.size() > 8 ? cost::k_big_int + in.octets.size() : 0);
            return push(k_plain), true;
        case Op::integer:
        case Op::long_text:
        case Op::float_text: return check_text_number(in), true;
        case Op::string:
        case Op::unicode: return check_text_string(in), true;
        case Op::binstring:
        case Op::short_binstring:
            if (!is_ascii(in.text())) fail("a string of Python 2 that is not ASCII");
            return push_text(in.text(), 1), true;
        case Op::binunicode:
        case Op::short_binunicode:
        case Op::binunicode8:
            if (!is_utf8(in.octets)) fail("a str that is not UTF-8");
            return push_text(in.text(), 1), true;
        case Op::binbytes:
        case Op::short_binbytes:
        case Op::binbytes8: charge(cost::k_octets + in.octets.size()); return push(k_plain), true;
        case Op::bytearray8:
            charge(cost::k_octets + in.octets.size());
            return push(k_bytearray), true;
        default: return false;
    }
}

void Checker::check_text_number(const Instruction& in) {
    if (in.op == Op::float_text) {
        if (!parse_float(in.text())) fail("no number: '" + printable(in.text()) + "'");
    } else {
        const auto value = in.op == Op::integer ? parse_int(in.text()) : parse_long(in.text());
        if (!value) fail("no int of at most 4300 digits: '" + printable(in.text()) + "'");
        charge(in.octets.size() > 18 ? cost::k_big_int + in.octets.size() : 0);
    }
    push(k_plain);
}

void Checker::check_text_string(const Instruction& in) {
    const auto text = in.op == Op::unicode ? parse_raw_unicode(in.text()) : parse_quoted(in.text());
    if (!text) fail("no string literal: '" + printable(in.text()) + "'");
    push_text(*text, 2);
    recent_.back() = {};  // the text goes with this function
}

bool Checker::step_container(const Instruction& in) {
    switch (in.op) {
        case Op::empty_list: return charge(cost::k_sequence), push(k_list), true;
        case Op::empty_dict: return charge(cost::k_sequence), push(k_dict), true;
        case Op::empty_set: return charge(cost::k_sequence), push(k_set), true;
        case Op::empty_tuple: return push_tuple(0), true;
        case Op::tuple1:
        case Op::tuple2:
        case Op::tuple3: {
            const std::size_t count = in.op == Op::tuple1 ? 1 : in.op == Op::tuple2 ? 2 : 3;
            for (std::size_t i = 0; i < count; ++i) pop();
            return push_tuple(count), true;
        }
        case Op::tuple: return push_tuple(pop_items().count), true;
        case Op::list:
            charge(cost::k_sequence + pop_items().count * cost::k_list_item);
            return push(k_list), true;
        case Op::dict: return make_dict(), true;
        case Op::frozenset: {
            const Items items = pop_items();
            if (!items.hashable) fail("what is not hashable in a frozenset");
            charge(cost::k_sequence + items.count * sizeof(Value));
            charge(items.instances * cost::k_instance_copy);
            return push(k_plain), true;
        }
        case Op::append:
            pop();
            charge(cost::k_list_item);
            return require_open(k_list, "append to"), true;
        case Op::appends:
            charge(pop_items().count * cost::k_list_item);
            return require_open(k_list, "append to"), true;
        case Op::setitem:
            pop();
            pop_key();
            charge(2 * cost::k_list_item);
            return require_open(k_dict, "set items of"), true;
        case Op::setitems: return fill_pairs(), true;
        case Op::additems: {
            const Items items = pop_items();
            if (!items.hashable) fail("what is not hashable in a set");
            charge(items.count * cost::k_list_item + items.instances * cost::k_instance_copy);
            return require_open(k_set, "add to"), true;
        }
        default: return false;
    }
}

bool Checker::step_instance(const Instruction& in) {
    switch (in.op) {
        case Op::global: return check_line_global(in), push(k_global), true;
        case Op::stack_global: return check_stack_global(), true;
        case Op::reduce:
        case Op::newobj: {
            const Mark arguments = pop();
            return make_instance(arguments, pop()), true;
        }
        case Op::newobj_ex: {
            if (kind_of(pop()) != k_dict) fail("keyword arguments that are no dict");
            const Mark arguments = pop();
            return make_instance(arguments, pop()), true;
        }
        case Op::instance:
            check_line_global(in);
            push_tuple(pop_items().count);
            return make_instance(pop(), k_global), true;
        case Op::object: {
            const Items items = pop_items();
            if (items.count == 0) fail("an instance without a class");
            push_tuple(items.count - 1);
            return make_instance(pop(), items.first), true;
        }
        case Op::build:
            pop();
            require_open(k_instance, "set the state of");
            top() = static_cast<Mark>((top() & ~k_kind_bits) | k_built);
            return true;
        default: return false;
    }
}

void Checker::step_control(const Instruction& in) {
    switch (in.op) {
        case Op::put:
        case Op::binput:
        case Op::long_binput: return put(index_of(in));
        case Op::memoize: return put(static_cast<std::uint32_t>(memo_.count()));
        case Op::get:
        case Op::binget:
        case Op::long_binget: return get(index_of(in));
        case Op::mark:
            survey_.marks_max = std::max(survey_.marks_max, ++mark_count_);
            return stack_.push_back(k_mark);
        case Op::pop: return drop();
        case Op::pop_mark: return void(pop_items());
        case Op::dup: return duplicate();
        case Op::proto:
            if (in.number > 5) fail("protocol " + std::to_string(in.number) + " is not known");
            protocol_ = in.number;
            return;
        case Op::frame:
            if (in.number > decoder_.remaining()) fail("a frame longer than the message");
            return;
        case Op::persid:
        case Op::binpersid: fail("persistent ids are not supported");
        case Op::next_buffer:
        case Op::readonly_buffer: fail("out-of-band buffers are not supported");
        default: fail("extension codes are not supported");
    }
}

void Checker::refuse_global(std::string_view module, std::string_view name) {
    fail("the global '" + printable(module) + "." + printable(name) + "' is not allowed");
}

void Checker::check_line_global(const Instruction& in) {
    if (in.octets.size() > k_global_text_max || in.second.size() > k_global_text_max) {
        fail("a global's name is longer than 255 octets");
    }
    if (!is_utf8(in.octets) || !is_utf8(in.second)) fail("a global's name is not UTF-8");
    GlobalName global{in.text(), in.second_text()};
    if (protocol_ < 3) global = modern_name(global);
    if (allow_ != nullptr && !allow_->contains(global.module, global.name)) {
        refuse_global(global.module, global.name);
    }
    charge(cost::k_global + global.module.size() + global.name.size());
}

void Checker::check_stack_global() {
    const Mark name = pop(), module = pop();
    if (kind_of(name) != k_text || kind_of(module) != k_text) fail("a global's name is no str");
    if (((name | module) & k_long_text) != 0) fail("a global's name is longer than 255 octets");
    if (allow_ != nullptr) {
        const Mark module_word = module & k_word_bits, name_word = name & k_word_bits;
        if (module_word == 0 || name_word == 0 || !allow_->contains(module_word, name_word)) {
            refuse_global(recent_[0], recent_[1]);
        }
    }
    charge(cost::k_global + 2 * k_global_text_max);
    push(k_global);
}

std::uint32_t Checker::index_of(const Instruction& in) {
    if (in.op != Op::put && in.op != Op::get) return static_cast<std::uint32_t>(in.number);
    const auto index = parse_index(in.text());
    if (!index) fail("no memo index below 2^32: '" + printable(in.text()) + "'");
    return *index;
}

}  // namespace nq::detail
