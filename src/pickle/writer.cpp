// SPDX-License-Identifier: Apache-2.0
#include "pickle/writer.hpp"

#include <cassert>

#include "pickle/globals.hpp"
#include "pickle/node.hpp"

namespace nq::detail {

namespace {

// Items between MARK and APPENDS, as CPython has it: bounds the reader's stack.
constexpr std::size_t k_batch = 1000;
constexpr std::size_t k_protocol = 5;

}  // namespace

Stream Writer::write(const Value& value) {
    out_.put(Op::proto);
    out_.put_octet(k_protocol);
    write_value(value);
    while (!open_.empty()) step();
    out_.put(Op::stop);
    return out_.finish();
}

void Writer::write_value(const Value& value) {
    if (write_reference(value)) return;
    if (is_container(value.type())) {
        begin(value);
    } else {
        write_leaf(value);
    }
}

bool Writer::write_reference(const Value& value) {
    // Most values are in one place only: they are not looked for.
    if (ValueAccess::share_count(value) < 2) return false;
    const auto found = memo_.find(ValueAccess::identity(value));
    if (found == memo_.end()) return false;
    write_get(found->second);
    return true;
}

void Writer::memoise(const Value& value) {
    if (ValueAccess::share_count(value) < 2) return;
    if (memo_.emplace(ValueAccess::identity(value), memo_count_).second) {
        out_.put(Op::memoize);
        ++memo_count_;
    }
}

void Writer::write_get(std::uint32_t index) {
    if (index < 256) {
        out_.put(Op::binget);
        out_.put_octet(index);
    } else {
        out_.put(Op::long_binget);
        out_.put_number(index, 4);
    }
}

// Mutable containers are memoised before their items, as Python does; tuples and frozensets, which
// can't be referred to before they exist, after.
void Writer::begin(const Value& container) {
    switch (container.type()) {
        case ValueType::list:
            out_.put(Op::empty_list);
            memoise(container);
            break;
        case ValueType::dict:
            out_.put(Op::empty_dict);
            memoise(container);
            break;
        case ValueType::set:
            out_.put(Op::empty_set);
            memoise(container);
            break;
        case ValueType::frozenset: out_.put(Op::mark); break;
        case ValueType::tuple:
            if (container.size() == 0) return out_.put(Op::empty_tuple);
            if (container.size() > 3) out_.put(Op::mark);
            break;
        default: begin_object(container.as_object());
    }
    open_.push_back({&container, 0});
}

void Writer::begin_object(const Object& object) {
    using Recipe = Object::Recipe;
    if (!object.type || !object.arguments.is_tuple()) {
        raise_serialization("an object without a class, or whose arguments are no tuple");
    }
    if (object.keywords.is_dict() != (object.recipe == Recipe::create_keywords)) {
        raise_serialization("an object's keywords and its recipe disagree");
    }
    if (object.recipe == Recipe::bare && object.arguments.size() != 0) {
        raise_serialization("a bare object takes no arguments");
    }
    if (!object.callable.is_none()) {
        if (object.callable.is_object() && object.recipe != Recipe::bare) return;
        raise_serialization("an object's callable is no object, or its recipe is bare");
    }
    if (object.recipe == Recipe::bare) write_global("copyreg", "_reconstructor");
    write_global(object.module(), object.name());
}

void Writer::step() {
    const Value& container = *open_.back().value;
    switch (container.type()) {
        case ValueType::list: return step_list(container.as_list(), Op::appends);
        case ValueType::set: return step_list(container.as_set(), Op::additems);
        case ValueType::tuple: return step_tuple(container.as_tuple());
        case ValueType::frozenset: return step_frozenset(container.as_set());
        case ValueType::dict: return step_dict(container.as_dict());
        default: return step_object(container.as_object());
    }
}

void Writer::end() { open_.pop_back(); }

void Writer::step_list(const std::vector<Value>& items, Op close) {
    const std::size_t i = open_.back().next++;
    if (i > 0 && (i % k_batch == 0 || i == items.size())) out_.put(close);
    if (i == items.size()) return end();
    if (i % k_batch == 0) out_.put(Op::mark);
    write_value(items[i]);
}

void Writer::step_tuple(const std::vector<Value>& items) {
    const std::size_t i = open_.back().next++;
    if (i < items.size()) return write_value(items[i]);
    switch (items.size()) {
        case 1: out_.put(Op::tuple1); break;
        case 2: out_.put(Op::tuple2); break;
        case 3: out_.put(Op::tuple3); break;
        default: out_.put(Op::tuple);
    }
    memoise(*open_.back().value);
    end();
}

void Writer::step_frozenset(const std::vector<Value>& items) {
    const std::size_t i = open_.back().next++;
    if (i < items.size()) return write_value(items[i]);
    out_.put(Op::frozenset);
    memoise(*open_.back().value);
    end();
}

void Writer::step_dict(const std::vector<Value::Pair>& pairs) {
    const std::size_t i = open_.back().next++;
    const bool is_key = i % 2 == 0;
    const std::size_t n = i / 2;
    if (is_key) {
        if (n > 0 && (n % k_batch == 0 || n == pairs.size())) out_.put(Op::setitems);
        if (n == pairs.size()) return end();
        if (n % k_batch == 0) out_.put(Op::mark);
    }
    write_value(is_key ? pairs[n].first : pairs[n].second);
}

// In Python's order: callable, arguments, keywords, the instance itself, list items, dict items,
// state.
void Writer::step_object(const Object& object) {
    std::size_t i = open_.back().next++;
    if (i == 0) {
        if (!object.callable.is_none()) write_value(object.callable);
        return;
    }
    if (i == 1) {
        if (object.recipe != Object::Recipe::bare) return write_value(object.arguments);
        write_global("builtins", "object");
        out_.put(Op::none);
        return out_.put(Op::tuple3);
    }
    if (i == 2) {
        if (object.keywords.is_dict()) write_value(object.keywords);
        return;
    }
    if (i == 3) {
        out_.put(object.recipe == Object::Recipe::create            ? Op::newobj
                 : object.recipe == Object::Recipe::create_keywords ? Op::newobj_ex
                                                                    : Op::reduce);
        return memoise(*open_.back().value);
    }
    i -= 4;
    if (i < object.list_items.size()) {
        if (i > 0) out_.put(Op::append);
        return write_value(object.list_items[i]);
    }
    if (i == object.list_items.size() && i > 0) out_.put(Op::append);
    i -= object.list_items.size();
    const std::size_t last = 2 * object.dict_items.size();
    if (i > 0 && i <= last && i % 2 == 0) out_.put(Op::setitem);
    if (i < last) {
        const auto& [key, mapped] = object.dict_items[i / 2];
        return write_value(i % 2 == 0 ? key : mapped);
    }
    if (i == last && !object.state.is_none()) return write_value(object.state);
    if (!object.state.is_none()) out_.put(Op::build);
    end();
}

void Writer::write_leaf(const Value& value) {
    switch (value.type()) {
        case ValueType::none: return out_.put(Op::none);
        case ValueType::boolean: return out_.put(value.as_bool() ? Op::new_true : Op::new_false);
        case ValueType::integer: {
            const auto* const big = ValueAccess::node<BigInt>(value);
            return big != nullptr ? write_big_int(*big) : write_int(value.as_int());
        }
        case ValueType::floating: return write_float(value.as_float());
        case ValueType::str: write_text(ValueAccess::node<StrNode>(value)->octets); break;
        case ValueType::bytes: write_bytes(value.as_bytes()); break;
        case ValueType::bytearray: write_bytearray(value.as_bytes()); break;
        case ValueType::complex: return write_complex(value.as_complex());
        case ValueType::uuid: return write_uuid(value.as_uuid());
        case ValueType::date: return write_date(value.as_date());
        case ValueType::time: return write_time(value.as_time());
        case ValueType::datetime: return write_datetime(value.as_datetime());
        case ValueType::timedelta: return write_timedelta(value.as_timedelta());
        case ValueType::timezone: return write_timezone(value.as_timezone());
        case ValueType::decimal:
            write_decimal(ValueAccess::node<DecimalNode>(value)->octets);
            break;
        case ValueType::array: write_array(value.as_array()); break;
        case ValueType::scalar: write_scalar(value.as_array()); break;
        case ValueType::global:
            return write_global(value.as_global().module, value.as_global().name);
        default: assert(false);
    }
    memoise(value);
}

void Writer::write_global(std::string_view module, std::string_view name) {
    const auto found = globals_.find({module, name});
    if (found != globals_.end()) return write_get(found->second);
    if (module.size() > k_global_text_max || name.size() > k_global_text_max) {
        raise_serialization("a global's module and name have 255 octets at most each");
    }
    write_str(module);
    write_str(name);
    out_.put(Op::stack_global);
    out_.put(Op::memoize);
    // Views of the value that is being written, or of literals: both outlive the writer.
    globals_.emplace(std::pair(module, name), memo_count_++);
}

}  // namespace nq::detail
