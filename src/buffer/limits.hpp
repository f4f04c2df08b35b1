// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>

/// Every bound of the library that is not an option (those stand in net_queue/options.hpp), each
/// with its derivation.
namespace nq::detail::limits {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t KiB = 1024;
constexpr std::size_t MiB = 1024 * KiB;

/// The block small messages are coalesced into and sliced from. One system call a block: at
/// 64 KiB the call costs less than moving the octets; twice as much gained nothing measurable.
constexpr std::size_t k_block_size = 64 * KiB;

/// A message up to this size waits in the shared block for its last octets; a longer one gets a
/// buffer of its own. A quarter of a block: at most a quarter of a block is ever moved to the start
/// of the next.
constexpr std::size_t k_slice_size_max = k_block_size / 4;

/// Octets read past the end of a large message in the same system call: enough for the next header
/// and some small messages, little enough that what must be copied out again costs nothing.
constexpr std::size_t k_read_ahead = 4 * KiB;

/// What an identified peer's word is good for: a declared size up to this is allocated at once,
/// beyond it the buffer doubles as octets arrive (WIRE.md, Framing).
constexpr std::size_t k_trusted_size = 4 * MiB;

/// Chunks offered to a transport at once. Linux takes up to 1,024 (IOV_MAX); beyond 64 the call's
/// fixed cost no longer shows.
constexpr std::size_t k_transmit_chunks = 64;

/// Idle memory kept for the next message, per communicator: four of the largest pooled blocks.
constexpr std::size_t k_retained_bytes = 16 * MiB;

/// Octets copied into blocks ahead of one call to the transport. Four blocks: a socket rarely takes
/// more at once, and what it does not take stays copied.
constexpr std::size_t k_staged_copy_max = 4 * k_block_size;

/// Octets one connection may send or receive before its reactor looks at the others: about a
/// millisecond of work, so 100 busy peers wait for at most a tenth of a second.
constexpr std::size_t k_turn_bytes = 4 * MiB;

/// Connections that have not identified themselves; the oldest goes first. At 24 octets of state
/// and a socket each they cost less than 4 KiB, 4 MiB in all.
constexpr std::size_t k_strangers_max = 1'024;

/// A server that ends a session waits this long for the client's fin: a round trip to the other
/// end of the world (0.3 s) many times over, and short enough for a close.
constexpr milliseconds k_fin_timeout = seconds{5};

/// After both fins, how long a server waits for the client to close the connection first.
constexpr milliseconds k_linger_timeout = seconds{1};

/// After the deadline of a close, how long the goodbyes of what is ended then may take: a round
/// trip on one continent.
constexpr milliseconds k_close_grace{200};

/// Pauses between a client's attempts to connect: doubling between these.
constexpr milliseconds k_backoff_min{10};
constexpr milliseconds k_backoff_max = seconds{1};

}  // namespace nq::detail::limits
