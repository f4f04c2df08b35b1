// SPDX-License-Identifier: Apache-2.0
// usage: simulation [--seed N] [--sessions N] [--trace]
//
// Simulates worlds, of the seeds N, N + 1, ..., until their servers had that many sessions. Without
// a seed it draws one. --trace: the world of the one seed, every event of it. Ends with 1 and the
// command that replays it if an invariant does not hold.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <random>
#include <string_view>

#include "testing/simulation/world.hpp"

namespace {

using nq::testing::Violated;
using nq::testing::World;
using nq::testing::WorldReport;

struct Arguments {
    std::uint64_t seed = std::random_device()();
    std::uint64_t sessions = 100'000;
    bool trace = false;
};

std::optional<Arguments> parse(int argc, char** argv) {
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--trace") {
            arguments.trace = true;
            continue;
        }
        if ((name != "--seed" && name != "--sessions") || ++i == argc) return std::nullopt;
        const std::string_view text = argv[i];
        std::uint64_t& value = name == "--seed" ? arguments.seed : arguments.sessions;
        const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
        if (error != std::errc() || end != text.end()) return std::nullopt;
    }
    return arguments;
}

WorldReport run(std::uint64_t seed, std::ostream* trace = nullptr) {
    try {
        return World(seed, trace).run();
    } catch (const Violated& violated) {
        std::cout << "violated: " << violated.what() << "\nreplay:   simulation --trace --seed "
                  << seed << '\n';
        throw;
    }
}

/// The same seeds must give the same traces, or a replay shows something else than what happened.
bool replays(std::uint64_t first, int worlds) {
    for (int i = 0; i < worlds; ++i, ++first) {
        if (run(first).trace != run(first).trace) {
            std::cout << "seed " << first << " does not replay to the same trace\n";
            return false;
        }
    }
    return true;
}

/// The least that the figures must come to, so that the simulation goes on meaning something.
bool meaningful(const WorldReport& report) {
    return report.events >= 50 * report.sessions && 2 * report.faulty >= report.sessions;
}

bool simulate(const Arguments& arguments) {
    std::cout << "seed " << arguments.seed << '\n' << std::flush;
    const auto begin = std::chrono::steady_clock::now();
    WorldReport all;
    std::uint64_t worlds = 0;
    while (all.sessions < arguments.sessions) all += run(arguments.seed + worlds++);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const double sessions = static_cast<double>(all.sessions);
    std::printf(
        "%lu sessions in %lu worlds, %lu client programs, %lu events (%.1f a session)\n"
        "%.1f %% of the sessions with a fault; %lu messages delivered, %lu taken and lost\n"
        "trace %016lx; took %.1f s\n",
        all.sessions, worlds, all.programs, all.events, static_cast<double>(all.events) / sessions,
        100 * static_cast<double>(all.faulty) / sessions, all.delivered, all.lost, all.trace,
        took.count());
    if (!meaningful(all)) std::cout << "too few events or faults a session\n";
    return meaningful(all) && replays(arguments.seed, 100);
}

}  // namespace

int main(int argc, char** argv) {
    const auto arguments = parse(argc, argv);
    if (!arguments) {
        std::cerr << "usage: simulation [--seed N] [--sessions N] [--trace]\n";
        return 2;
    }
    try {
        if (!arguments->trace) return simulate(*arguments) ? 0 : 1;
        const WorldReport report = run(arguments->seed, &std::cout);
        std::printf("trace %016lx\n", report.trace);
        return 0;
    } catch (const Violated&) {
        return 1;
    }
}
