// SPDX-License-Identifier: Apache-2.0
#include "workload.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace nq::bench {

namespace {

constexpr std::size_t k_cache_line = 64;
constexpr std::size_t k_page = 4096;
/// Up to this size every cache line is looked at.
constexpr std::size_t k_small = k_page;

std::uint64_t word_at(std::span<const std::byte> octets, std::size_t offset) {
    std::uint64_t word = 0;
    const auto rest = octets.subspan(offset);
    std::memcpy(&word, rest.data(), std::min(sizeof word, rest.size()));
    return word;
}

double run_ends(const Ends& ends) {
    std::array<int, 2> port_pipe{};
    if (pipe(port_pipe.data()) != 0) throw std::runtime_error("pipe");
    const pid_t server = fork();
    if (server < 0) throw std::runtime_error("fork");
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
            ends.server([&port_pipe](std::uint16_t port) {
                if (write(port_pipe[1], &port, sizeof port) != sizeof port) _exit(1);
            });
        } catch (const std::exception& error) {
            std::fprintf(stderr, "server: %s\n", error.what());
            _exit(1);
        }
        _exit(0);
    }
    close(port_pipe[1]);
    std::uint16_t port = 0;
    if (read(port_pipe[0], &port, sizeof port) != sizeof port) {
        throw std::runtime_error("the server did not start");
    }
    close(port_pipe[0]);
    const double seconds = ends.client(port);
    int status = 0;
    if (waitpid(server, &status, 0) != server || status != 0) {
        throw std::runtime_error("the server failed");
    }
    return seconds;
}

}  // namespace

Content::Content(std::size_t size) : octets_(size) {
    std::uint64_t state = 1;
    for (std::size_t i = 0; i < size; ++i) {
        state = state * 6364136223846793005 + 1442695040888963407;
        octets_[i] = static_cast<std::byte>(state >> 56);
    }
    expected_ = look_at(octets_);
}

std::uint64_t Content::look_at(std::span<const std::byte> message) {
    const std::size_t stride = message.size() <= k_small ? k_cache_line : k_page;
    std::uint64_t mixed = message.size();
    for (std::size_t at = 0; at < message.size(); at += stride) {
        mixed = mixed * 31 + word_at(message, at);
    }
    return mixed;
}

void Content::touch(std::span<const std::byte> message) const {
    if (look_at(message) == expected_) return;
    std::fputs("a message arrived with other contents\n", stderr);
    _exit(1);
}

Stopwatch::Stopwatch()
    : begun_ns_(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds{1}) {
}

double Stopwatch::seconds() const {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<double>(now / std::chrono::nanoseconds{1} - begun_ns_) / 1e9;
}

int run_program(int argc, char** argv, const std::string& description,
                const std::function<Ends(const Workload&)>& make_ends) {
    CLI::App app{description};
    Workload workload;
    app.add_option("workload", workload.name)
        ->required()
        ->check(CLI::IsMember({"sync", "oneway", "roundtrip"}));
    app.add_option("--size", workload.size, "Octets of each message")
        ->required()
        ->check(CLI::PositiveNumber);
    app.add_option("--count", workload.count, "Messages")->required()->check(CLI::PositiveNumber);
    CLI11_PARSE(app, argc, argv);
    try {
        const double seconds = run_ends(make_ends(workload));
        std::printf("{\"workload\": \"%s\", \"size\": %zu, \"count\": %llu, \"seconds\": %.6f}\n",
                    workload.name.c_str(), workload.size,
                    static_cast<unsigned long long>(workload.count), seconds);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}

}  // namespace nq::bench
