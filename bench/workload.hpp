// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace nq::bench {

/// What both programs move, so that their times compare:
/// - sync:       the client puts `count` messages, then gets as many; the server the reverse
/// - oneway:     the client puts `count` messages; the server's word that it has all ends it
/// - roundtrip:  the client puts one and gets one, `count` times
struct Workload {
    std::string name;
    std::size_t size = 0;  ///< octets of each message
    std::uint64_t count = 0;
};

/// The octets that every message of a workload carries, and a receiver's duty to look at them: one
/// word of each cache line of a small message, of each page of a large one.
class Content {
  public:
    explicit Content(std::size_t size);

    [[nodiscard]] std::span<const std::byte> octets() const { return octets_; }
    /// Ends the process where a contiguous received message differs from what was sent.
    void touch(std::span<const std::byte> message) const;

  private:
    [[nodiscard]] static std::uint64_t look_at(std::span<const std::byte> message);

    std::vector<std::byte> octets_;
    std::uint64_t expected_;
};

/// The two ends, each run in a process of its own. The server tells the port it listens on as soon
/// as it does; the client returns the seconds the workload took.
struct Ends {
    std::function<void(const std::function<void(std::uint16_t)>& listening)> server;
    std::function<double(std::uint16_t port)> client;
};

/// Reads WORKLOAD --size --count from the command line, runs both ends and prints
/// {"workload": ..., "size": ..., "count": ..., "seconds": ...}. Returns the exit code.
[[nodiscard]] int run_program(int argc, char** argv, const std::string& description,
                              const std::function<Ends(const Workload&)>& make_ends);

/// Seconds since the object was made.
class Stopwatch {
  public:
    Stopwatch();
    [[nodiscard]] double seconds() const;

  private:
    std::int64_t begun_ns_;
};

}  // namespace nq::bench
