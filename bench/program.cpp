// SPDX-License-Identifier: Apache-2.0
// What the programs have in common: a command line, two processes, a line of JSON.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "workload.hpp"

namespace nq::bench {

namespace {

double cpu_seconds_of(const rusage& usage) {
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// The most this process ever had resident (getrusage counts the program that started it too).
std::uint64_t peak_octets() {
    std::ifstream file("/proc/self/status");
    std::string word;
    while (file >> word && word != "VmHWM:") {
    }
    std::uint64_t kibibytes = 0;
    file >> kibibytes;
    return kibibytes * 1024;
}

/// The server's process ends with the client's.
[[noreturn]] void run_server(const Ends& ends, int port_pipe) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        ends.server([port_pipe](std::uint16_t port) {
            if (write(port_pipe, &port, sizeof port) != sizeof port) _exit(1);
        });
    } catch (const std::exception& error) {
        std::fprintf(stderr, "server: %s\n", error.what());
        _exit(1);
    }
    _exit(0);
}

/// Runs both ends; in `usage` what the server took.
Outcome run_ends(const Ends& ends, rusage& usage) {
    std::array<int, 2> port_pipe{};
    if (pipe(port_pipe.data()) != 0) throw std::runtime_error("pipe");
    ServerProcess server{.id = fork()};
    if (server.id < 0) throw std::runtime_error("fork");
    if (server.id == 0) run_server(ends, port_pipe[1]);
    close(port_pipe[1]);
    if (read(port_pipe[0], &server.port, sizeof server.port) != sizeof server.port) {
        throw std::runtime_error("the server did not start");
    }
    close(port_pipe[0]);
    const Outcome outcome = ends.client(server);
    int status = 0;
    if (wait4(server.id, &status, 0, &usage) != server.id || status != 0) {
        throw std::runtime_error("the server failed");
    }
    return outcome;
}

void print(const std::string& library, const Workload& workload, const Outcome& outcome,
           const rusage& server) {
    rusage client{};
    getrusage(RUSAGE_SELF, &client);
    std::printf(
        "{\"library\": \"%s\", \"workload\": \"%s\", \"messages\": %llu, "
        "\"octets\": %llu, \"seconds\": %.6f, \"server_cpu_seconds\": %.6f, "
        "\"client_cpu_seconds\": %.6f, \"server_peak_octets\": %lld, "
        "\"client_peak_octets\": %llu",
        library.c_str(), workload.name.c_str(),
        static_cast<unsigned long long>(workload.messages.count()),
        static_cast<unsigned long long>(workload.messages.octets()), outcome.seconds,
        cpu_seconds_of(server), cpu_seconds_of(client), server.ru_maxrss * 1024LL,
        static_cast<unsigned long long>(peak_octets()));
    if (outcome.idle) {
        std::printf(", \"octets_per_client\": %.0f, \"idle_cpu_seconds\": %.3f",
                    outcome.idle->octets_per_client, outcome.idle->cpu_seconds);
    }
    std::printf("}\n");
}

}  // namespace

void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

std::uint64_t ServerProcess::resident_octets() const {
    std::ifstream file("/proc/" + std::to_string(id) + "/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

double ServerProcess::cpu_seconds() const {
    std::ifstream file("/proc/" + std::to_string(id) + "/stat");
    std::string skipped;
    std::getline(file, skipped, ')');  // the name may contain blanks
    constexpr int k_fields_before = 11;
    for (int i = 0; i < k_fields_before; ++i) file >> skipped;
    double user = 0;
    double system = 0;
    file >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

int run_program(int argc, char** argv, const std::string& library,
                const std::function<Ends(const Workload&)>& make_ends) {
    CLI::App app{"The workloads over " + library};
    Workload workload;
    std::size_t size = 0;
    std::uint64_t count = 1;
    unsigned exponent = 0;
    app.add_option("workload", workload.name)
        ->required()
        ->check(CLI::IsMember({"sync", "async", "oneway", "roundtrip", "fanout", "fanin", "idle"}));
    auto* const mix =
        app.add_option("--mix", exponent, "Mixed sizes, up to 2^this")->check(CLI::Range(8, 34));
    app.add_option("--size", size, "Octets of each message")
        ->excludes(mix)
        ->check(CLI::PositiveNumber);
    app.add_option("--count", count, "Messages")->excludes(mix)->check(CLI::PositiveNumber);
    app.add_option("--clients", workload.clients, "Of a star")->check(CLI::PositiveNumber);
    app.add_option("--idle-seconds", workload.idle_seconds)->check(CLI::PositiveNumber);
    app.add_option("--protocol", workload.protocol)->check(CLI::IsMember({"tcp", "mqtt", "grpc"}));
    app.add_option("--busy-poll", workload.busy_poll, "net-queue: microseconds");
    app.add_flag("--by-packets", workload.by_packets, "bare sockets: a call for each packet");
    app.add_option("--authority", workload.authority, "Encrypted, with the files of this directory")
        ->check(CLI::ExistingDirectory);
    app.add_option("--port", workload.port, "MQTT: the broker's");
    CLI11_PARSE(app, argc, argv);
    try {
        if (mix->count() == 0 && size == 0) throw std::runtime_error("--size or --mix");
        workload.messages = mix->count() > 0 ? Messages::mix(exponent) : Messages(size, count);
        raise_descriptor_limit();
        rusage server{};
        const Outcome outcome = run_ends(make_ends(workload), server);
        print(library, workload, outcome, server);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}

}  // namespace nq::bench
