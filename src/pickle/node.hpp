// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <net_queue/error.hpp>
#include <net_queue/value.hpp>

namespace nq::detail {

// What a Value shares. Nodes are filled by whoever makes them and constant once a second Value
// refers to them; only the reader fills one step by step (builder.hpp).

template <ValueType type>
struct OctetsNode {
    Chunk octets;
};

template <ValueType type>
struct SequenceNode {
    std::vector<Value> items;
};

template <ValueType type>
struct ArrayNode {
    Array array;
};

struct DictNode {
    std::vector<Value::Pair> items;
};

using StrNode = OctetsNode<ValueType::str>;
using BytesNode = OctetsNode<ValueType::bytes>;
using ByteArrayNode = OctetsNode<ValueType::bytearray>;
using DecimalNode = OctetsNode<ValueType::decimal>;
using ListNode = SequenceNode<ValueType::list>;
using TupleNode = SequenceNode<ValueType::tuple>;
using SetNode = SequenceNode<ValueType::set>;
using FrozenSetNode = SequenceNode<ValueType::frozenset>;

/// The way from a Value to its node, for the files of this folder.
struct ValueAccess {
    using Storage = Value::Storage;

    static Storage& storage(Value& value) { return value.storage_; }
    static const Storage& storage(const Value& value) { return value.storage_; }

    /// The node of that type, or null where the value is of another type.
    template <class Node>
    static Node* node(const Value& value) noexcept {
        const auto* shared = std::get_if<std::shared_ptr<Node>>(&value.storage_);
        return shared == nullptr ? nullptr : shared->get();
    }

    template <class Node>
    static Value wrap(std::shared_ptr<Node> node) {
        Value value;
        value.storage_.template emplace<std::shared_ptr<Node>>(std::move(node));
        return value;
    }

    /// How many Values share the node; 0 where there is none.
    static long share_count(const Value& value) noexcept;
    /// The node's address, or null where the value has none: what makes two values one.
    static const void* identity(const Value& value) noexcept;
};

/// The values directly inside, in order (a dict's as key, value, key, value).
void append_children(const Value& value, std::vector<const Value*>& children);

/// Whether values stand inside of values of this type.
[[nodiscard]] bool is_container(ValueType type) noexcept;

/// Whether Python takes values of this type for keys (of tuples: some).
[[nodiscard]] bool is_hashable(ValueType type) noexcept;

/// Whether the octets are UTF-8, or UTF-8 with lone surrogates in three octets each.
[[nodiscard]] bool is_utf8(std::span<const std::byte> octets) noexcept;

[[noreturn]] inline void raise_serialization(std::string text) {
    raise({make_error_code(Errc::serialization_error), Uuid(), std::move(text)});
}

}  // namespace nq::detail
