// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include "handoff/bias.hpp"

namespace nq::detail {

/// Says so where the kernel has no fence for others: a test of favourites ends there.
inline bool no_favourites() {
    if (Bias::prepare()) return false;
    MESSAGE("not here: no membarrier(2)");
    return true;
}

}  // namespace nq::detail
