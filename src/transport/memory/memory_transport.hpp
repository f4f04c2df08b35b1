// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "transport/transport.hpp"

namespace nq::detail {

/// How the connections of a MemoryNetwork behave: by default like a good network, otherwise like
/// what a test needs.
struct MemoryOptions {
    static constexpr std::size_t k_unlimited = std::numeric_limits<std::size_t>::max();

    /// Octets in flight in each direction, at least 1.
    std::size_t capacity = std::size_t{64} << 10;
    /// Octets that one receive yields at most, at least 1.
    std::size_t receive_max = k_unlimited;
    /// The memory of octets is released when the reader has received them, not when they are taken,
    /// as a transport without copies would.
    bool release_late = false;
    /// A connection is lost once so many octets were taken in one direction. Those can still be
    /// received; nothing follows.
    std::size_t lose_after = k_unlimited;
    /// Remember every send for MemoryNetwork::take_writes.
    bool record_writes = false;
};

/// One call to send that took something.
struct MemoryWrite {
    bool by_client = false;  ///< by the end that dialled
    std::size_t chunks = 0;  ///< offered
    std::size_t octets = 0;  ///< taken
    friend bool operator==(const MemoryWrite&, const MemoryWrite&) = default;
};

/// A network inside the process: endpoints are port numbers (hosts are not looked at), connections
/// are bounded pipes between any two reactors. For tests of everything above a transport.
///
/// Shared by the transports made on it, their listeners, dials and connections.
/// Thread safety: all methods, from any thread.
class MemoryNetwork {
  public:
    static std::shared_ptr<MemoryNetwork> create(const MemoryOptions& options = {});
    ~MemoryNetwork();

    /// For connections made from now on.
    void set_options(const MemoryOptions& options);
    /// Every connection there is fails at both ends; octets in flight are lost.
    void lose_connections();
    /// The recorded sends of all connections so far, in order, and forgets them.
    [[nodiscard]] std::vector<MemoryWrite> take_writes();

    // For the transports on this network.
    struct State;
    [[nodiscard]] const std::shared_ptr<State>& state() const noexcept { return state_; }

  private:
    explicit MemoryNetwork(const MemoryOptions& options);
    const std::shared_ptr<State> state_;
};

/// Connections within a MemoryNetwork.
std::unique_ptr<Transport> make_memory_transport(std::shared_ptr<MemoryNetwork> network);

}  // namespace nq::detail
