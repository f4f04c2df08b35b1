// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <net_queue/value.hpp>

#include "pickle/dtype.hpp"

namespace nq::detail {

/// What remains of an object budget. Things of one size are paid for before they are built; this
/// pays for copies of octets and items, whose number only the builder sees.
class Spare {
  public:
    explicit Spare(std::size_t octets) : octets_(octets) {}
    [[nodiscard]] bool take(std::size_t octets) {
        if (octets > octets_) return false;
        octets_ -= octets;
        return true;
    }

  private:
    std::size_t octets_;
};

/// Rewrites the helpers of copyreg, which stand for the class that they are called with, into that
/// class's own recipe.
void normalise(Object& object, Spare& spare);

/// The value of a known type that the recipe makes, or None: where the class is not known, where
/// the recipe is not exactly one that Python writes, and where `spare` does not suffice.
[[nodiscard]] Value recognise(const Object& object, Spare& spare);

/// The part of it that is numpy's. REQUIRES: the class is known to be numpy's.
[[nodiscard]] Value recognise_reconstruct(const Object& object, Spare& spare);
[[nodiscard]] Value recognise_frombuffer(const Object& object, Spare& spare);
[[nodiscard]] Value recognise_scalar(const Object& object, Spare& spare);

/// The items of a tuple of that length, or null.
[[nodiscard]] const Value* tuple_items(const Value& value, std::size_t length);
/// An int in [lowest, highest]; nothing else, bool neither.
[[nodiscard]] std::optional<std::int64_t> int_within(const Value& value, std::int64_t lowest,
                                                     std::int64_t highest);

}  // namespace nq::detail
