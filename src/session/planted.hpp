// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace nq::detail {

// Bugs that the simulation must find, to prove that it can fail: each stands in the source as
// `planted(Bug::...)`. Only the copy of the session that tests/simulation compiles with
// NQ_PLANTED_BUGS has them; in every other build `planted` is the constant false.
#define NQ_PLANTED_BUG_LIST(X)     \
    /* send_half.cpp */            \
    X(fin_before_queue)            \
    X(taken_frame_sent_again)      \
    X(cut_frame_not_sent_again)    \
    X(cut_frame_resumed_midway)    \
    X(released_when_taken)         \
    X(release_forgotten_by_loss)   \
    X(ini_once_per_session)        \
    X(cancel_of_staged_frame)      \
    X(target_not_awaited)          \
    X(wrong_target_sent)           \
    X(split_header_begins_again)   \
    X(transport_size_exceeded)     \
    X(chunks_unbounded)            \
    X(block_reused_before_release) \
    X(partial_take_forgotten)      \
    X(abandon_cuts_frame)          \
    X(abandon_sends_queue)         \
    /* receive_half.cpp */         \
    X(partial_frame_kept)          \
    X(any_identity_is_fin)         \
    X(piece_read_as_fin)           \
    X(octets_after_fin_read)       \
    X(first_frame_unchecked)       \
    X(oversize_delivered)          \
    X(declared_size_allocated)     \
    X(memory_kept_when_idle)       \
    X(read_ahead_lost)             \
    X(block_border_lost)           \
    X(last_piece_full_size)        \
    /* session.cpp */              \
    X(never_expires)               \
    X(expires_at_once)             \
    X(order_told_twice)            \
    X(server_ignores_fin)          \
    X(ends_before_peers_fin)       \
    X(lost_session_dropped)        \
    X(deadline_of_lost_kept)       \
    X(connect_deadline_kept)       \
    X(end_without_deadline)        \
    X(dismissed_sends_queue)

#define NQ_PLANTED_BUG(name) name,
enum class Bug : unsigned { NQ_PLANTED_BUG_LIST(NQ_PLANTED_BUG) };
#undef NQ_PLANTED_BUG

#ifdef NQ_PLANTED_BUGS
/// The simulation says which one is live.
[[nodiscard]] bool planted(Bug bug);
#else
consteval bool planted(Bug) { return false; }
#endif

}  // namespace nq::detail
