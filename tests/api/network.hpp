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

enum class Wire { memory, tcp };

/// One kind of network, with at most one server at a time that clients find by themselves.
class Network {
  public:
    explicit Network(Wire wire);

    /// A server at a place of its own, which clients opened from now on dial.
    template <Serializer S = TextSerializer>
    [[nodiscard]] BasicQueue<S> server(Options options = {}, S serializer = {}) {
        options.netloc = {"127.0.0.1", 0};
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
    [[nodiscard]] Communicator open(Purpose purpose, Options options);

    const std::shared_ptr<detail::MemoryNetwork> memory_;
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

/// A test on every transport there is: ON_EVERY_TRANSPORT("name") { ... network ... }
#define ON_EVERY_TRANSPORT(name) NQ_API_TEST(name, DOCTEST_ANONYMOUS(conversation_))
#define NQ_API_TEST(name, function)                  \
    static void function(nq::api::Network&);         \
    TEST_CASE(name " [memory]") {                    \
        nq::api::Network net(nq::api::Wire::memory); \
        function(net);                               \
    }                                                \
    TEST_CASE(name " [tcp]") {                       \
        nq::api::Network net(nq::api::Wire::tcp);    \
        function(net);                               \
    }                                                \
    static void function([[maybe_unused]] nq::api::Network& network)
