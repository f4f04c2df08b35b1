// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nq::bench {

/// A run of messages: so many of one size, or of mixed sizes.
class Messages {
  public:
    Messages(std::size_t size, std::uint64_t count) : sizes_{size}, count_(count) {}
    /// As `nq bench --min-size 8 --step-size 2 --max-size EXPONENT` moves: fewer of the larger
    /// ones, 2^((EXPONENT - i) / 2) of 2^i octets, in an order drawn by lot, always the same.
    static Messages mix(unsigned exponent);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::size_t size(std::uint64_t i) const {
        return sizes_.size() == 1 ? sizes_.front() : sizes_[i];
    }
    /// Of all sizes: one, or one for each message.
    [[nodiscard]] std::span<const std::size_t> sizes() const { return sizes_; }
    [[nodiscard]] std::size_t largest() const;
    [[nodiscard]] std::uint64_t octets() const;
    /// One message of the smallest size.
    [[nodiscard]] Messages word() const;

  private:
    explicit Messages(std::vector<std::size_t> sizes)
        : sizes_(std::move(sizes)), count_(sizes_.size()) {}

    std::vector<std::size_t> sizes_;
    std::uint64_t count_;
};

/// What all programs move, so that their times compare. Between two processes, after each said a
/// word to the other:
/// - sync:       the client puts the messages, then gets as many; the server the reverse
/// - async:      both put and get at once; the server's word that it has all ends it
/// - oneway:     the client puts the messages; the server's word that it has all ends it
/// - roundtrip:  the client puts one and gets one, and so on
/// In a star, all its clients in the client's process:
/// - fanout:     the server puts each message to each client
/// - fanin:      each client puts the messages; the server's word to each ends it
/// - idle:       the clients connect and stay: what they cost the server
struct Workload {
    std::string name;
    Messages messages{1, 1};
    std::size_t clients = 1;
    double idle_seconds = 2;
    /// net-queue: through which of its transports.
    std::string protocol = "tcp";
    /// net-queue: its option of that name, in microseconds, if not the default.
    std::optional<unsigned> busy_poll = std::nullopt;
    /// A directory that scripts/test-authority made: the transport is encrypted with its files.
    std::string authority = {};
    /// Bare sockets: see Socket::call_for_each_packet.
    bool by_packets = false;
    /// MQTT: where on this machine the broker listens.
    std::uint16_t port = 0;

    [[nodiscard]] bool is_star() const {
        return name == "fanout" || name == "fanin" || name == "idle";
    }
};

/// The octets that every message of a workload begins with, and a receiver's duty to look at them:
/// one word of each cache line of a small message, of each page of a large one.
/// Thread safety: all methods, from any thread.
class Content {
  public:
    explicit Content(const Messages& messages);

    /// Of the largest message.
    [[nodiscard]] std::span<const std::byte> octets() const { return octets_; }
    [[nodiscard]] std::span<const std::byte> octets(std::size_t size) const {
        return std::span(octets_).first(size);
    }
    /// Ends the process where a contiguous received message differs from what was sent.
    void touch(std::span<const std::byte> message) const;

  private:
    std::vector<std::byte> octets_;
    std::map<std::size_t, std::uint64_t> expected_;  // for each size: what look_at says
};

/// One end of a connection between two processes. `async` calls put and get on two threads.
class End {
  public:
    virtual ~End() = default;
    /// Returns when they are on their way.
    virtual void put(const Messages& messages) = 0;
    /// Takes so many, each contiguous, and touches each.
    virtual void get(const Messages& messages) = 0;
    /// Both at once.
    virtual void put_and_get(const Messages& messages);
};

/// The two sides of the workloads of two processes. The client's returns the seconds it took.
void serve(const Workload& workload, End& end);
[[nodiscard]] double measure(const Workload& workload, End& end);

/// What the client's process knows of the server's.
struct ServerProcess {
    pid_t id = 0;
    std::uint16_t port = 0;

    [[nodiscard]] std::uint64_t resident_octets() const;
    [[nodiscard]] double cpu_seconds() const;
};

/// What `idle` measures, of the server alone.
struct IdleCost {
    double octets_per_client = 0;
    double cpu_seconds = 0;
};

struct Outcome {
    double seconds = 0;
    std::optional<IdleCost> idle = std::nullopt;
};

/// The two ends, each run in a process of its own. The server tells the port it listens on as soon
/// as it does; the client returns what it measured.
struct Ends {
    std::function<void(const std::function<void(std::uint16_t)>& listening)> server;
    std::function<Outcome(const ServerProcess& server)> client;
};

/// Reads WORKLOAD and its flags from the command line (--help tells which), runs both ends and
/// prints one line of JSON: seconds, and what both processes took of processor and memory.
/// `library` is the name and version of what is measured. Returns the exit code.
[[nodiscard]] int run_program(int argc, char** argv, const std::string& library,
                              const std::function<Ends(const Workload&)>& make_ends);

/// As many descriptors as the system allows: a star needs one for each client.
void raise_descriptor_limit();

/// Seconds since the object was made.
class Stopwatch {
  public:
    Stopwatch();
    [[nodiscard]] double seconds() const;

  private:
    std::int64_t begun_ns_;
};

}  // namespace nq::bench
