// SPDX-License-Identifier: Apache-2.0
#include "bench/report.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <net_queue/version.hpp>

#include "format.hpp"

namespace nq::tool {

namespace {

// Both directions count.
double transfer(const Outcome& outcome) { return 2 * static_cast<double>(outcome.octets); }
double operations(const Outcome& outcome) { return 2 * static_cast<double>(outcome.messages); }
double gigabits_per_second(const Outcome& outcome) {
    return transfer(outcome) * 8 / outcome.seconds / 1e9;
}
double average_size(const Outcome& outcome) {
    return static_cast<double>(outcome.octets) / static_cast<double>(outcome.messages);
}

std::string table(const std::vector<Outcome>& outcomes) {
    Table table({"", "time", "count x average size", "transfer", "Gbps", "operations",
                 "operations/s", "peak memory"});
    for (const Outcome& outcome : outcomes) {
        table.add({outcome.role, fixed(outcome.seconds, 3) + " s",
                   std::to_string(outcome.messages) + " x " + binary_size(average_size(outcome)),
                   decimal_size(transfer(outcome)), fixed(gigabits_per_second(outcome), 2),
                   fixed(operations(outcome), 0), fixed(operations(outcome) / outcome.seconds, 0),
                   decimal_size(static_cast<double>(outcome.peak_bytes))});
    }
    return table.text();
}

std::string json(const BenchOptions& options, const std::vector<Outcome>& outcomes) {
    std::vector<std::string> results;
    for (const Outcome& outcome : outcomes) {
        results.push_back(Json()
                              .add("role", outcome.role)
                              .add("seconds", outcome.seconds)
                              .add("messages_each_way", outcome.messages)
                              .add("average_size", average_size(outcome))
                              .add("transfer_bytes", static_cast<std::uint64_t>(transfer(outcome)))
                              .add("gbps", gigabits_per_second(outcome))
                              .add("operations", static_cast<std::uint64_t>(operations(outcome)))
                              .add("operations_per_second", operations(outcome) / outcome.seconds)
                              .add("peak_memory_bytes", outcome.peak_bytes)
                              .text());
    }
    return Json()
        .add("version", k_version)
        .add("protocol", options.protocol)
        .add("purpose", options.purpose)
        .add("mode", options.mode)
        .add("min_size", std::uint64_t{options.min_size})
        .add("step_size", std::uint64_t{options.step_size})
        .add("max_size", std::uint64_t{options.max_size})
        .add("step_expo", options.step_expo)
        .add("reps", std::uint64_t{options.reps})
        .add("clients", std::uint64_t{options.clients})
        .add("workers", std::uint64_t{options.workers})
        .add("get_merge", options.get_merge)
        .add("put_merge", options.put_merge)
        .add("pickle", options.pickle)
        .add("verified", options.verify)
        .add_raw("results", Json::array(results))
        .text();
}

void send_line(int descriptor, const std::string& line) {
    // Shorter than PIPE_BUF: written whole or not at all.
    if (write(descriptor, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        throw std::system_error(errno, std::generic_category(), "report");
    }
}

}  // namespace

std::uint64_t peak_memory() {
    std::ifstream status("/proc/self/status");
    for (std::string name; status >> name;) {
        std::uint64_t kibibytes = 0;
        if (name == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
    }
    return 0;
}

void publish(const BenchOptions& options, const std::vector<Outcome>& outcomes) {
    std::fputs(table(outcomes).c_str(), stdout);
    std::fflush(stdout);
    if (options.json.empty()) return;
    std::ofstream file(options.json);
    file << json(options, outcomes) << '\n';
    file.close();
    if (!file) throw std::runtime_error("can't write " + options.json);
}

void announce(const BenchOptions& options, const NetworkLocation& location) {
    if (options.report_descriptor >= 0) {
        send_line(options.report_descriptor, "listening " + std::to_string(location.port) + "\n");
    } else {
        std::fprintf(stderr, "nq: listening on %s\n", location.to_string().c_str());
    }
}

void send_outcome(int descriptor, const Outcome& outcome) {
    std::ostringstream line;
    line.precision(std::numeric_limits<double>::max_digits10);
    line << "outcome " << outcome.role << ' ' << outcome.seconds << ' ' << outcome.messages << ' '
         << outcome.octets << ' ' << outcome.peak_bytes << '\n';
    send_line(descriptor, line.str());
}

std::optional<std::uint16_t> parse_announcement(const std::string& line) {
    std::istringstream in(line);
    std::string word;
    std::uint16_t port = 0;
    if (in >> word >> port && word == "listening") return port;
    return std::nullopt;
}

std::optional<Outcome> parse_outcome(const std::string& line) {
    std::istringstream in(line);
    std::string word;
    Outcome outcome;
    if (in >> word >> outcome.role >> outcome.seconds >> outcome.messages >> outcome.octets >>
            outcome.peak_bytes &&
        word == "outcome") {
        return outcome;
    }
    return std::nullopt;
}

}  // namespace nq::tool
