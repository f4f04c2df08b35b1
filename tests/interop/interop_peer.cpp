// SPDX-License-Identifier: Apache-2.0
// A C++ server or client on a string: it does what it is told on stdin, a line each, and tells what
// happened on stdout, a line each. The tests of this folder hold the other end of the string.
//
// command                   answer
// put HEX [ID ...]          put NUMBER, and later: done NUMBER | failed NUMBER CODE TEXT
// fill SIZE SEED [ID ...]   as put, of SIZE octets: fill_octet(i, SEED)
// get [TIMEOUT_MS]          message ID SIZE ADLER32 [HEX, up to 64 octets] | error CODE TEXT
// repr                      value ID REPR: the next message as a Value | error CODE TEXT
// echo, echo-objects        echoing, and from then on each message goes back to its sender
// peers                     peers ID ...
// stats ID                  stats STATE QUEUED_MESSAGES UNREAD_MESSAGES DROPPED | stats unknown
// totals                    totals STRANGERS STRANGERS_DROPPED IDENTITIES_REFUSED EXPIRED
// close [TIMEOUT_MS]        closed CLEAN
// Unasked: listening HOST PORT ID, ini ID, fin ID, log LEVEL CATEGORY TEXT
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <net_queue/net_queue.hpp>
#include <sstream>
#include <thread>
#include <vector>

namespace {

using nq::Chunk;
using nq::Message;
using nq::Stream;
using nq::Uuid;
using std::chrono::milliseconds;
using Queue = nq::BasicQueue<nq::StreamSerializer>;

constexpr std::size_t k_shown_octets = 64;

void say(const std::string& line) {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);
}

std::string describe(const nq::Failure& failure) {
    return std::to_string(failure.code.value()) + " " + failure.code.message() + ": " +
           failure.text;
}

std::uint32_t adler32(const Stream& stream) {
    constexpr std::uint32_t k_modulus = 65521;
    constexpr std::size_t k_run = 5552;  // the longest in which 32 bits can't overflow (RFC 1950)
    std::uint32_t a = 1;
    std::uint32_t b = 0;
    for (std::size_t i = 0; i < stream.chunk_count(); ++i) {
        auto octets = stream.chunk(i).octets();
        while (!octets.empty()) {
            const auto run = octets.first(std::min(octets.size(), k_run));
            for (const std::byte octet : run) {
                a += std::to_integer<std::uint32_t>(octet);
                b += a;
            }
            a %= k_modulus;
            b %= k_modulus;
            octets = octets.subspan(run.size());
        }
    }
    return b << 16 | a;
}

std::string to_hex(const Stream& stream) {
    std::string text;
    for (const std::byte octet : stream.to_bytes()) {
        const auto value = std::to_integer<unsigned>(octet);
        text += "0123456789abcdef"[value >> 4];
        text += "0123456789abcdef"[value & 15];
    }
    return text;
}

Stream from_hex(const std::string& text) {
    std::vector<std::byte> octets;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        octets.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
    }
    return Stream(Chunk::take(std::move(octets)));
}

/// What the Python side computes, too: a period of 251, prime, so that no power of 2 hides a slip.
Stream fill(std::size_t size, std::size_t seed) {
    std::vector<std::byte> octets(size);
    for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<std::byte>((i + seed) % 251);
    return Stream(Chunk::take(std::move(octets)));
}

class Puppet {
  public:
    explicit Puppet(Queue queue) : queue_(std::move(queue)) {}

    ~Puppet() {
        if (echo_.joinable()) {
            (void)queue_.close_for(milliseconds{0});
            echo_.join();
        }
    }

    /// One line of stdin.
    void obey(const std::string& line) {
        std::istringstream in(line);
        std::string command;
        in >> command;
        const auto found = commands_.find(command);
        if (found == commands_.end()) return say("unknown command: " + line);
        found->second(in);
    }

  private:
    using Command = std::function<void(std::istringstream&)>;

    static std::vector<Uuid> read_peers(std::istringstream& in) {
        std::vector<Uuid> peers;
        for (std::string text; in >> text;) peers.push_back(Uuid::parse(text).value());
        return peers;
    }

    void put(Stream message, std::istringstream& in) {
        const std::string number = std::to_string(++puts_);
        queue_.put(message, read_peers(in)).on_ready([number](const nq::Future::Outcome& outcome) {
            say(outcome ? "done " + number : "failed " + number + " " + describe(outcome.error()));
        });
        say("put " + number);  // it is queued: what the test does next comes after it
    }

    nq::Result<Message<Stream>> receive(std::istringstream& in) {
        std::int64_t timeout = 30'000;
        in >> timeout;
        return queue_.get_for(milliseconds{timeout});
    }

    void get(std::istringstream& in) {
        const auto result = receive(in);
        if (!result) return say("error " + describe(result.error()));
        const Stream& data = result->data;
        say("message " + result->peer.to_string() + " " + std::to_string(data.size()) + " " +
            std::to_string(adler32(data)) +
            (data.size() <= k_shown_octets ? " " + to_hex(data) : ""));
    }

    void repr(std::istringstream& in) {
        auto result = receive(in);
        if (!result) return say("error " + describe(result.error()));
        try {
            const nq::Value value = nq::PickleSerializer{}.load(result->data);
            say("value " + result->peer.to_string() + " " + std::string(to_string(value.type())) +
                " " + value.repr());
        } catch (const nq::Error& error) {
            say("error " + describe(error.failure()));
        }
    }

