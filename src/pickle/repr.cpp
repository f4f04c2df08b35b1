// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <net_queue/value.hpp>

#include "pickle/node.hpp"

namespace nq {

namespace {

constexpr std::string_view k_cut = "...";

std::string float_text(double value) {
    if (std::isnan(value)) return "nan";
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    std::string text(buffer, end);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
}

std::string complex_text(std::complex<double> value) {
    const char* const plus = std::signbit(value.imag()) && !std::isnan(value.imag()) ? "" : "+";
    return "(" + float_text(value.real()) + plus + float_text(value.imag()) + "j)";
}

/// In quotes, what can't be printed in escapes; at most about `length_max` characters.
std::string quoted(std::string_view text, bool keep_utf8, std::size_t length_max) {
    const bool cut = text.size() > length_max;
    if (cut) text = text.substr(0, length_max);
    const char quote =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos
            ? '"'
            : '\'';
    std::string result(1, quote);
    char escape[8];
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == quote || c == '\\') {
            result.append({'\\', c});
        } else if (c == '\n') {
            result += "\\n";
        } else if (octet < 0x20 || octet == 0x7f || (octet >= 0x80 && !keep_utf8)) {
            std::snprintf(escape, sizeof escape, "\\x%02x", octet);
            result += escape;
        } else {
            result += c;
        }
    }
    result += quote;
    if (cut) result += k_cut;
    return result;
}

std::string delta_text(const TimeDelta& delta) {
    return "datetime.timedelta(days=" + std::to_string(delta.days) +
           ", seconds=" + std::to_string(delta.seconds) +
           ", microseconds=" + std::to_string(delta.microseconds) + ")";
}

std::string zone_text(const TimeZone& zone) {
    std::string text = "datetime.timezone(" + delta_text(zone.offset);
    if (zone.name) text += ", " + quoted(*zone.name, true, zone.name->size());
    return text + ")";
}

std::string date_fields(const Date& date) {
    return std::to_string(date.year) + ", " + std::to_string(date.month) + ", " +
           std::to_string(date.day);
}

std::string time_fields(const Time& time) {
    std::string text = std::to_string(time.hour) + ", " + std::to_string(time.minute) + ", " +
                       std::to_string(time.second) + ", " + std::to_string(time.microsecond);
    if (time.fold) text += ", fold=1";
    if (time.zone) text += ", tzinfo=" + zone_text(*time.zone);
    return text + ")";
}

std::string array_text(const Array& array, bool scalar) {
    std::string text = scalar ? "numpy.scalar(" : "numpy.array(shape=(";
    if (!scalar) {
        for (const std::size_t axis : array.shape) text += std::to_string(axis) + ",";
        text += "), ";
    }
    return text + "dtype='" + array.dtype + "', " + std::to_string(array.octets.size()) +
           " octets)";
}

std::string leaf_text(const Value& value, std::size_t length_max) {
    switch (value.type()) {
        case ValueType::boolean: return value.as_bool() ? "True" : "False";
        case ValueType::integer: {
            const auto* const big = detail::ValueAccess::node<BigInt>(value);
            return big != nullptr ? big->to_string() : std::to_string(value.as_int());
        }
        case ValueType::floating: return float_text(value.as_float());
        case ValueType::str: return quoted(value.as_str(), true, length_max);
        case ValueType::bytes: return "b" + quoted(value.as_bytes().text(), false, length_max);
        case ValueType::bytearray:
            return "bytearray(b" + quoted(value.as_bytes().text(), false, length_max) + ")";
        case ValueType::complex: return complex_text(value.as_complex());
        case ValueType::uuid: return "UUID('" + value.as_uuid().to_string() + "')";
        case ValueType::date: return "datetime.date(" + date_fields(value.as_date()) + ")";
        case ValueType::time: return "datetime.time(" + time_fields(value.as_time());
        case ValueType::datetime:
            return "datetime.datetime(" + date_fields(value.as_datetime().date) + ", " +
                   time_fields(value.as_datetime().time);
        case ValueType::timedelta: return delta_text(value.as_timedelta());
        case ValueType::timezone: return zone_text(value.as_timezone());
        case ValueType::decimal: return "Decimal('" + std::string(value.as_decimal()) + "')";
        case ValueType::array: return array_text(value.as_array(), false);
        case ValueType::scalar: return array_text(value.as_array(), true);
        case ValueType::global:
            return "<" + value.as_global().module + "." + value.as_global().name + ">";
        default: return "None";
    }
}

