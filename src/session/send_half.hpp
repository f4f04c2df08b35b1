// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "buffer/pool.hpp"
#include "buffer/ring.hpp"
#include "session/frame.hpp"
#include "session/send_frame.hpp"
#include "session/send_run.hpp"

namespace nq::detail {

struct SendOptions {
    bool merge = true;                      ///< ConnectionOptions::put_merge
    std::size_t efficient_size = 64 << 10;  ///< octets; chunks at least this long are not copied
    std::size_t transport_size = 4 << 20;   ///< octets offered at once, at most; at least 24
};

/// What one side sends in one session, as octets: ini, messages, fin (WIRE.md, Framing and
/// Session). Outlives connections: a frame cut off by the loss of one is sent again whole on the
/// next, and so are those that the transport took but says it never wrote; other frames wholly
/// taken count as sent.
///
/// A small message is copied into a block as it is put, behind those before it, if nothing waits in
/// between: a run of them is one entry of the queue. It is cut apart where that matters: what of it
/// was taken, released, or lost; and when one of it is cancelled.
///
/// Messages are counted from 0 in the order of `put`. Invariants:
/// released() <= taken() <= staged frames <= accepted(); octets released <= taken <= offered.
/// Pure: no socket, thread, clock or randomness. Thread safety: none; belongs to the holder of the
/// session's send baton.
class SendHalf {
  public:
    SendHalf(const Uuid& self, const SendOptions& options, std::shared_ptr<BufferPool> pool);

    // Commands.
    /// Queues a message; its number is accepted() before the call. With `target`, it is sent only
    /// once the peer is known to be that one, and refused (see poll_refused) if it is not.
    /// A message that was copied is left as it is, for the caller to drop. REQUIRES: !closing().
    void put(Stream&& payload, const std::optional<Uuid>& target = std::nullopt) {
        assert(!closing_);
        if (!target && run_.has_room_for(payload) && payload.size() < copied_below_) {
            run_.add(payload);
        } else {
            put_otherwise(std::move(payload), target);
        }
    }
    /// Takes message `number` out of the queue if no octet of it was offered yet. Its number counts
    /// as sent and released in its turn.
    [[nodiscard]] bool cancel(std::uint64_t number);
    /// Fin after everything queued. Further calls change nothing.
    void close();
    /// Forgets the messages of which no octet was offered: they will never be released. What is
    /// left is the rest of a frame that was begun, and fin.
    void abandon();

    // What happened.
    /// A connection carries the session from now on: ini first, then the cut frame again; if the
    /// peer is `awaited`, that not before handle_identified.
    void handle_connected(bool awaited = false);
    /// The connection is gone, and with it the octets offered but not taken, and of those taken the
    /// last `unwritten`. The transport holds no memory of the session any more.
    void handle_lost(std::uint64_t unwritten = 0);
    /// The peer's ini came.
    void handle_identified(const Uuid& peer);
    /// The transport took the first n octets offered, and the memory of the next `released` octets
    /// taken is free. REQUIRES: n <= octets offered, and as handle_released.
    void handle_taken(std::size_t n, std::size_t released = 0);
    /// The memory of the next n octets taken is free. REQUIRES: released + n <= taken.
    void handle_released(std::size_t n);
    /// Nothing was put for a while: memory that holds nothing is given back.
    void handle_idle() {
        queue_.trim();
        outgoing_.trim();
    }

    // What next.
    /// The next octets to send, at most transport_size in at most k_transmit_chunks pieces; later
    /// the same, less what was taken, and maybe more. Empty: nothing to send now. Valid until any
    /// other call.
    [[nodiscard]] std::span<const Chunk> poll_transmit();
    /// A message that will not be sent, since its target is not the peer.
    [[nodiscard]] std::optional<std::uint64_t> poll_refused() {
        if (refused_.empty()) return std::nullopt;
        const std::uint64_t number = refused_.front();
        refused_.pop_front();
        return number;
    }

    [[nodiscard]] bool has_refused() const { return !refused_.empty(); }

