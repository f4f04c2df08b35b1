// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/bench.hpp"

namespace nq::tool {

/// Server and client in two processes of this program, and one table of what they measured.
/// Neither outlives the call. Throws what went wrong.
[[nodiscard]] int run_both(const BenchOptions& options, Interrupt& interrupt);

}  // namespace nq::tool
