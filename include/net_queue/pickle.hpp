// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nq {

/// The exact globals that a pickle may name, such as "uuid.UUID". What is not in the list is
/// refused, among it every name with a dot of its own ("UUID.__init__" of module "uuid").
/// Thread safety: constant; any number of threads may use one.
class AllowList {
  public:
    /// Each name is module.name, split at its last dot. Throws SerializationError for a name
    /// without one, and for more than 8,000 different modules and names in all.
    AllowList(std::initializer_list<std::string_view> names);
    explicit AllowList(std::span<const std::string> names);
    /// The globals that stand for the types of ValueType in protocols 0 to 5: all harmless.
    static AllowList known_types();

    /// This list and the other one.
    [[nodiscard]] AllowList with(const AllowList& other) const;
    [[nodiscard]] bool contains(std::string_view module, std::string_view name) const;
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

    /// The number of a module or name in the list, from 1; 0 for a word that is in neither.
    [[nodiscard]] std::uint16_t word(std::string_view text) const;
    [[nodiscard]] bool contains(std::uint16_t module_word, std::uint16_t name_word) const;

  private:
    explicit AllowList(std::vector<std::string>&& names);

    // All sorted.
    std::vector<std::string> names_;
    std::vector<std::string> words_;
    std::vector<std::pair<std::uint16_t, std::uint16_t>> pairs_;
};

/// What PickleSerializer will load.
struct PickleOptions {
    /// The globals that a message may name; absent: any, since naming one runs nothing. With a
    /// list, even a set needs its name where protocols 0 to 3 spell it as one ("builtins.set").
    std::optional<AllowList> allow = std::nullopt;
    /// Octets of memory that a loaded value may take; absent: 64 x the message + 1 MiB. What does
    /// not load takes at most 4 x the message + 1 MiB, whatever stands here.
    std::optional<std::size_t> object_budget = std::nullopt;
};

}  // namespace nq
