// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <net_queue/value.hpp>

#include "pickle/checker.hpp"
#include "pickle/decoder.hpp"
#include "pickle/known.hpp"
#include "pickle/node.hpp"

namespace nq::detail {

/// An instance while the builder fills it, and what it turned out to be.
struct Pending : Object {
    using Object::Object;

    bool settled = false;
    Value known;  ///< None: it stays an Object
};

/// Makes the value of a pickle that a Checker has passed: no instruction can fail here, and what
/// the Checker refuses is not looked for again.
///
/// An instance is filled in place (BUILD, APPENDS, SETITEMS) until it leaves its place on the
/// stack. Then it is constant (see Checker) and is settled: turned into the Value of a known type,
/// once, for all who refer to it. Thread safety: none; used once.
class Builder {
  public:
    /// `spare`: octets of the object budget left for what only the builder can size (octets and
    /// items copied into known types). An instance that would take more stays an Object.
    Builder(Chunk message, const Survey& survey, std::size_t spare);

    Value run();

  private:
    bool step_scalar(const Instruction& in);
    bool step_container(const Instruction& in);
    bool step_instance(const Instruction& in);
    void step_control(const Instruction& in);

    void push(Value value) { stack_.push_back(std::move(value)); }
    /// Which of the values taken must be hashable.
    enum class Keys : std::uint8_t { none, all, every_second };

    Value pop_unsettled();
    Value pop() { return settle(pop_unsettled()); }
    /// Takes that many values off the stack, settled, in the order they were pushed.
    std::vector<Value> take(std::size_t count, Keys keys = Keys::none);
    /// Takes what stands above the topmost mark, and the mark.
    std::vector<Value> take_items(Keys keys = Keys::none);
    static void append(std::vector<Value>& list, std::vector<Value> items);
    static void append_pairs(std::vector<Value::Pair>& pairs, std::vector<Value> items);
    /// What the container on top of the stack holds.
    std::vector<Value>& open_items();
    std::vector<Value::Pair>& open_pairs();

    Chunk octets_of(const Instruction& in) const;
    void push_global(std::string_view module, std::string_view name);
    void push_instance(Object::Recipe recipe, Value type, Value arguments, Value keywords = {});
    void put(std::uint32_t index);
    void get(std::uint32_t index);
    Value settle(Value value);
    Value settle_key(Value value);
    Value settle_callable(Value value);

    Chunk message_;
    Decoder decoder_;
    Spare spare_;
    std::uint64_t protocol_ = 0;
    std::vector<Value> stack_;
    std::vector<std::size_t> marks_;  // stack_.size() at each MARK
    std::vector<Value> memo_;         // dense indices
    std::unordered_map<std::uint32_t, Value> sparse_memo_;
    std::size_t memo_count_ = 0;
};

}  // namespace nq::detail
