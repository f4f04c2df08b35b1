// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>

#include <net_queue/net_queue.hpp>

namespace CLI {
class App;
}

namespace nq::tool {

/// How messages are written: as pickles, for programs that move objects, or as they are.
enum class Encoding { pickle, bytes };

/// How long a program that gives up, or is interrupted, still tries to say goodbye.
constexpr auto k_goodbye = std::chrono::seconds{1};

/// The protocol that an argument names. Throws UsageError where this build lacks it.
[[nodiscard]] Protocol parse_protocol(const std::string& name);

/// How to talk to an MQTT broker: one part of the command line of each command.
struct Broker {
    std::string user;
    std::string password;

    void add_options(CLI::App& command);
    [[nodiscard]] BrokerOptions options() const;
};

/// What a user has to know though no call fails: warnings and errors, or everything.
[[nodiscard]] LogHook print_log(bool everything);

/// The part of the command line that `put` and `get` share: which end, where, who.
struct Endpoint {
    std::string protocol = "tcp";
    bool server = false;
    bool secure = false;
    std::string key;
    std::string certificate;
    Broker broker;
    std::string host = "127.0.0.1";
    std::uint16_t port = 51966;
    std::string id;
    double connect_timeout = 30;  ///< seconds
    bool bytes = false;
    bool verbose = false;

    [[nodiscard]] Purpose purpose() const { return server ? Purpose::server : Purpose::client; }
    [[nodiscard]] Encoding encoding() const { return bytes ? Encoding::bytes : Encoding::pickle; }
};

void add_endpoint_options(CLI::App& command, Endpoint& endpoint);

/// The UUID that an argument spells. Throws UsageError naming the option.
[[nodiscard]] Uuid parse_id(const std::string& option, const std::string& text);

/// Who has come, and a way to wait for it. Thread safety: all methods, from any thread.
class Arrivals {
  public:
    void add(const Uuid& peer);
    /// Makes waiting return at once.
    void stop();
    /// Until `count` peers have come. False: stopped.
    [[nodiscard]] bool wait_for_count(std::size_t count);
    /// Until that peer has come. False: stopped.
    [[nodiscard]] bool wait_for_peer(const Uuid& peer);

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<Uuid> peers_;
    bool stopped_ = false;
};

/// A queue of Streams as the command line wants it; a server tells on stderr where it listens.
/// `arrivals` outlives the queue.
[[nodiscard]] BasicQueue<StreamSerializer> open_endpoint(const Endpoint& endpoint,
                                                         Arrivals& arrivals);

}  // namespace nq::tool
