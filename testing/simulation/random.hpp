// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace nq::testing {

/// The randomness of a simulation: the same seed, the same numbers on every machine and compiler,
/// which the distributions of the standard library do not promise. (SplitMix64: a counter through
/// a bit mixer; seeding costs nothing.)
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15U;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
        return mixed ^ (mixed >> 31);
    }
    /// One of [0, n), as good as evenly. REQUIRES: n > 0.
    std::uint64_t below(std::uint64_t n) { return next() % n; }
    /// One of [first, last].
    std::uint64_t between(std::uint64_t first, std::uint64_t last) {
        return first + below(last - first + 1);
    }
    /// True in `percent` of 100 cases.
    bool chance(unsigned percent) { return below(100) < percent; }

  private:
    std::uint64_t state_;
};

}  // namespace nq::testing
