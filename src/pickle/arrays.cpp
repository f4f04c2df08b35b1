// SPDX-License-Identifier: Apache-2.0
#include "pickle/arrays.hpp"

#include <string_view>
#include <unordered_set>

#include <net_queue/error.hpp>

#include "pickle/decoder.hpp"
#include "pickle/globals.hpp"

namespace nq::detail {

namespace {

/// Follows what an array's pickle looks like: its function, as a name or out of the memo, a mark,
/// and then its octets.
class Search {
  public:
    /// True: the instruction's octets are an array's.
    bool follow(const Instruction& instruction) {
        const State before = std::exchange(state_, State::elsewhere);
        switch (instruction.op) {
            case Op::short_binunicode:
            case Op::binunicode: module_ = std::exchange(name_, instruction.text()); break;
            case Op::stack_global:
                if (is_from_buffer()) state_ = State::function;
                break;
            case Op::memoize:
                if (before == State::function) functions_.insert(memo_size_);
                ++memo_size_;
                state_ = before;
                break;
            case Op::binget:
            case Op::long_binget:
                if (functions_.contains(instruction.number)) state_ = State::function;
                break;
            case Op::mark:
                if (before == State::function) state_ = State::arguments;
                break;
            case Op::bytearray8:
            case Op::binbytes:
            case Op::binbytes8: return before == State::arguments;
            default: break;
        }
        return false;
    }

  private:
    enum class State { elsewhere, function, arguments };

    [[nodiscard]] bool is_from_buffer() const {
        return (module_ == "numpy.core.numeric" || module_ == "numpy._core.numeric") &&
               name_ == "_frombuffer";
    }

    State state_ = State::elsewhere;
    std::string_view module_, name_;  // the last two texts
    std::unordered_set<std::uint64_t> functions_;
    std::uint64_t memo_size_ = 0;
};

/// Numbers its memo itself, as protocols before 4 did: then MEMOIZE doesn't count.
bool numbers_memo(Op op) { return op == Op::put || op == Op::binput || op == Op::long_binput; }

}  // namespace

std::vector<ArrayOctets> find_arrays(std::span<const std::byte> pickle, std::size_t size_min) {
    std::vector<ArrayOctets> found;
    try {
        Decoder decoder(pickle);
        Search search;
        std::size_t frame_end = 0;
        while (decoder.remaining() > size_min) {
            const Instruction instruction = decoder.next();
            if (instruction.op == Op::stop || numbers_memo(instruction.op)) break;
            if (instruction.op == Op::frame) frame_end = decoder.consumed() + instruction.number;
            if (!search.follow(instruction)) continue;
            const std::size_t size = instruction.octets.size();
            if (size < size_min || instruction.offset < frame_end) continue;
            found.push_back({instruction.offset, decoder.consumed() - size, size,
                             instruction.op == Op::bytearray8});
        }
    } catch (const Error&) {
        // Whoever loads the pickle will say so.
    }
    return found;
}

}  // namespace nq::detail
