// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/bench.hpp"
#include "bench/report.hpp"

namespace nq::tool {

/// Serves options.clients clients and measures. Throws what went wrong.
[[nodiscard]] Outcome run_bench_server(const BenchOptions& options, Interrupt& interrupt);
/// Runs options.clients clients, each on a thread of its own, and measures. Throws what went wrong.
[[nodiscard]] Outcome run_bench_client(const BenchOptions& options, Interrupt& interrupt);

}  // namespace nq::tool
