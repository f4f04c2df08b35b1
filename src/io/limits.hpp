// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

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

/// Octets that the kernel takes and can't send yet: a packet (below) and half of another. Up to its
/// own bound, 4 MiB, what a hundred slow readers have waiting there is out of every cache before it
/// is read: a MiB to each of them takes 1.7 times as long, and messages both ways 1.2 times
/// (of 1 octet to 1 MiB measured under BBR, and 32 to 256 KiB under CUBIC).
constexpr int k_unsent_in_kernel = 96 << 10;

/// Octets that a reactor receives, from all its connections, before it looks for what else there
/// is, and before the thread that runs it because it waits in get has its message: few enough that
/// they are still in the cache when they are taken (4 MiB are no better, as many from each of 100
/// clients take 1.3 to 1.8 times as long).
constexpr std::uint64_t k_round_work = 1 << 20;

/// Connections accepted before other descriptors of the reactor get their turn: at some 10 us each,
/// a crowd at the door delays a peer inside by less than a millisecond.
constexpr int k_accepts_per_round = 64;

/// How long accepting pauses when the system is short of descriptors or memory: doubled from the
/// first to the second, so a short spell costs little and a long one only a try a second.
constexpr std::chrono::milliseconds k_accept_pause_min{10};
constexpr std::chrono::milliseconds k_accept_pause_max{1000};

/// Octets of TCP in the largest packet that Linux makes by default: 64 KiB less the headers that it
/// sets aside (MAX_TCP_HEADER, 320) and one. Where a device allows more or less, calls of this size
/// are merely not the best.
constexpr std::size_t k_packet_max = (std::size_t{64} << 10) - 321;

/// Of so many octets at most a packet is never full, however long a segment is: more than half of
/// the largest packet is whole segments.
constexpr std::size_t k_one_packet = k_packet_max / 2;

/// Chunks handed to the kernel in one call: 1 KiB of stack, and past some dozens the call itself
/// costs nothing against its octets.
constexpr std::size_t k_views_per_call = 64;

/// Octets of plain text in one TLS record at most, and what a record of them takes encrypted
/// (RFC 8446, 5.1 and 5.2; TLS 1.2 allows more padding and is never given it).
constexpr std::size_t k_tls_record = std::size_t{16} << 10;
constexpr std::size_t k_tls_record_encrypted = k_tls_record + 256 + 5;

/// Records that are encrypted before the kernel is called, and decrypted before a thread that sends
/// has its turn: of 1 to 12, 3 and more move the most. A session holds at most 98 KiB of them, only
/// while its socket is full.
constexpr int k_records_per_write = 6;

/// Octets that wait for the kernel under TLS: the records above, or a handshake (whose chain of
/// certificates OpenSSL bounds at 100 KiB), and thousands of the answers of 27 octets that a peer
/// may ask for (new keys, RFC 8446, 4.6.3). Who reads none of so many means no good.
constexpr std::size_t k_tls_outgoing_max = std::size_t{256} << 10;

/// Octets read ahead from a socket under TLS: two records, which stay in the cache nearest to the
/// processor from the kernel's copy to the last one.
constexpr std::size_t k_tls_read_ahead = 2 * k_tls_record_encrypted;

/// Time for a TLS handshake of a client's dial, which takes two round trips and a signature.
constexpr std::chrono::seconds k_tls_handshake{10};

/// How long a connection that was closed here may take to hand over what its layer still holds.
constexpr std::chrono::seconds k_held_at_close{5};

/// Names being looked up at once in one process, each on a thread of its own. A client looks up
/// one at a time; the rest is for lookups given up while the system still waits for an answer.
constexpr int k_lookups = 64;

}  // namespace nq::detail::limits
