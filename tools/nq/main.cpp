// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <net_queue/error.hpp>

#include "bench/bench.hpp"
#include "errors.hpp"
#include "get.hpp"
#include "interrupt.hpp"
#include "put.hpp"

namespace nq::tool {

namespace {

/// The three commands and what was asked of them.
struct CommandLine {
    CLI::App app{"Network communication through queues, from the command line.", "nq"};
    PutOptions put;
    GetOptions get;
    BenchOptions bench;

    CommandLine() {
        app.set_version_flag("--version", "nq " + std::string(k_version));
        app.require_subcommand(1);
        app.failure_message(CLI::FailureMessage::simple);
        app.footer("Ends with 0 if all went well, 1 if not, 2 for wrong usage, 130 after Ctrl-C.");
        add_put_command(app, put);
        add_get_command(app, get);
        add_bench_command(app, bench);
    }

    [[nodiscard]] int run(Interrupt& interrupt) const {
        if (app.got_subcommand("put")) return run_put(put, interrupt);
        if (app.got_subcommand("get")) return run_get(get, interrupt);
        return run_bench(bench, interrupt);
    }
};

int complain(const char* text, int code) {
    std::fprintf(stderr, "nq: %s\n", text);
    return code;
}

int run_program(int argc, char** argv) {
    CommandLine line;
    try {
        std::vector<std::string> arguments(argv + 1, argv + argc);
        join_switch_values(arguments);
        // CLI11 takes them off the back.
        std::reverse(arguments.begin(), arguments.end());
        line.app.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
        return line.app.exit(error) == 0 ? k_exit_done : k_exit_usage;
    }
    // Writing to a reader that left is an error of write, not the end of the program.
    signal(SIGPIPE, SIG_IGN);
    Interrupt interrupt;
    try {
        return line.run(interrupt);
    } catch (const UsageError& error) {
        return complain(error.what(), k_exit_usage);
    } catch (const std::exception& error) {
        if (interrupt.happened()) return k_exit_interrupted;
        const auto* const own = dynamic_cast<const nq::Error*>(&error);
        const bool lacking = own != nullptr && own->code() == nq::Errc::unsupported;
        return complain(error.what(), lacking ? k_exit_usage : k_exit_failed);
    }
}

}  // namespace

}  // namespace nq::tool

int main(int argc, char** argv) { return nq::tool::run_program(argc, argv); }
