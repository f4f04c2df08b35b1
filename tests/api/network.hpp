// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net_queue/net_queue.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tap.hpp"
#include "transport/memory/memory_transport.hpp"

namespace nq::testing {
class Broker;
}

/// What the tests of the public API have in common: a network of any kind to open servers and
/// clients on, and words for what they say to each other.
namespace nq::api {

/// How long anything may take that should happen: long for a loaded machine under a sanitizer, and
/// never waited for when all is well.
constexpr std::chrono::seconds k_patience{60};

/// Waits until the condition holds; false if it does not in time.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

/// Octets as text: what the tests talk in.
struct TextSerializer {
    using value_type = std::string;
    [[nodiscard]] Stream dump(const std::string& text) const { return Chunk::copy_of(text); }
    [[nodiscard]] std::string load(Stream stream) const {
        return std::string(stream.to_chunk().text());
    }
};
using TextQueue = BasicQueue<TextSerializer>;

enum class Wire { memory, tcp, tls, grpc, mqtt };

/// One kind of network, with at most one server at a time that clients find by themselves. On MQTT
/// with a broker of its own, whose place is the server's.
class Network {
  public:
    explicit Network(Wire wire);
    ~Network();

    /// A server at a place of its own, which clients opened from now on dial.
    template <Serializer S = TextSerializer>
    [[nodiscard]] BasicQueue<S> server(Options options = {}, S serializer = {}) {
        options.netloc = place_for_a_server();
        return server_at_its_place<S>(std::move(options), std::move(serializer));
    }
    /// A server where options.netloc says.
    template <Serializer S = TextSerializer>
    [[nodiscard]] BasicQueue<S> server_at_its_place(Options options, S serializer = {}) {
        BasicQueue<S> queue(open(Purpose::server, std::move(options)), std::move(serializer));
        location = queue.options().netloc;
        return queue;
    }
    template <Serializer S = TextSerializer>
    [[nodiscard]] BasicQueue<S> client(Options options = {}, S serializer = {}) {
        options.netloc = location;
        return BasicQueue<S>(open(Purpose::client, std::move(options)), std::move(serializer));
    }
    /// Clients opened from now on dial a place where nobody listens (yet).
    void leave_empty();

    /// What is opened from now on goes through a tap.
    Tap& tap();

    const Wire wire;
    NetworkLocation location;

  private:
    [[nodiscard]] NetworkLocation place_for_a_server();
    [[nodiscard]] Communicator open(Purpose purpose, Options options);

    const std::shared_ptr<detail::MemoryNetwork> memory_;
    std::unique_ptr<testing::Broker> broker_;
    std::shared_ptr<Tap> tap_;
};

/// What hooks and callbacks wrote down, in order. Thread safety: all methods, from any thread.
class Diary {
  public:
    void note(const std::string& line) const;
    /// Waits until so many lines contain the text; false if they do not in time.
    [[nodiscard]] bool tells(std::string_view text, int times = 1) const;
    [[nodiscard]] int count(std::string_view text) const;
    [[nodiscard]] std::vector<std::string> lines() const;

    /// Notes "level text".
    [[nodiscard]] LogHook log() const;
    /// Note "ini uuid" and "fin uuid".
    [[nodiscard]] EventOptions events() const;

  private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::string> lines;
    };
    [[nodiscard]] int count_locked(std::string_view text) const;

    std::shared_ptr<State> state_ = std::make_shared<State>();  // hooks may outlive the diary
};

/// The next message that comes, or what goes wrong instead, as an exception.
template <class Q>
[[nodiscard]] typename Q::value_type hear(Q& queue, Communicator::Peers peers = {}) {
    auto result = queue.get_for(k_patience, peers);
    if (!result) raise(result.error());
    return std::move(result->data);
}

[[nodiscard]] inline bool done(const Future& future) {
    return future.wait_for(k_patience) && future.result().has_value();
}

/// What a future failed with; no code if it is done.
[[nodiscard]] inline std::error_code failure_of(const Future& future) {
    if (!future.wait_for(k_patience)) return make_error_code(Errc::timed_out);
    const auto outcome = future.result();
    return outcome ? std::error_code() : outcome.error().code;
}

/// Waits until both know each other.
template <class Server, class Client>
[[nodiscard]] bool meet(const Server& server, const Client& client) {
    return eventually([&server, &client] {
        const auto here = server.peers();
        const bool known = std::find(here.begin(), here.end(), client.id()) != here.end();
        return known && client.peers().size() == 1;
    });
}

/// The figures of one peer; nothing if it is not known.
template <class Q>
[[nodiscard]] std::optional<PeerStats> stats_of(const Q& queue, const Uuid& peer) {
    for (const PeerStats& each : queue.stats().peers) {
        if (each.peer == peer) return each;
    }
    return std::nullopt;
}

template <class Q>
[[nodiscard]] bool is_lost(const Q& queue, const Uuid& peer) {
    const auto stats = stats_of(queue, peer);
    return stats && stats->state == PeerStats::State::lost;
}

/// Text of a size that tells where it belongs.
[[nodiscard]] std::string pattern(std::size_t size, unsigned seed = 1);

}  // namespace nq::api

#define NQ_API_TEST_ON(name, wire, function)       \
    TEST_CASE(name " [" #wire "]") {               \
        nq::api::Network net(nq::api::Wire::wire); \
        function(net);                             \
    }

#ifdef NQ_WITH_TLS
#define NQ_API_TEST_TLS(name, function) NQ_API_TEST_ON(name, tls, function)
#else
#define NQ_API_TEST_TLS(name, function)
#endif

#ifdef NQ_WITH_GRPC
#define NQ_API_TEST_GRPC(name, function) NQ_API_TEST_ON(name, grpc, function)
#else
#define NQ_API_TEST_GRPC(name, function)
#endif

#ifdef NQ_WITH_MQTT
#define NQ_API_TEST_MQTT(name, function) NQ_API_TEST_ON(name, mqtt, function)
#else
#define NQ_API_TEST_MQTT(name, function)
#endif

#define NQ_API_TEST(name, function, also)    \
    static void function(nq::api::Network&); \
    NQ_API_TEST_ON(name, memory, function)   \
    NQ_API_TEST_ON(name, tcp, function)      \
    NQ_API_TEST_TLS(name, function)          \
    NQ_API_TEST_GRPC(name, function)         \
    also(name, function) static void function([[maybe_unused]] nq::api::Network& network)
#define NQ_API_TEST_NO_MORE(name, function)

/// A test on every transport there is: ON_EVERY_TRANSPORT("name") { ... network ... }
#define ON_EVERY_TRANSPORT(name) \
    NQ_API_TEST(name, DOCTEST_ANONYMOUS(conversation_), NQ_API_TEST_MQTT)
/// One of what QoS 0 or a broker in between can't promise (docs/transports/mqtt.md), for the reason
/// given: on all the others.
#define ON_EVERY_TRANSPORT_BUT_MQTT(name, reason)                \
    static_assert(sizeof(reason) > 1, "say what MQTT can't do"); \
    NQ_API_TEST(name, DOCTEST_ANONYMOUS(conversation_), NQ_API_TEST_NO_MORE)
