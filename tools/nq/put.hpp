// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "endpoint.hpp"
#include "interrupt.hpp"

namespace nq::tool {

struct PutOptions {
    Endpoint endpoint;
    std::vector<std::string> messages;
    std::vector<std::filesystem::path> files;
    std::uint64_t count = 1;  ///< how often the list of messages is put
    std::vector<std::string> to;
    std::size_t clients = 1;  ///< server: how many must have come before it puts to all
};

void add_put_command(CLI::App& app, PutOptions& options);

/// Puts the messages, waits until the network has taken them, says goodbye. Returns the exit code;
/// throws what went wrong.
[[nodiscard]] int run_put(const PutOptions& options, Interrupt& interrupt);

}  // namespace nq::tool
