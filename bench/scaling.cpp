// SPDX-License-Identifier: Apache-2.0
// What a message costs however many wait in the queue, and however many peers are connected: one
// client and one server in this process, and peers that only sit there. Prints a line of JSON for
// each count.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <net_queue/net_queue.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "star.hpp"

namespace {

using nq::BytesSerializer;
using nq::Chunk;
using nq::Purpose;
using nq::bench::Socket;
using nq::bench::Stopwatch;
using Queue = nq::BasicQueue<BytesSerializer>;

constexpr std::size_t k_message = 64;
constexpr int k_rounds = 5;
constexpr int k_steps = 20'000;
constexpr int k_burst = 1'000;

/// Peers that connect and then only sit there, in a process of their own: each takes a descriptor
/// there and one here.
class IdlePeers {
  public:
    /// REQUIRES: this process has one thread.
    explicit IdlePeers(std::size_t count) {
        std::array<int, 2> orders{};
        std::array<int, 2> answers{};
        if (pipe(orders.data()) != 0 || pipe(answers.data()) != 0) throw std::runtime_error("pipe");
        const pid_t child = fork();
        if (child < 0) throw std::runtime_error("fork");
        if (child == 0) {
            close(orders[1]);
            sit(count, orders[0], answers[1]);
        }
        close(orders[0]);
        close(answers[1]);
        child_ = child;
        order_ = orders[1];
        answer_ = answers[0];
    }
    ~IdlePeers() {
        close(order_);
        close(answer_);
        waitpid(child_, nullptr, 0);
    }
    IdlePeers(const IdlePeers&) = delete;
    IdlePeers& operator=(const IdlePeers&) = delete;

    /// Returns when all of them are known to the server.
    void connect(std::uint16_t port) const {
        char done = 0;
        if (write(order_, &port, sizeof port) != sizeof port || read(answer_, &done, 1) != 1) {
            throw std::runtime_error("the idle peers failed");
        }
    }

  private:
    [[noreturn]] static void sit(std::size_t count, int order, int answer) {
        std::uint16_t port = 0;
        if (read(order, &port, sizeof port) != sizeof port) _exit(1);
        std::vector<Socket> peers;
        for (std::size_t i = 0; i < count; ++i) {
            peers.push_back(Socket::connected(port));
            peers.back().write(nq::bench::identity_frame(i + 1));
            nq::bench::IdentityFrame known{};
            std::array<iovec, 1> pieces{nq::bench::piece(known.data(), known.size())};
            peers.back().read(pieces);
        }
        (void)!write(answer, "", 1);
        (void)!read(order, &port, sizeof port);  // until the other end is closed
        _exit(0);
    }

    pid_t child_ = 0;
    int order_ = -1;
    int answer_ = -1;
};

/// A server, and a client of it that is known to it.
struct Pair {
    explicit Pair(std::size_t peers) : idle(std::in_place, peers - 1) {
        nq::Options options;
        options.netloc.port = 0;
        options.connection.receive_bytes = std::size_t{1} << 40;
        server.emplace(nq::open<BytesSerializer>(nq::Protocol::tcp, Purpose::server, options));
        options.netloc.port = server->options().netloc.port;
        options.connection.receive_bytes = std::size_t{1} << 20;
        idle->connect(options.netloc.port);
        client.emplace(nq::open<BytesSerializer>(nq::Protocol::tcp, Purpose::client, options));
        client->put(message).get();
        me = server->get().peer;
    }
    ~Pair() {
        (void)client->close_for(std::chrono::seconds{1});
        idle.reset();
        (void)server->close_for(std::chrono::seconds{1});
    }

    std::vector<std::byte> octets = std::vector<std::byte>(k_message, std::byte{1});
    Chunk message = Chunk::borrow(octets);
    std::optional<IdlePeers> idle;
    std::optional<Queue> server;
    std::optional<Queue> client;
    nq::Uuid me;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

/// Nanoseconds for a message put and one got, from whomever and by name in turn.
template <class Step>
double measure(Step step) {
    std::vector<double> rounds;
    for (int round = 0; round < k_rounds; ++round) {
        const Stopwatch watch;
        for (int i = 0; i < k_steps; ++i) step(i);
        rounds.push_back(watch.seconds() * 1e9 / k_steps);
    }
    return median(std::move(rounds));
}

double with_queued(std::size_t queued) {
    Pair pair(1);
    for (std::size_t i = 0; i < queued; ++i) pair.client->put(pair.message);
    while (pair.server->communicator().stats().peers.front().unread_messages < queued) {
        std::this_thread::yield();
    }
    return measure([&pair](int i) {
        // A burst at a time: what is measured is not how long one message is on its way.
        for (int more = i % k_burst == 0 ? k_burst : 0; more > 0; --more) {
            pair.client->put(pair.message);
        }
        (void)(i % 2 == 0 ? pair.server->get() : pair.server->get(pair.me));
    });
}

double with_peers(std::size_t peers) {
    Pair pair(peers);
    return measure([&pair](int i) {
        for (int more = i % k_burst == 0 ? k_burst : 0; more > 0; --more) {  // as above
            pair.server->put(pair.message, pair.me);
        }
        (void)pair.client->get();
    });
}

}  // namespace

/// usage: scaling queued|peers COUNT...
int main(int argc, char** argv) {
    if (argc < 3) return std::fputs("usage: scaling queued|peers COUNT...\n", stderr), 2;
    nq::bench::raise_descriptor_limit();
    const bool queued = std::strcmp(argv[1], "queued") == 0;
    for (int i = 2; i < argc; ++i) {
        const std::string text = argv[i];
        std::size_t count = 0;
        std::from_chars(text.data(), text.data() + text.size(), count);
        const double cost =
            queued ? with_queued(count) : with_peers(std::max<std::size_t>(count, 1));
        std::printf("{\"of\": \"%s\", \"count\": %zu, \"nanoseconds\": %.0f}\n", argv[1], count,
                    cost);
        std::fflush(stdout);
    }
    return 0;
}
