// SPDX-License-Identifier: Apache-2.0
#include "pickle/node.hpp"

#include <cassert>
#include <cstring>
#include <type_traits>

namespace nq::detail {

namespace {

constexpr std::uint64_t k_high_bits = 0x8080808080808080;

template <class T>
struct IsShared : std::false_type {};
template <class T>
struct IsShared<std::shared_ptr<T>> : std::true_type {};

/// The items of a list, tuple, set or frozenset, or null.
std::vector<Value>* items_of(Value& value) noexcept {
    switch (value.type()) {
        case ValueType::list: return &ValueAccess::node<ListNode>(value)->items;
        case ValueType::tuple: return &ValueAccess::node<TupleNode>(value)->items;
        case ValueType::set: return &ValueAccess::node<SetNode>(value)->items;
        case ValueType::frozenset: return &ValueAccess::node<FrozenSetNode>(value)->items;
        default: return nullptr;
    }
}

bool is_last_share(const Value& value) noexcept {
    return is_container(value.type()) && ValueAccess::share_count(value) == 1;
}

/// Empties from the back until a value that would have to be dismantled itself stands there.
Value* last_container(std::vector<Value>& items) noexcept {
    while (!items.empty()) {
        if (is_last_share(items.back())) return &items.back();
        items.pop_back();
    }
    return nullptr;
}

Value* last_container(std::vector<Value::Pair>& pairs) noexcept {
    while (!pairs.empty()) {
        auto& [key, mapped] = pairs.back();
        if (is_last_share(mapped)) return &mapped;
        mapped = Value();
        if (is_last_share(key)) return &key;
        pairs.pop_back();
    }
    return nullptr;
}

Value* last_container(Object& object) noexcept {
    if (Value* const slot = last_container(object.dict_items)) return slot;
    if (Value* const slot = last_container(object.list_items)) return slot;
    for (Value* const slot :
         {&object.keywords, &object.state, &object.arguments, &object.callable}) {
        if (is_last_share(*slot)) return slot;
        *slot = Value();
    }
    return nullptr;
}

Value* last_container(Value& container) noexcept {
    if (auto* const items = items_of(container)) return last_container(*items);
    if (auto* const dict = ValueAccess::node<DictNode>(container)) {
        return last_container(dict->items);
    }
    return last_container(*ValueAccess::node<Object>(container));
}

}  // namespace

bool is_container(ValueType type) noexcept {
    switch (type) {
        case ValueType::list:
        case ValueType::tuple:
        case ValueType::dict:
        case ValueType::set:
        case ValueType::frozenset:
        case ValueType::object: return true;
        default: return false;
    }
}

bool is_hashable(ValueType type) noexcept {
    switch (type) {
        case ValueType::list:
        case ValueType::dict:
        case ValueType::set:
        case ValueType::bytearray: return false;
        default: return true;
    }
}

long ValueAccess::share_count(const Value& value) noexcept {
    return std::visit(
        [](const auto& content) -> long {
            if constexpr (IsShared<std::remove_cvref_t<decltype(content)>>::value) {
                return content.use_count();
            } else {
                return 0;
            }
        },
        value.storage_);
}

const void* ValueAccess::identity(const Value& value) noexcept {
    return std::visit(
        [](const auto& content) -> const void* {
            if constexpr (IsShared<std::remove_cvref_t<decltype(content)>>::value) {
                return content.get();
            } else {
                return nullptr;
            }
        },
        value.storage_);
}

void append_children(const Value& value, std::vector<const Value*>& children) {
    // Reads only: the cast serves the one list of types in items_of.
    if (const auto* const items = items_of(const_cast<Value&>(value))) {
        for (const Value& item : *items) children.push_back(&item);
    } else if (const auto* const dict = ValueAccess::node<DictNode>(value)) {
        for (const auto& [key, mapped] : dict->items) {
            children.push_back(&key);
            children.push_back(&mapped);
        }
    } else if (const auto* const object = ValueAccess::node<Object>(value)) {
        children.push_back(&object->callable);
        children.push_back(&object->arguments);
        children.push_back(&object->keywords);
        children.push_back(&object->state);
        for (const Value& item : object->list_items) children.push_back(&item);
        for (const auto& [key, mapped] : object->dict_items) {
            children.push_back(&key);
            children.push_back(&mapped);
        }
    }
}

bool is_utf8(std::span<const std::byte> octets) noexcept {
    const auto* at = reinterpret_cast<const unsigned char*>(octets.data());
    const auto* const end = at + octets.size();
    const auto continues = [&at](std::ptrdiff_t i) { return (at[i] & 0xc0) == 0x80; };
    while (at != end) {
        if (*at < 0x80) {
            // Most text is ASCII: eight octets at a time while it lasts.
            std::uint64_t word = 0;
            while (end - at >= 8 && (std::memcpy(&word, at, 8), (word & k_high_bits) == 0)) at += 8;
            while (at != end && *at < 0x80) ++at;
        } else if (*at >= 0xc2 && *at < 0xe0) {
            if (end - at < 2 || !continues(1)) return false;
            at += 2;
        } else if (*at >= 0xe0 && *at < 0xf0) {
            if (end - at < 3 || !continues(1) || !continues(2)) return false;
            if (*at == 0xe0 && at[1] < 0xa0) return false;
            at += 3;
        } else if (*at >= 0xf0 && *at < 0xf5) {
            if (end - at < 4 || !continues(1) || !continues(2) || !continues(3)) return false;
            if ((*at == 0xf0 && at[1] < 0x90) || (*at == 0xf4 && at[1] > 0x8f)) return false;
            at += 4;
        } else {
            return false;
        }
    }
    return true;
}

}  // namespace nq::detail

namespace nq {

bool Value::owns_containers() const noexcept { return detail::is_last_share(*this); }

// Frees a tree of any depth in constant stack and without memory: the way back to the parent is
// kept in the very slot that the child was taken from (pointer reversal).
void Value::dismantle() noexcept {
    Value current(std::move(*this));
    Value parent;
    for (std::size_t depth = 0;;) {
        if (Value* const slot = detail::last_container(current)) {
            Value child(std::move(*slot));
            *slot = std::move(parent);
            parent = std::move(current);
            current = std::move(child);
            ++depth;
            continue;
        }
        current.storage_.emplace<0>();
        if (depth == 0) return;
        current = std::move(parent);
        if (--depth == 0) continue;
        Value* const slot = detail::last_container(current);
        assert(slot != nullptr);
        parent = std::move(*slot);
    }
}

}  // namespace nq
