// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <net_queue/value.hpp>

#include "pickle/node.hpp"

namespace nq {

namespace {

using detail::ValueAccess;

bool same_double(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

std::size_t hash_double(double value) {
    return std::isnan(value) ? 1 : std::hash<double>()(value == 0 ? 0.0 : value);
}

/// Whether two values of one type are the same, their children (if any) apart.
bool same_leaf(const Value& a, const Value& b) {
    switch (a.type()) {
        case ValueType::boolean: return a.as_bool() == b.as_bool();
        case ValueType::integer:
            return ValueAccess::node<BigInt>(a) || ValueAccess::node<BigInt>(b)
                       ? a.as_big_int() == b.as_big_int()
                       : a.as_int() == b.as_int();
        case ValueType::floating: return same_double(a.as_float(), b.as_float());
        case ValueType::str: return a.as_str() == b.as_str();
        case ValueType::bytes:
        case ValueType::bytearray: return a.as_bytes().text() == b.as_bytes().text();
        case ValueType::complex:
            return same_double(a.as_complex().real(), b.as_complex().real()) &&
                   same_double(a.as_complex().imag(), b.as_complex().imag());
        case ValueType::uuid: return a.as_uuid() == b.as_uuid();
        case ValueType::date: return a.as_date() == b.as_date();
        case ValueType::time: return a.as_time() == b.as_time();
        case ValueType::datetime: return a.as_datetime() == b.as_datetime();
        case ValueType::timedelta: return a.as_timedelta() == b.as_timedelta();
        case ValueType::timezone: return a.as_timezone() == b.as_timezone();
        case ValueType::decimal: return a.as_decimal() == b.as_decimal();
        case ValueType::array:
        case ValueType::scalar: return a.as_array() == b.as_array();
        case ValueType::global: return a.as_global() == b.as_global();
        case ValueType::object:
            return *a.as_object().type == *b.as_object().type &&
                   a.as_object().recipe == b.as_object().recipe;
        default: return true;
    }
}

/// Equal for what same_leaf calls the same.
std::size_t hash_leaf(const Value& value) {
    const auto hash_text = std::hash<std::string_view>();
    switch (value.type()) {
        case ValueType::boolean: return value.as_bool();
        case ValueType::integer: {
            if (const auto* big = ValueAccess::node<BigInt>(value)) {
                return hash_text(
                    {reinterpret_cast<const char*>(big->octets().data()), big->octets().size()});
            }
            return std::hash<std::int64_t>()(value.as_int());
        }
        case ValueType::floating: return hash_double(value.as_float());
        case ValueType::str: return hash_text(value.as_str());
        case ValueType::bytes:
        case ValueType::bytearray: return hash_text(value.as_bytes().text());
        case ValueType::complex:
            return hash_double(value.as_complex().real()) * 31 +
                   hash_double(value.as_complex().imag());
        case ValueType::uuid: return std::hash<Uuid>()(value.as_uuid());
        case ValueType::decimal: return hash_text(value.as_decimal());
        case ValueType::array:
        case ValueType::scalar: return hash_text(value.as_array().octets.text());
        case ValueType::global: return hash_text(value.as_global().name);
        case ValueType::object: return hash_text(value.as_object().name());
        case ValueType::date:
        case ValueType::time:
        case ValueType::datetime:
        case ValueType::timedelta:
        case ValueType::timezone: return hash_text(value.repr());
        default: return 0;
    }
}

/// A value whose children are numbers: two values are equal iff their forms are.
struct Form {
    const Value* leaf;
    std::vector<std::uint32_t> children;

    friend bool operator==(const Form& a, const Form& b) {
        return a.leaf->type() == b.leaf->type() && a.children == b.children &&
               same_leaf(*a.leaf, *b.leaf);
    }
};

struct FormHash {
    std::size_t operator()(const Form& form) const {
        std::size_t hash = hash_leaf(*form.leaf) ^ static_cast<std::size_t>(form.leaf->type());
        for (const std::uint32_t child : form.children) {
            hash = (hash ^ child) * 0x9e3779b97f4a7c15;
            hash ^= hash >> 29;
        }
        return hash;
    }
};

/// Gives every distinct value a number, children before parents, so that comparing two graphs
/// costs what they store and not what they would unfold to (hash-consing).
class Numbering {
  public:
    std::uint32_t number(const Value& root) {
        visit(root);
        while (!open_.empty()) {
            Visit& top = open_.back();
            if (top.numbers.size() < top.children.size()) {
                visit(*top.children[top.numbers.size()]);
                continue;
            }
            close(std::move(top));
        }
        return last_;
    }

  private:
    struct Visit {
        const Value* value;
        std::vector<const Value*> children;
        std::vector<std::uint32_t> numbers;
    };

    void visit(const Value& value) {
        if (!detail::is_container(value.type())) {
            deliver(intern({&value, {}}));
            return;
        }
        const auto known = by_node_.find(ValueAccess::identity(value));
        if (known != by_node_.end()) {
            deliver(known->second);
            return;
        }
        open_.push_back({&value, {}, {}});
        detail::append_children(value, open_.back().children);
    }

    void close(Visit done) {
        open_.pop_back();
        const ValueType type = done.value->type();
        if (type == ValueType::set || type == ValueType::frozenset) sort_unique(done.numbers);
        if (type == ValueType::dict) sort_pairs(done.numbers);
        if (type == ValueType::object) {
            // Where the list items end and the dict items begin is not told by the count alone.
            const auto& object = done.value->as_object();
            done.numbers.push_back(static_cast<std::uint32_t>(object.list_items.size()));
        }
        const std::uint32_t number = intern({done.value, std::move(done.numbers)});
        by_node_.emplace(ValueAccess::identity(*done.value), number);
        deliver(number);
    }

    void deliver(std::uint32_t number) {
        last_ = number;
        if (!open_.empty()) open_.back().numbers.push_back(number);
    }

    std::uint32_t intern(Form form) {
        const auto next = static_cast<std::uint32_t>(numbers_.size() + 1);
        return numbers_.emplace(std::move(form), next).first->second;
    }

    static void sort_unique(std::vector<std::uint32_t>& numbers) {
        std::sort(numbers.begin(), numbers.end());
        numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    }

    /// Keys ascending, of equal keys the last value.
    static void sort_pairs(std::vector<std::uint32_t>& numbers) {
        std::map<std::uint32_t, std::uint32_t> pairs;
        for (std::size_t i = 0; i + 1 < numbers.size(); i += 2) pairs[numbers[i]] = numbers[i + 1];
        numbers.clear();
        for (const auto& [key, mapped] : pairs) {
            numbers.push_back(key);
            numbers.push_back(mapped);
        }
    }

    std::vector<Visit> open_;
    std::unordered_map<Form, std::uint32_t, FormHash> numbers_;
    std::unordered_map<const void*, std::uint32_t> by_node_;
    std::uint32_t last_ = 0;
};

}  // namespace

bool operator==(const Value& a, const Value& b) {
    if (a.type() != b.type()) return false;
    if (!detail::is_container(a.type())) return same_leaf(a, b);
    if (ValueAccess::identity(a) == ValueAccess::identity(b)) return true;
    Numbering numbering;
    return numbering.number(a) == numbering.number(b);
}

}  // namespace nq
