// SPDX-License-Identifier: Apache-2.0
#include "endpoint.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "errors.hpp"

namespace nq::tool {

namespace {

std::chrono::milliseconds milliseconds(double seconds) {
    return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
}

std::string_view to_string(LogLevel level) {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    return "log";
}

void print_log(LogLevel level, std::string_view category, std::string_view text) {
    const std::string line = "nq: " + std::string(to_string(level)) + ": " + std::string(category) +
                             ": " + std::string(text) + "\n";
    std::fputs(line.c_str(), stderr);
}

}  // namespace

void add_endpoint_options(CLI::App& command, Endpoint& endpoint) {
    auto* role = command.add_option_group("Role and place");
    auto* server = role->add_flag("--server", endpoint.server, "Listen, and serve clients");
    role->add_flag_callback(
            "--client", [] {}, "Connect to a server (this is the default)")
        ->excludes(server);
    role->add_option("--host", endpoint.host, "Address or name")->capture_default_str();
    role->add_option("--port", endpoint.port, "Port; a server may give 0 for a free one")
        ->capture_default_str();
    role->add_option("--id", endpoint.id, "Own UUID; default: a random one");
    role->add_option("--connect-timeout", endpoint.connect_timeout,
                     "Client: seconds until the server must have answered")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    role->add_flag("-v,--verbose", endpoint.verbose, "Tell what happens to connections");

    auto* encoding = command.add_option_group("Encoding");
    auto* bytes = encoding->add_flag("--bytes", endpoint.bytes, "Messages are octets");
    encoding
        ->add_flag_callback(
            "--pickle", [] {}, "Messages are Python pickles (this is the default)")
        ->excludes(bytes);
}

Uuid parse_id(const std::string& option, const std::string& text) {
    const auto id = Uuid::parse(text);
    if (!id) throw UsageError(option + ": not a UUID: " + text);
    return *id;
}

void Arrivals::add(const Uuid& peer) {
    const std::lock_guard lock(mutex_);
    peers_.insert(peer);
    changed_.notify_all();
}

void Arrivals::stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
}

bool Arrivals::wait_for_count(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || peers_.size() >= count; });
    return !stopped_;
}

bool Arrivals::wait_for_peer(const Uuid& peer) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || peers_.contains(peer); });
    return !stopped_;
}

BasicQueue<StreamSerializer> open_endpoint(const Endpoint& endpoint, Arrivals& arrivals) {
    Options options;
    if (!endpoint.id.empty()) options.id = parse_id("--id", endpoint.id);
    options.netloc = {endpoint.host, endpoint.port};
    options.connect_timeout = milliseconds(endpoint.connect_timeout);
    options.events.ini = [&arrivals](const Uuid& peer) { arrivals.add(peer); };
    // What goes wrong reaches the user as an error of the call it happened in.
    if (endpoint.verbose) options.log = print_log;
    auto queue = open<StreamSerializer>(Protocol::tcp, endpoint.purpose(), std::move(options));
    if (endpoint.server) {
        std::fprintf(stderr, "nq: listening on %s, id %s\n",
                     queue.options().netloc.to_string().c_str(), queue.id().to_string().c_str());
    }
    return queue;
}

}  // namespace nq::tool
