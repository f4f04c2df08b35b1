// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/bench.hpp"

namespace nq::tool {

/// What one process measured.
struct Outcome {
    std::string role;
    double seconds = 0;
    std::uint64_t messages = 0;    ///< in one direction, over all clients
    std::uint64_t octets = 0;      ///< in one direction, over all clients
    std::uint64_t peak_bytes = 0;  ///< the most memory the process ever had resident
};

/// VmHWM of this process, in octets; 0 where /proc does not tell.
[[nodiscard]] std::uint64_t peak_memory();

/// Prints the outcomes as a table, and writes them to options.json if that is set.
void publish(const BenchOptions& options, const std::vector<Outcome>& outcomes);

// The line protocol between the processes of `both`, one line each:
//     listening PORT
//     outcome ROLE SECONDS MESSAGES OCTETS PEAK

/// A server tells where it listens: the process that started it, or people.
void announce(const BenchOptions& options, const NetworkLocation& location);
void send_outcome(int descriptor, const Outcome& outcome);
[[nodiscard]] std::optional<std::uint16_t> parse_announcement(const std::string& line);
[[nodiscard]] std::optional<Outcome> parse_outcome(const std::string& line);

}  // namespace nq::tool
