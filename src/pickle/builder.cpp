// SPDX-License-Identifier: Apache-2.0
#include "pickle/builder.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <iterator>

#include "pickle/globals.hpp"
#include "pickle/literal.hpp"

namespace nq::detail {

namespace {

// Below this a str or bytes is copied out of a long message, so that keeping one does not keep the
// message; a short message is kept.
constexpr std::size_t k_view_min = 1024;
constexpr std::size_t k_kept_message_max = std::size_t{16} << 10;

std::int64_t little_endian(std::span<const std::byte> octets) {
    if (octets.empty()) return 0;
    std::uint64_t value = (octets.back() & std::byte{0x80}) != std::byte{0} ? ~std::uint64_t{0} : 0;
    for (auto octet = octets.rbegin(); octet != octets.rend(); ++octet) {
        value = (value << 8) | std::to_integer<std::uint64_t>(*octet);
    }
    return static_cast<std::int64_t>(value);
}

/// Lets a vector grow by no more than cost.hpp says.
template <class T>
void make_room(std::vector<T>& items, std::size_t added) {
    const std::size_t size = items.size() + added;
    const std::size_t capacity = items.capacity();
    if (size > capacity) items.reserve(std::max(size, capacity + capacity / 4));
}

Value int_of(const Instruction& in) {
    return in.octets.size() <= 8 ? Value(little_endian(in.octets)) : Value(BigInt(in.octets));
}

}  // namespace

Builder::Builder(Chunk message, const Survey& survey, std::size_t spare)
    : message_(std::move(message)), decoder_(message_.octets()), spare_(spare) {
    stack_.reserve(survey.items_max);
    marks_.reserve(survey.marks_max);
    memo_.reserve(survey.memo_dense);
}

Value Builder::run() {
    for (;;) {
        const Instruction in = decoder_.next();
        if (in.op == Op::stop) return pop();
        if (!step_scalar(in) && !step_container(in) && !step_instance(in)) step_control(in);
    }
}

Chunk Builder::octets_of(const Instruction& in) const {
    if (message_.size() > k_kept_message_max && in.octets.size() < k_view_min) {
        return Chunk::copy_of(in.octets);
    }
    return message_.slice(static_cast<std::size_t>(in.octets.data() - message_.data()),
                          in.octets.size());
}

bool Builder::step_scalar(const Instruction& in) {
    switch (in.op) {
        case Op::none: return push({}), true;
        case Op::new_true: return push(true), true;
        case Op::new_false: return push(false), true;
        case Op::binint:
        case Op::binint1:
        case Op::binint2: return push(static_cast<std::int64_t>(in.number)), true;
        case Op::binfloat: return push(std::bit_cast<double>(in.number)), true;
        case Op::long1:
        case Op::long4: return push(int_of(in)), true;
        case Op::integer: return push(*parse_int(in.text())), true;
        case Op::long_text: return push(*parse_long(in.text())), true;
        case Op::float_text: return push(*parse_float(in.text())), true;
        case Op::string: return push(*parse_quoted(in.text())), true;
        case Op::unicode: return push(*parse_raw_unicode(in.text())), true;
        case Op::binstring:
        case Op::short_binstring:
        case Op::binunicode:
        case Op::short_binunicode:
        case Op::binunicode8: return push(Value::str(octets_of(in))), true;
        case Op::binbytes:
        case Op::short_binbytes:
        case Op::binbytes8: return push(Value::bytes(octets_of(in))), true;
        case Op::bytearray8: return push(Value::bytearray(octets_of(in))), true;
        default: return false;
    }
}

bool Builder::step_container(const Instruction& in) {
    switch (in.op) {
        case Op::empty_list: return push(Value::list()), true;
        case Op::empty_dict: return push(Value::dict()), true;
        case Op::empty_set: return push(Value::set()), true;
        case Op::empty_tuple: {
            static const Value empty = Value::tuple();
            return push(empty), true;
        }
        case Op::tuple1: return push(Value::tuple(take(1))), true;
        case Op::tuple2: return push(Value::tuple(take(2))), true;
        case Op::tuple3: return push(Value::tuple(take(3))), true;
        case Op::tuple: return push(Value::tuple(take_items())), true;
        case Op::list: return push(Value::list(take_items())), true;
        case Op::frozenset: return push(Value::frozenset(take_items(Keys::all))), true;
        case Op::dict: {
            std::vector<Value::Pair> pairs;
            append_pairs(pairs, take_items(Keys::every_second));
            return push(Value::dict(std::move(pairs))), true;
        }
        case Op::append: {
            Value item = pop();
            make_room(open_items(), 1);
            return open_items().push_back(std::move(item)), true;
        }
        case Op::appends:
        case Op::additems: {
            auto items = take_items(in.op == Op::additems ? Keys::all : Keys::none);
            return append(open_items(), std::move(items)), true;
        }
        case Op::setitem: {
            auto items = take(2, Keys::every_second);
            return append_pairs(open_pairs(), std::move(items)), true;
        }
        case Op::setitems: {
            auto items = take_items(Keys::every_second);
            return append_pairs(open_pairs(), std::move(items)), true;
        }
        default: return false;
    }
}

bool Builder::step_instance(const Instruction& in) {
    switch (in.op) {
        case Op::global: return push_global(in.text(), in.second_text()), true;
        case Op::stack_global: {
            const Value name = pop(), module = pop();
            push(Global{std::string(module.as_str()), std::string(name.as_str())});
            return true;
        }
        case Op::reduce:
        case Op::newobj: {
            Value arguments = pop(), type = settle_callable(pop_unsettled());
            const auto recipe = in.op == Op::reduce ? Object::Recipe::call : Object::Recipe::create;
            return push_instance(recipe, std::move(type), std::move(arguments)), true;
        }
        case Op::newobj_ex: {
            Value keywords = pop(), arguments = pop();
            Value type = settle_callable(pop_unsettled());
            push_instance(Object::Recipe::create_keywords, std::move(type), std::move(arguments),
                          std::move(keywords));
            return true;
        }
        case Op::instance:
        case Op::object: {
            auto items = take_items();
            if (in.op == Op::instance) {
                push_global(in.text(), in.second_text());
            } else {
                push(std::move(items.front()));
                items.erase(items.begin());
            }
            // Python 2 makes an instance of arguments only if there are any.
            const auto recipe = items.empty() ? Object::Recipe::create : Object::Recipe::call;
            return push_instance(recipe, pop(), Value::tuple(std::move(items))), true;
        }
        case Op::build: {
            Value state = pop();
            auto* const instance = ValueAccess::node<Object>(stack_.back());
            assert(instance != nullptr);
            return instance->state = std::move(state), true;
        }
        default: return false;
    }
}

void Builder::step_control(const Instruction& in) {
    switch (in.op) {
        case Op::put: return put(*parse_index(in.text()));
        case Op::binput:
        case Op::long_binput: return put(static_cast<std::uint32_t>(in.number));
        case Op::memoize: return put(static_cast<std::uint32_t>(memo_count_));
        case Op::get: return get(*parse_index(in.text()));
        case Op::binget:
        case Op::long_binget: return get(static_cast<std::uint32_t>(in.number));
        case Op::mark: return marks_.push_back(stack_.size());
        case Op::pop:
            if (!marks_.empty() && marks_.back() == stack_.size()) return marks_.pop_back();
            return void(pop());
        case Op::pop_mark: return void(take_items());
        case Op::dup: return push(Value(stack_.back()));
        case Op::proto: protocol_ = in.number; return;
        default: return;  // FRAME: the Checker has compared it with the message
    }
}

Value Builder::pop_unsettled() {
    assert(!stack_.empty());
    Value value = std::move(stack_.back());
    stack_.pop_back();
    return value;
}

std::vector<Value> Builder::take(std::size_t count, Keys keys) {
    assert(count <= stack_.size());
    const std::size_t first = stack_.size() - count;
    std::vector<Value> items;
    items.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_key = keys == Keys::all || (keys == Keys::every_second && i % 2 == 0);
        Value item = std::move(stack_[first + i]);
        items.push_back(is_key ? settle_key(std::move(item)) : settle(std::move(item)));
    }
    stack_.resize(first);
    return items;
}

