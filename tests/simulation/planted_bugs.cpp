// SPDX-License-Identifier: Apache-2.0
// usage: planted_bugs [seed]
//
// Simulates each bug of session/planted.hpp, until the simulation finds it. Ends with 1 if it does
// not find one of them, or finds one where none is.
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "session/planted.hpp"
#include "testing/simulation/world.hpp"

namespace {

using nq::detail::Bug;
using nq::testing::Violated;
using nq::testing::World;

#define NQ_BUG_NAME(name) #name,
constexpr std::string_view k_bugs[] = {NQ_PLANTED_BUG_LIST(NQ_BUG_NAME)};
#undef NQ_BUG_NAME

/// A bug that takes more worlds than this to be found counts as not found.
constexpr std::uint64_t k_worlds_max = 50'000;

std::optional<Bug> live_bug;

struct Found {
    std::uint64_t seed;
    std::uint64_t sessions;  ///< simulated before it
    std::string what;
};

std::optional<Found> find(std::uint64_t seed, std::uint64_t worlds) {
    std::uint64_t sessions = 0;
    for (std::uint64_t i = 0; i < worlds; ++i) {
        try {
            sessions += World(seed + i).run().sessions;
        } catch (const Violated& violated) {
            return Found{seed + i, sessions + 1, violated.what()};
        }
    }
    return std::nullopt;
}

}  // namespace

bool nq::detail::planted(Bug bug) { return live_bug == bug; }

int main(int argc, char** argv) {
    std::uint64_t seed = 1;
    if (argc > 1) {
        const std::string_view text = argv[1];
        std::from_chars(text.begin(), text.end(), seed);
    }
    if (const auto found = find(seed, 100)) {
        std::cout << "without a planted bug: " << found->what << ", seed " << found->seed << '\n';
        return 1;
    }
    int missed = 0;
    for (unsigned i = 0; i < std::size(k_bugs); ++i) {
        live_bug = static_cast<Bug>(i);
        const auto found = find(seed, k_worlds_max);
        missed += !found;
        std::printf("%-30s", std::string(k_bugs[i]).c_str());
        if (found) {
            std::printf("%6lu sessions, seed %lu: %s\n", found->sessions, found->seed,
                        found->what.c_str());
        } else {
            std::printf("NOT FOUND\n");
        }
    }
    std::printf("%d of %zu planted bugs were missed\n", missed, std::size(k_bugs));
    return missed == 0 ? 0 : 1;
}
