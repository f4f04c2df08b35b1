// SPDX-License-Identifier: Apache-2.0
#include <net_queue/serializer.hpp>

#include <limits>

#include "pickle/builder.hpp"
#include "pickle/checker.hpp"
#include "pickle/writer.hpp"

namespace nq {

namespace {

// The default object budget (docs/guarantees.md, Values): what CPython's own pickles need with some
// room. An item of a list, the densest, takes one octet of pickle and 48 of memory.
constexpr std::size_t k_budget_per_octet = 64;
constexpr std::size_t k_budget_base = std::size_t{1} << 20;

std::size_t budget_of(const PickleOptions& options, std::size_t message_size) {
    if (options.object_budget) return *options.object_budget;
    constexpr std::size_t k_max = std::numeric_limits<std::size_t>::max() / 2;
    if (message_size > k_max / k_budget_per_octet) return k_max;
    return k_budget_per_octet * message_size + k_budget_base;
}

}  // namespace

Stream PickleSerializer::dump(const Value& value) const { return detail::Writer().write(value); }

Value PickleSerializer::load(Stream stream) const {
    static const PickleOptions defaults;
    const PickleOptions& options = options_ ? *options_ : defaults;
    const Chunk message = stream.to_chunk();
    stream.clear();  // a message of several chunks would stand in memory twice
    const std::size_t budget = budget_of(options, message.size());
    const AllowList* const allow = options.allow ? &*options.allow : nullptr;
    const detail::Survey survey = detail::Checker(message.octets(), allow, budget).run();
    return detail::Builder(message, survey, budget - survey.cost).run();
}

}  // namespace nq
