// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace nq::detail {

/// What the kernel knows about the peer of a TCP connection.
struct TcpHealth {
    /// Since anything last came from the peer, acknowledgements included.
    std::chrono::milliseconds silent{0};
    /// Retransmissions of the oldest unacknowledged octet, none answered so far.
    unsigned retransmits = 0;
    /// Probes, of a closed window or of an idle peer, none answered so far.
    unsigned probes = 0;
    /// Octets were written that the peer has not acknowledged.
    bool outstanding = false;
};

/// Whether the peer is dead rather than slow. Who is idle is probed by the kernel (keep-alive), but
/// while octets are outstanding the kernel sends no keep-alive: it retransmits for a quarter of an
/// hour. Its TCP_USER_TIMEOUT would cut that short, but counts for a closed window as well, whose
/// owner answers every probe: a reader that stops for a minute would be taken for dead. So we ask
/// ourselves: dead is who kept silent for `dead_peer` *and* left three of the segments that a
/// living kernel answers at once (retransmissions into an open window, probes of a closed one)
/// without an answer. The second condition protects long round trips, whose segments are further
/// apart; on a window closed for minutes probes are up to two minutes apart, and a death takes
/// accordingly longer to be seen.
[[nodiscard]] bool is_dead(const TcpHealth& health, std::chrono::milliseconds dead_peer) noexcept;

/// When to look again at a peer that is alive and has octets outstanding: when its silence could
/// reach `dead_peer`, or a little later if it already has.
[[nodiscard]] std::chrono::milliseconds next_look(const TcpHealth& health,
                                                  std::chrono::milliseconds dead_peer) noexcept;

/// Asks the kernel about a connected TCP socket.
[[nodiscard]] TcpHealth read_health(int fd) noexcept;

}  // namespace nq::detail
