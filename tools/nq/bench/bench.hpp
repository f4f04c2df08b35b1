// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <net_queue/options.hpp>

#include "endpoint.hpp"
#include "interrupt.hpp"

namespace CLI {
class App;
}

namespace nq::tool {

enum class BenchPurpose { server, client, both };

constexpr std::uint16_t k_default_port = 51966;

/// The flags of `nq bench`; sizes are exponents of 2.
struct BenchOptions {
    std::string protocol;
    std::string purpose;
    std::string mode;
    double delay = 0;  ///< seconds before the client starts
    unsigned min_size = 8;
    unsigned step_size = 2;
    unsigned max_size = 32;
    double step_expo = 0.5;
    unsigned reps = 1;
    unsigned clients = 1;
    Broker broker;
    std::string host = "127.0.0.1";
    std::optional<std::uint16_t> port;  ///< absent: 51966; with `both`, a free one
    bool get_merge = true;
    bool put_merge = true;
    std::size_t efficient_size = 16;
    std::size_t transport_size = 22;
    bool secure = false;
    unsigned workers = 1;
    bool pickle = false;
    bool verify = false;
    std::string json;
    /// For the processes of `both`: where to report to; -1: print instead.
    int report_descriptor = -1;

    [[nodiscard]] BenchPurpose which() const {
        return purpose == "both"     ? BenchPurpose::both
               : purpose == "server" ? BenchPurpose::server
                                     : BenchPurpose::client;
    }
    [[nodiscard]] bool sync() const { return mode == "sync"; }
    /// What a communicator of this run is opened with.
    [[nodiscard]] Options queue_options(std::uint16_t default_port) const;
};

void add_bench_command(CLI::App& app, BenchOptions& options);

/// "--get-merge false" becomes "--get-merge=false": for switches that take a value or none.
void join_switch_values(std::vector<std::string>& arguments);

/// Runs what was asked for and prints the results. Returns the exit code; throws what went wrong.
[[nodiscard]] int run_bench(const BenchOptions& options, Interrupt& interrupt);

}  // namespace nq::tool
