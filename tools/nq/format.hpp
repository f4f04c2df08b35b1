// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nq::tool {

/// "16.8 GB": decimal units, for what is moved.
[[nodiscard]] std::string decimal_size(double octets);
/// "2 MiB", "1.5 KiB": binary units, for sizes that are powers of 2.
[[nodiscard]] std::string binary_size(double octets);
/// "0:07", "1:02:03": for time that is left.
[[nodiscard]] std::string clock_time(double seconds);
/// With so many digits after the point.
[[nodiscard]] std::string fixed(double value, int digits);

/// Rows of text, each column as wide as its widest cell, numbers to the right.
class Table {
  public:
    using Row = std::vector<std::string>;

    explicit Table(Row header) : rows_{std::move(header)} {}
    void add(Row row) { rows_.push_back(std::move(row)); }
    /// The first column to the left, the others to the right; each row ends with a newline.
    [[nodiscard]] std::string text() const;

  private:
    std::vector<Row> rows_;
};

/// One level of a JSON document, written as it is added.
class Json {
  public:
    Json& add(std::string_view name, std::string_view text);
    Json& add(std::string_view name, const char* text) { return add(name, std::string_view(text)); }
    Json& add(std::string_view name, bool value);
    Json& add(std::string_view name, double value);
    Json& add(std::string_view name, std::uint64_t value);
    /// `value` is JSON already.
    Json& add_raw(std::string_view name, std::string_view value);
    [[nodiscard]] std::string text() const { return "{" + members_ + "}"; }

    /// "[a, b]" of documents.
    [[nodiscard]] static std::string array(const std::vector<std::string>& documents);

  private:
    std::string members_;
};

}  // namespace nq::tool
