// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>

namespace nq::detail::limits {

/// A peer that gave no sign of life for so long, though one was due, is dead. Long enough for a
/// route to change or a Wi-Fi to be lost and found, short enough that its id is soon free again.
constexpr std::chrono::seconds k_dead_peer{45};

/// Unanswered probes, or retransmissions, before silence counts as death: with fewer one lost
/// packet on a bad line could be fatal. A kernel sends them at 15, 25 and 35 s of silence.
constexpr int k_unanswered_probes = 3;

/// Time for one address to answer a connection attempt before the next address is tried. SYNs go
/// out after 0, 1, 3 and 7 s (Linux): four of them, and the last has 3 s for its answer.
constexpr std::chrono::seconds k_connect_attempt{10};

/// Connections the kernel keeps for us between their handshake and accept: what a restart brings at
/// once. The system's net.core.somaxconn (4,096 by default) cuts it further.
constexpr int k_listen_backlog = 4096;

/// Connections accepted before other descriptors of the reactor get their turn: at some 10 us each,
/// a crowd at the door delays a peer inside by less than a millisecond.
constexpr int k_accepts_per_round = 64;

/// How long accepting pauses when the system is short of descriptors or memory: doubled from the
/// first to the second, so a short spell costs little and a long one only a try a second.
constexpr std::chrono::milliseconds k_accept_pause_min{10};
constexpr std::chrono::milliseconds k_accept_pause_max{1000};

/// Chunks handed to the kernel in one call: 1 KiB of stack, and past some dozens the call itself
/// costs nothing against its octets.
constexpr std::size_t k_views_per_call = 64;

/// Names being looked up at once in one process, each on a thread of its own. A client looks up
/// one at a time; the rest is for lookups given up while the system still waits for an answer.
constexpr int k_lookups = 64;

}  // namespace nq::detail::limits
