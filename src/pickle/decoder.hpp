// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "pickle/opcodes.hpp"

namespace nq::detail {

/// Throws SerializationError "pickle, offset N: text".
[[noreturn]] void fail_at(std::size_t offset, const std::string& text);

/// One instruction with its argument still in the message: nothing is copied.
struct Instruction {
    Op op = Op::stop;
    std::size_t offset = 0;             ///< of the opcode
    std::uint64_t number = 0;           ///< u1 u2 u4 u8 i4 (sign-extended) f8 (its bits)
    std::span<const std::byte> octets;  ///< counted octets, or a line without its LF
    std::span<const std::byte> second;  ///< the second line of `global` and `instance`

    [[nodiscard]] std::string_view text() const { return as_text(octets); }
    [[nodiscard]] std::string_view second_text() const { return as_text(second); }

  private:
    static std::string_view as_text(std::span<const std::byte> span) {
        return {reinterpret_cast<const char*>(span.data()), span.size()};
    }
};

/// Cuts a message into instructions. Every length is checked against the octets at hand before it
/// is used; what does not fit ends in fail_at. consumed <= message size.
class Decoder {
  public:
    explicit Decoder(std::span<const std::byte> message) : message_(message) {}

    Instruction next();
    [[nodiscard]] std::size_t consumed() const { return at_; }
    [[nodiscard]] std::size_t remaining() const { return message_.size() - at_; }

  private:
    std::uint64_t take_number(std::size_t size);
    std::span<const std::byte> take(std::uint64_t size);
    std::span<const std::byte> take_line();

    std::span<const std::byte> message_;
    std::size_t at_ = 0;
    std::size_t op_offset_ = 0;
};

}  // namespace nq::detail
