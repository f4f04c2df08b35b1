// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <net_queue/value.hpp>

#include "pickle/blocks.hpp"
#include "pickle/decoder.hpp"
#include "pickle/memo.hpp"

namespace nq::detail {

/// What building a checked pickle takes.
struct Survey {
    std::size_t items_max = 0;   ///< values on the stack at once
    std::size_t marks_max = 0;   ///< MARKs on the stack at once
    std::size_t memo_dense = 0;  ///< where the memo's dense indices end
    std::size_t cost = 0;        ///< octets of memory, at least
};

/// Runs a pickle without making its values: finds every error that it can end in, so that what does
/// not load has cost little, and the builder meets no error.
///
/// Memory: a mark of 2 octets for each stack item and memo entry, and 4 octets for each mutable
/// container that stands on the stack and in the memo. Since it takes an octet of pickle to push
/// or to memoise, and two for such a container: memory <= 4 x message + blocks begun (192 KiB).
///
/// Cycles need no graph. A container enters another only by leaving its place on the stack, or as
/// a second reference, which only GET and DUP make. So one that GET or DUP has touched is closed:
/// it may not be filled any further. Picklers fill a container before they refer to it again unless
/// it contains itself; with those we refuse nothing but cycles.
/// Thread safety: none; used once.
class Checker {
  public:
    /// `allow` may be null: any global.
    Checker(std::span<const std::byte> message, const AllowList* allow, std::size_t budget)
        : decoder_(message), allow_(allow), budget_(budget) {}

    /// Throws SerializationError with the offset.
    Survey run();

  private:
    /// What the checker knows of a value: a kind and flags, or k_text and what `allow` says to it.
    using Mark = std::uint16_t;
    struct Items {
        std::size_t count = 0;
        Mark first = 0;  // the lowest
        std::size_t instances = 0;
        bool hashable = true;
        bool keys_hashable = true;  // the lowest and every second above it
    };

    bool step_scalar(const Instruction& in);
    bool step_container(const Instruction& in);
    bool step_instance(const Instruction& in);
    void step_control(const Instruction& in);

    void push(Mark mark);
    void push_text(std::string_view text, std::size_t copies);
    void push_tuple(std::size_t count);
    Mark pop();
    Items pop_items();
    Mark& top();
    /// The container to fill: checks that it is of that kind, or an instance, and still open.
    void require_open(Mark kind, const char* action);
    void pop_key();

    void fill_pairs();
    void make_dict();
    void check_line_global(const Instruction& in);
    void check_stack_global();
    void make_instance(Mark arguments, Mark callable);
    void refuse_global(std::string_view module, std::string_view name);

    void put(std::uint32_t index);
    void get(std::uint32_t index);
    void duplicate();
    void drop();
    std::uint32_t index_of(const Instruction& in);
    void check_text_number(const Instruction& in);
    void check_text_string(const Instruction& in);

    void charge(std::size_t octets);
    [[noreturn]] void fail(const std::string& text) const { fail_at(offset_, text); }

    Decoder decoder_;
    const AllowList* allow_;
    std::size_t budget_;
    std::size_t offset_ = 0;
    std::uint64_t protocol_ = 0;
    Survey survey_;
    std::size_t mark_count_ = 0;
    Blocks<Mark> stack_;
    MarkMemo memo_;
    // Memo indices of the containers on the stack that carry the flag k_held, in stack order.
    Blocks<std::uint32_t> held_;
    // The latest texts pushed, to name a refused global.
    std::array<std::string_view, 2> recent_{};
};

}  // namespace nq::detail
