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

void print_line(LogLevel level, std::string_view category, std::string_view text) {
    const std::string line = "nq: " + std::string(to_string(level)) + ": " + std::string(category) +
                             ": " + std::string(text) + "\n";
    std::fputs(line.c_str(), stderr);
}

}  // namespace

Protocol parse_protocol(const std::string& name) {
#ifdef NQ_WITH_MQTT
    if (name == "mqtt") return Protocol::mqtt;
#endif
#ifdef NQ_WITH_GRPC
    if (name == "grpc") return Protocol::grpc;
#endif
    if (name == "tcp") return Protocol::tcp;
    const std::string part = name == "mqtt" ? "MQTT" : "GRPC";
    throw UsageError("protocol " + name + " is not in this build (NET_QUEUE_WITH_" + part +
                     "=OFF)");
}

void Broker::add_options(CLI::App& command) {
    command.add_option("--user", user, "MQTT: user name for the broker");
    command.add_option("--password", password, "MQTT: password for the broker");
}

BrokerOptions Broker::options() const {
    BrokerOptions broker;
    broker.user = user;
    broker.password = password;
    return broker;
}

LogHook print_log(bool everything) {
    return [everything](LogLevel level, std::string_view category, std::string_view text) {
        if (everything || level >= LogLevel::warning) print_line(level, category, text);
    };
}

void add_endpoint_options(CLI::App& command, Endpoint& endpoint) {
    auto* role = command.add_option_group("Role and place");
    auto* server = role->add_flag("--server", endpoint.server, "Listen, and serve clients");
    role->add_flag_callback(
            "--client", [] {}, "Connect to a server (this is the default)")
        ->excludes(server);
    role->add_option("--protocol", endpoint.protocol, "tcp, mqtt or grpc")
        ->check(CLI::IsMember(std::set<std::string>{"tcp", "mqtt", "grpc"}))
        ->capture_default_str();
    role->add_option("--host", endpoint.host, "Address or name; MQTT: of the broker")
        ->capture_default_str();
    role->add_option("--port", endpoint.port,
                     "Port; a server may give 0 for a free one; MQTT: of the broker")
        ->capture_default_str();
    endpoint.broker.add_options(*role);
    role->add_option("--id", endpoint.id, "Own UUID; default: a random one");
    role->add_option("--connect-timeout", endpoint.connect_timeout,
                     "Client: seconds until the server must have answered")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    role->add_flag("-v,--verbose", endpoint.verbose, "Tell what happens to connections");

    auto* security = command.add_option_group("Security");
    security->add_flag("--secure", endpoint.secure, "TLS; the two below imply it");
    security->add_option("--key", endpoint.key, "Server: PEM file of its private key")
        ->check(CLI::ExistingFile);
    security
        ->add_option("--certificate", endpoint.certificate,
                     "PEM file; server: its certificate and chain; client: whom it trusts "
                     "(default: whom the system does)")
        ->check(CLI::ExistingFile);

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
    if (endpoint.secure || !endpoint.key.empty() || !endpoint.certificate.empty()) {
        options.security.emplace();
        options.security->key = endpoint.key;
        options.security->certificate = endpoint.certificate;
    }
    options.connect_timeout = milliseconds(endpoint.connect_timeout);
    options.events.ini = [&arrivals](const Uuid& peer) { arrivals.add(peer); };
    // What goes wrong reaches the user as an error of the call it happened in.
    const Protocol protocol = parse_protocol(endpoint.protocol);
    // A broker that is not there fails no call of a server's.
    if (endpoint.verbose || protocol == Protocol::mqtt) options.log = print_log(endpoint.verbose);
    options.broker = endpoint.broker.options();
    auto queue = open<StreamSerializer>(protocol, endpoint.purpose(), std::move(options));
    if (endpoint.server) {
        std::fprintf(stderr, "nq: listening on %s, id %s\n",
                     queue.options().netloc.to_string().c_str(), queue.id().to_string().c_str());
    }
    return queue;
}

}  // namespace nq::tool