    // Queries.
    [[nodiscard]] std::uint64_t accepted() const { return accepted_ + run_.messages(); }
    /// Messages of which the transport took every octet.
    [[nodiscard]] std::uint64_t taken() const { return taken_; }
    /// Messages whose memory is free: futures of lower numbers are done.
    [[nodiscard]] std::uint64_t released() const { return released_; }
    /// Payload octets of the messages not wholly taken.
    [[nodiscard]] std::uint64_t queued_bytes() const { return queued_bytes_ + run_.payload_size(); }
    /// Octets taken whose memory is not free yet.
    [[nodiscard]] std::size_t unreleased_octets() const {
        return static_cast<std::size_t>(taken_octets_ - released_octets_);
    }
    /// Memory is kept for messages to come: handle_idle will be due.
    [[nodiscard]] bool holds_memory() const { return queue_.trimmable() || outgoing_.trimmable(); }
    [[nodiscard]] bool closing() const { return closing_; }
    /// The transport took our fin: nothing more will be sent on this connection.
    [[nodiscard]] bool fin_taken() const { return fin_ == Fin::taken; }

  private:
    enum class Fin { none, staged, taken };
    /// The next octet to stage of a frame that is staged in part: an offset into its wire form, and
    /// where that is in its payload.
    struct Cursor {
        std::size_t offset = 0;  ///< header included
        std::size_t chunk = 0;
        std::size_t chunk_offset = 0;
    };

    void put_otherwise(Stream&& payload, const std::optional<Uuid>& target);
    [[nodiscard]] bool copy(const Stream& payload);
    void close_run();
    void stage();
    void stage_copies();
    void stage_run();
    [[nodiscard]] bool stage_frame();
    void stage_copy(std::span<const std::byte> octets);
    void stage_from_block(std::size_t n);
    void renew_block();
    void append(Chunk chunk);
    void unstage(std::size_t n);
    [[nodiscard]] bool midway() const { return next_.offset > 0; }
    [[nodiscard]] std::size_t room() const;
    void withdraw(SendFrame& frame);
    void settle();
    void pass(SendFrame&& frame);
    void settle_released();
    void take_back(std::uint64_t unwritten);
    void take_back_unoffered();
    void requeue(SendFrame&& frame);
    void unpack_queue();
    void drop_block_if_idle();
    void check() const;

    // Constant after construction.
    const IdentityFrame identity_;
    const SendOptions options_;
    const std::size_t copied_below_;  ///< octets; messages at least this long are not
    const std::shared_ptr<BufferPool> pool_;

    // The messages of which nothing is staged, behind those staged and not wholly taken. The first
    // of all is number taken_.
    Ring<SendFrame> queue_;
    bool packed_ = false;  ///< there may be runs in it: of a lost connection, or taken back
    Ring<SendFrame> outgoing_;
    std::uint64_t accepted_ = 0;  ///< without those in run_
    std::uint64_t taken_ = 0;
    std::uint64_t released_ = 0;
    std::uint64_t queued_bytes_ = 0;  ///< as accepted_
    bool closing_ = false;
    std::optional<Uuid> peer_;
    bool held_ = false;  ///< nothing but the ini goes out
    std::deque<std::uint64_t> refused_;

    // This connection: what is staged, how many octets were taken, and up to where they were whole
    // units (ini, frames, fin): settled_ <= sent_ <= octets staged so far.
    bool connected_ = false;
    bool ini_staged_ = false;
    Fin fin_ = Fin::none;
    Cursor next_;  ///< in the last outgoing frame
    std::vector<Chunk> staged_;
    std::size_t staged_bytes_ = 0;
    std::size_t offered_bytes_ = 0;  ///< of those; the others are runs
    std::size_t copied_bytes_ = 0;   ///< of the staged octets, those in blocks of ours
    std::uint64_t sent_ = 0;
    std::uint64_t settled_ = 0;

    // Release: octets since the beginning of the session, and where each message ends in them.
    struct Unreleased {
        SendFrame frame;
        std::uint64_t end = 0;
        [[nodiscard]] std::uint64_t begin() const { return end - frame.wire_size(); }
    };
    std::uint64_t taken_octets_ = 0;
    std::uint64_t released_octets_ = 0;
    Ring<Unreleased> unreleased_;

    // The block that small octets are copied into, and behind what is used of it the messages that
    // were copied and not staged yet: then none is queued, or staged in part.
    std::shared_ptr<std::byte> block_;
    std::size_t block_size_ = 0;
    std::size_t block_used_ = 0;
    SendRun run_;
};

}  // namespace nq::detail