/// Prints with a stack of what is still to come, the next on top.
class Printer {
  public:
    explicit Printer(std::size_t length_max) : length_max_(length_max) {}

    std::string print(const Value& root) && {
        pending_.push_back({&root, {}});
        while (!pending_.empty() && text_.size() <= length_max_) {
            const Piece piece = pending_.back();
            pending_.pop_back();
            if (piece.value == nullptr) {
                text_ += piece.text;
            } else if (detail::is_container(piece.value->type())) {
                open(*piece.value);
            } else {
                text_ += leaf_text(*piece.value, length_max_);
            }
        }
        if (text_.size() > length_max_) {
            text_.resize(length_max_);
            text_ += k_cut;
        }
        return std::move(text_);
    }

  private:
    // A value, or where there is none, text.
    struct Piece {
        const Value* value;
        std::string_view text;
    };

    void open(const Value& value) {
        switch (value.type()) {
            case ValueType::list: return sequence(value.as_list(), "[", "]");
            case ValueType::tuple:
                return sequence(value.as_tuple(), "(", value.as_tuple().size() == 1 ? ",)" : ")");
            case ValueType::set: return set(value.as_set());
            case ValueType::frozenset: return sequence(value.as_set(), "frozenset({", "})");
            case ValueType::dict:
                text_ += "{";
                pending_.push_back({nullptr, "}"});
                return push_pairs(value.as_dict());
            default: return object(value.as_object());
        }
    }

    void sequence(const std::vector<Value>& items, std::string_view open, std::string_view close) {
        text_ += open;
        pending_.push_back({nullptr, close});
        push_items(items);
    }

    void set(const std::vector<Value>& items) {
        if (items.empty()) return void(text_ += "set()");
        sequence(items, "{", "}");
    }

    void object(const Object& value) {
        text_ += "<";
        pending_.push_back({nullptr, ">"});
        if (!value.dict_items.empty()) {
            pending_.push_back({nullptr, "}"});
            push_pairs(value.dict_items);
            pending_.push_back({nullptr, ", items {"});
        }
        if (!value.list_items.empty()) {
            pending_.push_back({nullptr, "]"});
            push_items(value.list_items);
            pending_.push_back({nullptr, ", items ["});
        }
        if (!value.state.is_none()) {
            pending_.push_back({&value.state, {}});
            pending_.push_back({nullptr, ", state "});
        }
        pending_.push_back({&value.arguments, {}});
        if (value.callable.is_none()) {
            text_ += value.module() + "." + value.name() + " ";
        } else {
            pending_.push_back({nullptr, " "});
            pending_.push_back({&value.callable, {}});
        }
    }

    // What lies beyond the cut is not even looked at: an item prints at least one character.
    void push_items(const std::vector<Value>& items) {
        for (std::size_t i = std::min(items.size(), length_max_ + 1); i > 0; --i) {
            pending_.push_back({&items[i - 1], {}});
            if (i > 1) pending_.push_back({nullptr, ", "});
        }
    }

    void push_pairs(const std::vector<Value::Pair>& pairs) {
        for (std::size_t i = std::min(pairs.size(), length_max_ + 1); i > 0; --i) {
            pending_.push_back({&pairs[i - 1].second, {}});
            pending_.push_back({nullptr, ": "});
            pending_.push_back({&pairs[i - 1].first, {}});
            if (i > 1) pending_.push_back({nullptr, ", "});
        }
    }

    std::size_t length_max_;
    std::string text_;
    std::vector<Piece> pending_;
};

}  // namespace

std::string Value::repr(std::size_t length_max) const { return Printer(length_max).print(*this); }

}  // namespace nq
