// SPDX-License-Identifier: Apache-2.0
#include "format.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace nq::tool {

namespace {

using Units = std::array<std::string_view, 6>;

std::string scaled(double octets, double base, const Units& units) {
    std::size_t unit = 0;
    while (octets >= base && unit + 1 < units.size()) {
        octets /= base;
        ++unit;
    }
    std::string number = fixed(octets, unit == 0 ? 0 : octets < 10 ? 2 : 1);
    if (number.find('.') != std::string::npos) {
        number.erase(number.find_last_not_of('0') + 1);
        if (number.back() == '.') number.pop_back();
    }
    return number + " " + std::string(units[unit]);
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            std::array<char, 8> escape{};
            std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
            out += escape.data();
        } else {
            out += c;
        }
    }
    return out + '"';
}

}  // namespace

std::string decimal_size(double octets) {
    return scaled(octets, 1000, {"B", "kB", "MB", "GB", "TB", "PB"});
}

std::string binary_size(double octets) {
    return scaled(octets, 1024, {"B", "KiB", "MiB", "GiB", "TiB", "PiB"});
}

std::string clock_time(double seconds) {
    const auto total = static_cast<std::uint64_t>(std::max(seconds, 0.0) + 0.5);
    std::array<char, 32> text{};
    if (total >= 3600) {
        std::snprintf(text.data(), text.size(), "%u:%02u:%02u", static_cast<unsigned>(total / 3600),
                      static_cast<unsigned>(total / 60 % 60), static_cast<unsigned>(total % 60));
    } else {
        std::snprintf(text.data(), text.size(), "%u:%02u", static_cast<unsigned>(total / 60),
                      static_cast<unsigned>(total % 60));
    }
    return text.data();
}

std::string fixed(double value, int digits) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return text.data();
}

std::string Table::text() const {
    std::vector<std::size_t> widths;
    for (const Row& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const Row& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string padding(widths[i] - row[i].size(), ' ');
            out += i == 0 ? row[i] + padding : "  " + padding + row[i];
        }
        out += '\n';
    }
    return out;
}

Json& Json::add_raw(std::string_view name, std::string_view value) {
    if (!members_.empty()) members_ += ", ";
    members_ += quoted(name) + ": " + std::string(value);
    return *this;
}

Json& Json::add(std::string_view name, std::string_view text) {
    return add_raw(name, quoted(text));
}

Json& Json::add(std::string_view name, bool value) {
    return add_raw(name, value ? "true" : "false");
}

Json& Json::add(std::string_view name, double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.12g", value);
    return add_raw(name, text.data());
}

Json& Json::add(std::string_view name, std::uint64_t value) {
    return add_raw(name, std::to_string(value));
}

std::string Json::array(const std::vector<std::string>& documents) {
    std::string out = "[";
    for (const std::string& document : documents) {
        if (out.size() > 1) out += ", ";
        out += document;
    }
    return out + "]";
}

}  // namespace nq::tool