std::vector<Value> Builder::take_items(Keys keys) {
    assert(!marks_.empty());
    const std::size_t mark = marks_.back();
    marks_.pop_back();
    return take(stack_.size() - mark, keys);
}

void Builder::append(std::vector<Value>& list, std::vector<Value> items) {
    if (list.empty()) {
        list = std::move(items);
    } else {
        make_room(list, items.size());
        list.insert(list.end(), std::move_iterator(items.begin()), std::move_iterator(items.end()));
    }
}

void Builder::append_pairs(std::vector<Value::Pair>& pairs, std::vector<Value> items) {
    make_room(pairs, items.size() / 2);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
        pairs.emplace_back(std::move(items[i]), std::move(items[i + 1]));
    }
}

std::vector<Value>& Builder::open_items() {
    const Value& top = stack_.back();
    if (auto* const list = ValueAccess::node<ListNode>(top)) return list->items;
    if (auto* const set = ValueAccess::node<SetNode>(top)) return set->items;
    auto* const instance = ValueAccess::node<Object>(top);
    assert(instance != nullptr);
    return instance->list_items;
}

std::vector<Value::Pair>& Builder::open_pairs() {
    const Value& top = stack_.back();
    if (auto* const dict = ValueAccess::node<DictNode>(top)) return dict->items;
    auto* const instance = ValueAccess::node<Object>(top);
    assert(instance != nullptr);
    return instance->dict_items;
}

