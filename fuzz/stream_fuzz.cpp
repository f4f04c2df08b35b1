// SPDX-License-Identifier: Apache-2.0
// A Stream against its model. Input grammar:
//   input = *step
//   step  = operation amount length *octet    operation, amount, length: u8; `length` octets follow
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "testing/stream_model.hpp"

namespace {

using nq::testing::StreamModel;

/// Takes one octet off the front, 0 where there is none.
std::uint8_t take(std::span<const std::uint8_t>& input) {
    if (input.empty()) return 0;
    const std::uint8_t octet = input.front();
    input = input.subspan(1);
    return octet;
}

StreamModel::Step take_step(std::span<const std::uint8_t>& input) {
    StreamModel::Step step;
    step.operation = static_cast<StreamModel::Operation>(take(input) % StreamModel::k_operations);
    step.amount = take(input);
    const std::size_t length = take(input);
    const auto octets = input.first(std::min(length, input.size()));
    step.text.assign(octets.begin(), octets.end());
    input = input.subspan(octets.size());
    return step;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::span<const std::uint8_t> input(data, size);
    StreamModel model;
    while (!input.empty()) {
        model.apply(take_step(input));
        model.invariants();  // what it throws nobody catches: the fuzzer reports a crash
    }
    return 0;
}
