// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "pickle/checker.hpp"
#include "pickle/cost.hpp"
#include "pickle/globals.hpp"
#include "pickle/marks.hpp"

namespace nq::detail {

using namespace marks;

void Checker::push(Mark mark) {
    stack_.push_back(mark);
    survey_.items_max = std::max(survey_.items_max, stack_.size() - mark_count_);
}

void Checker::push_text(std::string_view text, std::size_t copies) {
    Mark mark = k_text;
    if (text.size() > k_global_text_max) {
        mark |= k_long_text;
    } else if (allow_ != nullptr) {
        mark |= allow_->word(text);
    }
    charge(cost::k_octets + copies * text.size());
    recent_ = {recent_.back(), text};
    push(mark);
}

void Checker::push_tuple(std::size_t count) {
    charge(count == 0 ? 0 : cost::k_sequence + count * sizeof(Value));
    push(k_tuple);
}

Checker::Mark& Checker::top() {
    if (stack_.empty()) fail("nothing on the stack");
    if (kind_of(stack_.back()) == k_mark) fail("nothing above the mark");
    return stack_.back();
}

Checker::Mark Checker::pop() {
    const Mark mark = top();
    if ((mark & (k_text | k_held)) == k_held) held_.pop_back();
    stack_.pop_back();
    return mark;
}

Checker::Items Checker::pop_items() {
    if (mark_count_ == 0) fail("no mark on the stack");
    Items items;
    bool upper_hashable = true;  // of the items at odd distance from the one looked at
    while (kind_of(stack_.back()) != k_mark) {
        items.first = pop();
        ++items.count;
        items.instances += is_instance(items.first);
        std::swap(items.keys_hashable, upper_hashable);
        items.keys_hashable &= is_hashable(items.first);
        items.hashable &= is_hashable(items.first);
    }
    stack_.pop_back();
    --mark_count_;
    return items;
}

void Checker::require_open(Mark kind, const char* action) {
    const Mark mark = top();
    const Mark found = kind_of(mark);
    const bool fits = found == kind || (found == k_instance && kind != k_set);
    if (!fits) {
        fail(std::string(action) +
             (found == k_built ? " an instance after its state" : " what can't be"));
    }
    if ((mark & k_shared) != 0 ||
        ((mark & k_held) != 0 && (*memo_.find(held_.back()) & k_shared) != 0)) {
        fail(std::string(action) + " what is referred to already: cyclic values are not supported");
    }
}

void Checker::pop_key() {
    const Mark key = pop();
    if (!is_hashable(key)) fail("a key that is not hashable");
    charge(is_instance(key) ? cost::k_instance_copy : 0);
}

void Checker::fill_pairs() {
    const Items items = pop_items();
    if (items.count % 2 != 0) fail("a key without a value");
    if (!items.keys_hashable) fail("a key that is not hashable");
    charge(items.count * cost::k_list_item + items.instances * cost::k_instance_copy);
    require_open(k_dict, "set items of");
}

void Checker::make_dict() {
    const Items items = pop_items();
    if (items.count % 2 != 0) fail("a key without a value");
    if (!items.keys_hashable) fail("a key that is not hashable");
    charge(cost::k_sequence + items.count * cost::k_list_item);
    charge(items.instances * cost::k_instance_copy);
    push(k_dict);
}

void Checker::make_instance(Mark arguments, Mark callable) {
    if (kind_of(arguments) != k_tuple) fail("arguments that are no tuple");
    // Protocols 0 to 3 spell a nested class as an instance, the result of getattr, and keyword
    // arguments as a call of functools.partial's.
    const bool callable_known = kind_of(callable) == k_global || is_instance(callable);
    if (!callable_known) fail("a call of what is no global");
    charge(is_instance(callable) ? cost::k_instance_copy : 0);
    charge(cost::k_instance);
    push(k_instance);
}

void Checker::put(std::uint32_t index) {
    Mark& slot = top();
    if (memo_.find(index) != nullptr) fail("memo entry " + std::to_string(index) + " made twice");
    if (memo_.count() == UINT32_MAX) fail("more than 2^32 memo entries");
    charge(MarkMemo::is_dense(memo_.dense_end(), memo_.count(), index) ? 0 : cost::k_sparse_memo);
    Mark entry = slot;
    if (is_mutable(slot)) {
        entry = static_cast<Mark>(slot & ~k_held);
        if ((slot & k_held) != 0) {
            // A second entry for one container would have to be watched as well: close it.
            *memo_.find(held_.back()) |= k_shared;
            entry |= k_shared;
        } else if ((slot & k_shared) == 0) {
            slot |= k_held;
            held_.push_back(index);
        }
    }
    memo_.define(index, entry);
}

void Checker::get(std::uint32_t index) {
    Mark* const entry = memo_.find(index);
    if (entry == nullptr) fail("no memo entry " + std::to_string(index));
    if (is_mutable(*entry)) *entry |= k_shared;
    if (kind_of(*entry) == k_text) recent_ = {recent_.back(), {}};
    push(*entry);
}

void Checker::duplicate() {
    Mark& slot = top();
    Mark copy = slot;
    if (is_mutable(slot)) {
        if ((slot & k_held) != 0) *memo_.find(held_.back()) |= k_shared;
        slot |= k_shared;
        copy = static_cast<Mark>(slot & ~k_held);
    }
    push(copy);
}

void Checker::drop() {
    if (!stack_.empty() && kind_of(stack_.back()) == k_mark) {
        stack_.pop_back();
        --mark_count_;
        return;
    }
    pop();
}

void Checker::charge(std::size_t octets) {
    survey_.cost += octets;
    if (survey_.cost > budget_) {
        fail("the value takes more than the object budget of " + std::to_string(budget_) +
             " octets");
    }
}

}  // namespace nq::detail