void Builder::push_global(std::string_view module, std::string_view name) {
    GlobalName global{module, name};
    if (protocol_ < 3) global = modern_name(global);
    push(Global{std::string(global.module), std::string(global.name)});
}

void Builder::push_instance(Object::Recipe recipe, Value type, Value arguments, Value keywords) {
    const auto* const global = std::get_if<std::shared_ptr<Global>>(&ValueAccess::storage(type));
    static const auto nameless = std::make_shared<const Global>();
    auto instance =
        std::make_shared<Pending>(global != nullptr ? *global : nameless, std::move(arguments));
    if (global == nullptr) instance->callable = std::move(type);
    instance->recipe = recipe;
    instance->keywords = std::move(keywords);
    push(ValueAccess::wrap<Object>(std::move(instance)));
}

Value Builder::settle(Value value) {
    auto* const object = ValueAccess::node<Object>(value);
    if (object == nullptr) return value;
    // Every Object that stands on this stack was made by push_instance.
    auto& instance = static_cast<Pending&>(*object);
    if (!instance.settled) {
        instance.settled = true;
        normalise(instance, spare_);
        instance.known = recognise(instance, spare_);
    }
    return instance.known.is_none() ? value : instance.known;
}

// Where Python would refuse the known type, such as a set for a key, the instance stays one: what
// loads can be dumped and loaded again. The copy is of one size: what is known has no items.
Value Builder::settle_key(Value value) {
    Value settled = settle(value);
    return is_hashable(settled.type()) || !value.is_object() ? settled : Value(value.as_object());
}

Value Builder::settle_callable(Value value) {
    Value settled = settle(value);
    if (settled.is_object() || !value.is_object()) return settled;
    return Value(value.as_object());
}

void Builder::put(std::uint32_t index) {
    const Value& value = stack_.back();
    if (MarkMemo::is_dense(memo_.size(), memo_count_++, index)) {
        if (index >= memo_.size()) memo_.resize(index + std::size_t{1});
        memo_[index] = value;
    } else {
        sparse_memo_.emplace(index, value);
    }
}

void Builder::get(std::uint32_t index) {
    const auto sparse = sparse_memo_.find(index);
    const Value& value = sparse != sparse_memo_.end() ? sparse->second : memo_[index];
    push(value);
}

}  // namespace nq::detail