    /// Objects go through Value and back, so that what returns was understood, not copied.
    void echo(bool pickle) {
        say("echoing");
        echo_ = std::thread([this, pickle] {
            for (auto message = queue_.get_for(std::chrono::hours{1}); message;
                 message = queue_.get_for(std::chrono::hours{1})) {
                try {
                    Stream data = std::move(message->data);
                    if (pickle) {
                        const nq::PickleSerializer serializer;
                        data = serializer.dump(serializer.load(std::move(data)));
                    }
                    queue_.put(data, message->peer);
                } catch (const nq::Error& error) {
                    say("error " + describe(error.failure()));
                }
            }
        });
    }

    void peers() {
        std::string line = "peers";
        for (const Uuid& peer : queue_.peers()) line += " " + peer.to_string();
        say(line);
    }

    void stats(std::istringstream& in) {
        static constexpr const char* k_states[] = {"connecting", "open", "lost", "ended"};
        const std::vector<Uuid> wanted = read_peers(in);
        for (const nq::PeerStats& peer : queue_.stats().peers) {
            if (peer.peer != wanted.at(0)) continue;
            return say(std::string("stats ") + k_states[static_cast<int>(peer.state)] + " " +
                       std::to_string(peer.queued_messages) + " " +
                       std::to_string(peer.unread_messages) + " " +
                       std::to_string(peer.dropped_messages));
        }
        say("stats unknown");
    }

    void totals() {
        const nq::Stats stats = queue_.stats();
        say("totals " + std::to_string(stats.strangers) + " " +
            std::to_string(stats.strangers_dropped) + " " +
            std::to_string(stats.identities_refused) + " " +
            std::to_string(stats.sessions_expired));
    }

    void close(std::istringstream& in) {
        std::int64_t timeout = 30'000;
        in >> timeout;
        const nq::CloseReport report = queue_.close_for(milliseconds{timeout});
        say(report.clean ? "closed 1" : "closed 0");
    }

    Queue queue_;
    std::thread echo_;
    std::uint64_t puts_ = 0;
    const std::map<std::string, Command> commands_{
        {"put",
         [this](std::istringstream& in) {
             std::string hex;
             in >> hex;
             put(from_hex(hex == "-" ? "" : hex), in);
         }},
        {"fill",
         [this](std::istringstream& in) {
             std::size_t size = 0;
             std::size_t seed = 0;
             in >> size >> seed;
             put(fill(size, seed), in);
         }},
        {"get", [this](std::istringstream& in) { get(in); }},
        {"repr", [this](std::istringstream& in) { repr(in); }},
        {"echo", [this](std::istringstream&) { echo(false); }},
        {"echo-objects", [this](std::istringstream&) { echo(true); }},
        {"peers", [this](std::istringstream&) { peers(); }},
        {"stats", [this](std::istringstream& in) { stats(in); }},
        {"totals", [this](std::istringstream&) { totals(); }},
        {"close", [this](std::istringstream& in) { close(in); }},
    };
};

/// Options from the command line, and events and log to stdout.
nq::Options read_options(const std::string& host, std::uint16_t port, const std::string& id) {
    nq::Options options;
    options.netloc = {host, port};
    if (!id.empty()) options.id = Uuid::parse(id).value();
    options.events.ini = [](const Uuid& peer) { say("ini " + peer.to_string()); };
    options.events.fin = [](const Uuid& peer) { say("fin " + peer.to_string()); };
    options.log = [](nq::LogLevel level, std::string_view category, std::string_view text) {
        static constexpr const char* k_levels[] = {"debug", "info", "warning", "error"};
        say(std::string("log ") + k_levels[static_cast<int>(level)] + " " + std::string(category) +
            " " + std::string(text));
    };
    return options;
}

nq::Protocol protocol_of(const std::string& name) {
    return name == "mqtt"   ? nq::Protocol::mqtt
           : name == "grpc" ? nq::Protocol::grpc
                            : nq::Protocol::tcp;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"A net-queue peer that does what it is told on stdin"};
    std::string purpose;
    std::string protocol = "tcp";
    std::string host = "127.0.0.1";
    std::string id;
    std::uint16_t port = 0;
    std::int64_t expiry = 120'000;
    std::int64_t handshake = 10'000;
    std::int64_t connect = 30'000;
    nq::SecurityOptions security;
    app.add_option("purpose", purpose)->required()->check(CLI::IsMember({"server", "client"}));
    app.add_option("--protocol", protocol)->check(CLI::IsMember({"tcp", "mqtt", "grpc"}));
    app.add_option("--host", host);
    app.add_option("--port", port);
    app.add_option("--id", id);
    app.add_option("--session-expiry", expiry, "Milliseconds");
    app.add_option("--handshake-timeout", handshake, "Milliseconds");
    app.add_option("--connect-timeout", connect, "Milliseconds");
    app.add_option("--key", security.key);
    app.add_option("--certificate", security.certificate);
    app.add_option("--client-authority", security.client_authority);
    app.add_option("--client-key", security.client_key);
    app.add_option("--client-certificate", security.client_certificate);
    CLI11_PARSE(app, argc, argv);

    nq::Options options = read_options(host, port, id);
    options.session_expiry = milliseconds{expiry};
    options.handshake_timeout = milliseconds{handshake};
    options.connect_timeout = milliseconds{connect};
    if (!security.key.empty() || !security.certificate.empty()) options.security = security;
    try {
        const bool server = purpose == "server";
        Puppet puppet([&] {
            auto queue = nq::open<nq::StreamSerializer>(
                protocol_of(protocol), server ? nq::Purpose::server : nq::Purpose::client, options);
            const nq::NetworkLocation& place = queue.options().netloc;
            say("listening " + place.host + " " + std::to_string(place.port) + " " +
                queue.id().to_string());
            return queue;
        }());
        for (std::string line; std::getline(std::cin, line);) puppet.obey(line);
    } catch (const std::exception& error) {
        say(std::string("threw ") + error.what());
        return 1;
    }
    return 0;
}
