// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <net_queue/options.hpp>

namespace nq::testing {

struct BrokerSettings {
    /// Lets in this user alone, with this password; empty: anybody.
    std::string user;
    std::string password;
    /// PEM files of a TLS listener; empty: none.
    std::filesystem::path certificate;
    std::filesystem::path key;
};

/// A mosquitto of one's own: on a free port of the loopback, without bound on what it queues, its
/// files in a directory of its own. Answers from construction on (or throws std::runtime_error),
/// until stopped or destroyed.
/// Thread safety: none.
class Broker {
  public:
    explicit Broker(const BrokerSettings& settings = {});
    ~Broker();
    Broker(const Broker&) = delete;
    Broker& operator=(const Broker&) = delete;

    [[nodiscard]] const NetworkLocation& location() const { return location_; }
    /// Ends the process, at once and for good.
    void stop();
    /// And starts it again, at the same place.
    void start();

  private:
    [[nodiscard]] bool try_start();

    const std::filesystem::path folder_;
    NetworkLocation location_;
    BrokerSettings settings_;
    pid_t pid_ = 0;
};

}  // namespace nq::testing
