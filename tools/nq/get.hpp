// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "endpoint.hpp"
#include "interrupt.hpp"

namespace nq::tool {

struct GetOptions {
    Endpoint endpoint;
    std::filesystem::path output;  ///< empty: stdout
    std::uint64_t count = 1;       ///< 0: until the server is gone, or Ctrl-C
    double timeout = 0;            ///< seconds for each message; 0: none
    std::vector<std::string> from;
    bool show_peer = false;
};

void add_get_command(CLI::App& app, GetOptions& options);

/// Gets messages, writes them out, says goodbye. Returns the exit code; throws what went wrong.
[[nodiscard]] int run_get(const GetOptions& options, Interrupt& interrupt);

}  // namespace nq::tool
