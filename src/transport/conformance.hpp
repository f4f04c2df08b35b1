// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "transport/transport.hpp"

/// What every transport's test has in common: the suite (conformance_*.cpp, compiled into each test
/// executable), and the talkers it is made of.
namespace nq::detail::conformance {

/// Octets for tests of size; a sanitizer makes each some twenty times as dear.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::size_t k_large = std::size_t{4} << 20;
#else
constexpr std::size_t k_large = std::size_t{64} << 20;
#endif

/// A transport to be tested, under the conditions its name tells.
struct Candidate {
    std::string name;
    std::unique_ptr<Transport> transport;
    /// Where to listen and connect; port 0.
    NetworkLocation location;
    /// Octets a test of size sends: fewer where each takes long.
    std::size_t large = k_large;
    /// A broker stands between the two: an end learns of the other by its first octets, of no end
    /// of a stream, and of no server that is not there; and what nobody reads piles up there.
    bool through_broker = false;
    /// How many connect at once: fewer where both ends of each, on the test's one thread, take so
    /// long that a starved machine could not keep the handshake's deadline for the last of them.
    std::size_t crowd = 200;
};

/// Each test executable says what it tests; called once per test case.
std::vector<Candidate> candidates();

/// The user of a connection: says what it is told to, hears what comes, notes what happens.
/// Shared by the test and its connection.
/// Thread safety: belongs to its connection's reactor thread.
class Talker final : public ConnectionHandler, public std::enable_shared_from_this<Talker> {
  public:
    explicit Talker(std::shared_ptr<Connection> connection, std::uint32_t seed = 1);

    /// Becomes the handler, then sends and receives what there is.
    void start();
    /// Sends a chunk, now or as soon as the connection takes it.
    void say(Chunk chunk);
    /// Finishes sending once everything said has been taken.
    void finish();
    /// false: leaves unread what comes.
    void listen(bool listening);
    /// Cuts sends and receives into random pieces of up to so many octets.
    void be_choppy(std::size_t piece_max);

    void handle_readable() override;
    void handle_writable() override;
    void handle_released(std::size_t n) override;
    void handle_lost(Failure failure) override;

    [[nodiscard]] Connection& connection() { return *connection_; }
    [[nodiscard]] bool over() const { return ended || lost > 0; }

    // What happened so far.
    std::string heard;
    std::size_t taken = 0;
    std::size_t released = 0;
    bool ended = false;  // end of stream, or a receive that failed
    int lost = 0;
    int writable = 0;
    std::string complaint;  // the latest failure's text
    std::function<void()> on_change;

  private:
    void send_some();
    void receive_some();
    [[nodiscard]] std::vector<Chunk> next_chunks();
    [[nodiscard]] std::size_t piece(std::size_t limit);
    void changed();

    const std::shared_ptr<Connection> connection_;
    std::mt19937 random_;
    std::vector<std::byte> room_ = std::vector<std::byte>(std::size_t{256} << 10);
    Stream unsaid_;
    bool finishing_ = false;
    bool listening_ = true;
    std::size_t piece_max_ = 0;  // 0: as large as can be
};

/// A reactor run by the test itself, with a listener and the talkers on it.
class Scene {
  public:
    explicit Scene(Candidate& candidate);
    ~Scene();

    /// A connection: the end that dialled, and the end that was accepted.
    struct Pair {
        std::shared_ptr<Talker> client;
        std::shared_ptr<Talker> server;
    };
    /// Both ends started, unless `start` is false.
    Pair connect(bool start = true);
    /// What a dial comes to.
    Result<std::shared_ptr<Connection>> dial(const NetworkLocation& location);
    /// Runs the reactor until the condition holds; fails the test after a deadline.
    void run_until(const std::function<bool()>& condition);
    /// Runs the reactor until nothing is left to do at once.
    void settle();

    Candidate& candidate;
    Reactor reactor;
    std::unique_ptr<Listener> listener;
    std::vector<std::shared_ptr<Connection>> accepted;
    std::function<void(std::shared_ptr<Connection>)> on_accept;  // instead of into `accepted`
    std::vector<std::string> log;

  private:
    void introduce(Connection& client);
    std::vector<std::weak_ptr<Connection>> opened_;
};

/// Octets that tell where they belong.
[[nodiscard]] std::string pattern(std::size_t size, std::uint32_t seed = 1);

/// How long anything in a test may take: long for a loaded machine under a sanitizer, and never
/// waited for when all is well.
constexpr std::chrono::seconds k_deadline{60};

}  // namespace nq::detail::conformance
