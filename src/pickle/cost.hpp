// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include <net_queue/value.hpp>

#include "pickle/builder.hpp"
#include "pickle/globals.hpp"
#include "pickle/node.hpp"

// What the builder allocates for each thing it makes, in octets: the currency of the object budget.
namespace nq::detail::cost {

inline constexpr std::size_t k_shared = 16;  // libstdc++'s control block
inline constexpr std::size_t k_octets = k_shared + sizeof(BytesNode);
inline constexpr std::size_t k_big_int = k_shared + sizeof(BigInt);
inline constexpr std::size_t k_sequence = k_shared + sizeof(ListNode);
// The builder lets a vector grow by a quarter at least.
inline constexpr std::size_t k_list_item = sizeof(Value) + sizeof(Value) / 4;
inline constexpr std::size_t k_global = k_shared + sizeof(Global);
// The instance, and the largest node of fixed size that it may turn out to be.
inline constexpr std::size_t k_instance =
    2 * k_shared + sizeof(Pending) + sizeof(ArrayNode<ValueType::array>);
// A second instance, where a known type can't stand (Builder::settle_key, settle_callable).
inline constexpr std::size_t k_instance_copy = k_shared + sizeof(Object);
inline constexpr std::size_t k_sparse_memo = 64;  // a node of std::unordered_map, and its bucket

}  // namespace nq::detail::cost
