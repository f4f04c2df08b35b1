// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

/// Every bound of the library that is not an option (those stand in net_queue/options.hpp), each
/// with its derivation.
namespace nq::detail::limits {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t KiB = 1024;
constexpr std::size_t MiB = 1024 * KiB;

/// The block small messages are coalesced into and sliced from: little enough that it is still in
/// the cache when it is read. A message of this size goes out by itself.
constexpr std::size_t k_block_size = 64 * KiB;

/// A message up to this size waits in the shared block for its last octets; a longer one gets a
/// buffer of its own. A quarter of a block: at most a quarter of a block is ever moved to the start
/// of the next.
constexpr std::size_t k_slice_size_max = k_block_size / 4;

/// A frame up to this size is copied whole into another block where it does not fit the rest of
/// one, rather than cut: that leaves at most an eighth of a block unused.
constexpr std::size_t k_block_rest_max = k_block_size / 8;

/// Octets read past the end of a large message in the same system call: enough for the next header
/// and some small messages, little enough that what must be copied out again costs nothing. As many
/// are read where another large message may begin.
constexpr std::size_t k_read_ahead = 4 * KiB;

/// What an identified peer's word is good for: a declared size up to this is allocated at once,
/// beyond it the buffer doubles as octets arrive (WIRE.md, Framing).
constexpr std::size_t k_trusted_size = 4 * MiB;

/// Fresh pages fetched at once, ahead of the octets that will lie in them: enough that the system
/// call does not show, little enough that the zeroes it writes are still in the cache when the
/// octets replace them (measured from 64 KiB to 4 MiB).
constexpr std::size_t k_page_run = 256 * KiB;
/// At the beginning of a message no more than have come, so that a peer's word is not enough; or
/// so many, a system call's worth.
constexpr std::size_t k_page_run_least = 16 * KiB;

/// The longest frame believed where octets may be lost unseen: a size that is really the middle of
/// something else is below it once in 16 million, and 1 TiB takes a broker an hour and more.
constexpr std::uint64_t k_plausible_frame = std::uint64_t{1} << 40;

/// Chunks offered to a transport at once. Linux takes up to 1,024 (IOV_MAX); beyond 64 the call's
/// fixed cost no longer shows.
constexpr std::size_t k_transmit_chunks = 64;

/// Idle memory kept for the next message, per communicator: four of the largest pooled blocks.
constexpr std::size_t k_retained_bytes = 16 * MiB;

/// The same in blocks beyond the pooled sizes, and for how long: a message of 256 MiB, or a few of
/// 64 MiB, of a program that gets one after the other.
constexpr std::size_t k_retained_large = 256 * MiB;
constexpr milliseconds k_large_age{500};

/// Octets that are copied into blocks and wait for a call to the transport. Four blocks: a socket
/// rarely takes more at once, and what it does not take stays copied.
constexpr std::size_t k_staged_copy_max = 4 * k_block_size;

/// A message put so long after the last one goes out by itself: what a system call and the wake-up
/// of who receives it take. Within it, a call for each would hold up the ones that follow.
constexpr std::chrono::microseconds k_pause{20};

/// How often a stream of small messages is looked after. What is left of one that stopped waits at
/// most twice as long; a look costs a microsecond or two.
constexpr std::chrono::microseconds k_stream_look{100};

/// Small messages that wait for others before they are sent: what one system call for all of them
/// adds to each is too little to measure.
constexpr std::uint64_t k_waiting_messages = 1024;

/// How long memory for queued messages is kept for the next ones.
constexpr milliseconds k_memory_look{10};

/// Octets one connection may send before its reactor looks at the others, or receive of a large
/// message, be it in one call (a MiB at a time costs messages of 2 MiB a fifteenth): about a
/// millisecond of work, so 100 busy peers wait for at most a tenth of a second.
constexpr std::size_t k_turn_bytes = 4 * MiB;

/// What a message costs its receiver, in octets received besides its own: some 40 ns.
constexpr std::uint64_t k_message_work = 64;

/// Connections that have not identified themselves; the oldest goes first. At 24 octets of state
/// and a socket each they cost less than 4 KiB, 4 MiB in all.
constexpr std::size_t k_strangers_max = 1'024;

/// Octets that a newcomer may say through a broker while the user thinks about its identity: what
/// arrives in the milliseconds that an answer takes. Shared out among those who wait, so that all
/// 1,024 together hold a hundred MiB or so, however they come.
constexpr std::size_t k_waiting_bytes = 4 * MiB;
constexpr std::size_t k_waiting_bytes_shared = 16 * MiB;

/// A server's constructor waits so long for a broker that was reached but does not answer: some
/// round trips to the other end of the world.
constexpr milliseconds k_listen_patience = seconds{2};

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
