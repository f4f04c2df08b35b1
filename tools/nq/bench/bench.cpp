// SPDX-License-Identifier: Apache-2.0
#include "bench/bench.hpp"

#include <signal.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <set>

#include "bench/both.hpp"
#include "bench/report.hpp"
#include "bench/run.hpp"
#include "errors.hpp"

namespace nq::tool {

namespace {

/// The largest exponent: a message of 2^40 octets is the default message_size.
constexpr unsigned k_exponent_max = 40;
/// Sizes of options: up to this an exponent of 2, above it octets.
constexpr std::size_t k_option_exponent_max = 62;
/// Unread messages per session: the benchmark measures the network, not what may be held back.
constexpr std::size_t k_receive_bytes = std::size_t{16} << 20;
/// Through a broker nothing can be held back: what is beyond the bound is dropped.
constexpr std::size_t k_receive_bytes_mqtt = std::size_t{1} << k_exponent_max;

/// With --secure, in the working directory: a server's own, and what clients trust.
constexpr const char* k_key_file = "key.pem";
constexpr const char* k_certificate_file = "cert.pem";

std::size_t to_octets(std::size_t size) {
    return size <= k_option_exponent_max ? std::size_t{1} << size : size;
}

void add_connection_options(CLI::App& bench, BenchOptions& options) {
    bench.add_option("--host", options.host, "Address or name; MQTT: of the broker")
        ->capture_default_str();
    bench.add_option("--port", options.port,
                     "Port; default: 51966, with `both` a free one; MQTT: of the broker, "
                     "default: 51966");
    options.broker.add_options(bench);
    bench.add_flag("--get-merge,!--no-get-merge", options.get_merge,
                   "Receive each message into one block (default: true)");
    bench.add_flag("--put-merge,!--no-put-merge", options.put_merge,
                   "Coalesce small chunks before sending (default: true)");
    bench
        .add_option("--efficient-size", options.efficient_size,
                    "Chunks at least this long are sent as they are: an exponent of 2, "
                    "or octets above 62")
        ->capture_default_str();
    bench
        .add_option("--transport-size", options.transport_size,
                    "Largest unit handed to the network: an exponent of 2, or octets above 62")
        ->capture_default_str();
    bench.add_flag("--secure,!--no-secure", options.secure,
                   "TLS with key.pem and cert.pem of the working directory");
    bench.add_option("--workers", options.workers, "Threads that serve connections")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
}

void check_options(const BenchOptions& options) {
    (void)parse_protocol(options.protocol);
    if (options.min_size > options.max_size && options.step_size != 0) {
        throw UsageError("--min-size is above --max-size");
    }
}

}  // namespace

Options BenchOptions::queue_options(std::uint16_t default_port) const {
    Options queue;
    queue.netloc = {host, port.value_or(default_port)};
    queue.connection.get_merge = get_merge;
    queue.connection.put_merge = put_merge;
    queue.connection.efficient_size = to_octets(efficient_size);
    queue.connection.transport_size = to_octets(transport_size);
    const bool mqtt = protocol == "mqtt";
    queue.connection.receive_bytes = mqtt ? k_receive_bytes_mqtt : k_receive_bytes;
    queue.broker = broker.options();
    if (mqtt) queue.log = print_log(false);
    queue.workers = workers;
    if (secure) {
        queue.security.emplace();
        queue.security->certificate = k_certificate_file;
        if (which() == BenchPurpose::server) queue.security->key = k_key_file;
    }
    return queue;
}

void add_bench_command(CLI::App& app, BenchOptions& options) {
    CLI::App* const bench = app.add_subcommand(
        "bench",
        "Measure: for i from min-size to max-size (exclusive) in steps of step-size,\n"
        "((2^max)/(2^i))^step-expo messages of 2^i octets, then one of 2^max (step-size 0: only\n"
        "that one), all of it reps times, shuffled, in each direction for each client");
    bench->add_option("protocol", options.protocol, "tcp, mqtt or grpc")
        ->required()
        ->check(CLI::IsMember(std::set<std::string>{"tcp", "mqtt", "grpc"}));
    bench->add_option("purpose", options.purpose, "server, client, or both in two processes")
        ->required()
        ->check(CLI::IsMember(std::set<std::string>{"server", "client", "both"}));
    bench
        ->add_option("mode", options.mode,
                     "sync: the client puts all, then gets all; async: both at once")
        ->required()
        ->check(CLI::IsMember(std::set<std::string>{"sync", "async"}));
    bench->add_option("--delay", options.delay, "Seconds before the client starts")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    bench->add_option("--min-size", options.min_size, "Exponent of 2")
        ->check(CLI::Range(k_exponent_max))
        ->capture_default_str();
    bench->add_option("--step-size", options.step_size, "Step of the exponent; 0: max-size alone")
        ->capture_default_str();
    bench->add_option("--max-size", options.max_size, "Exponent of 2")
        ->check(CLI::Range(k_exponent_max))
        ->capture_default_str();
    bench->add_option("--step-expo", options.step_expo, "How the number falls with the size")
        ->capture_default_str();
    bench->add_option("--reps", options.reps, "Repetitions of the list")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    bench->add_option("--clients", options.clients, "Clients in the client process")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    add_connection_options(*bench, options);
    bench->add_flag("--pickle", options.pickle, "Messages are pickled bytes, for a Python peer");
    bench->add_flag("--verify", options.verify, "Check what the messages contain");
    bench->add_option("--json", options.json, "Write the results to this file too");
    bench->add_option("--report-descriptor", options.report_descriptor)->group("");
}

void join_switch_values(std::vector<std::string>& arguments) {
    static const std::set<std::string> switches{"--get-merge", "--put-merge", "--secure"};
    static const std::set<std::string> values{"true", "false", "yes", "no", "on", "off", "1", "0"};
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
        if (!switches.contains(arguments[i]) || !values.contains(arguments[i + 1])) continue;
        arguments[i] += "=" + arguments[i + 1];
        arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
}

int run_bench(const BenchOptions& options, Interrupt& interrupt) {
    check_options(options);
    if (options.which() == BenchPurpose::both) return run_both(options, interrupt);

    // A process of `both` does not outlive it.
    if (options.report_descriptor >= 0) prctl(PR_SET_PDEATHSIG, SIGTERM);
    const Outcome outcome = options.which() == BenchPurpose::server
                                ? run_bench_server(options, interrupt)
                                : run_bench_client(options, interrupt);
    if (options.report_descriptor >= 0) {
        send_outcome(options.report_descriptor, outcome);
    } else {
        publish(options, {outcome});
    }
    return k_exit_done;
}

}  // namespace nq::tool
