// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include <net_queue/options.hpp>
#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "buffer/batch.hpp"
#include "buffer/pool.hpp"

namespace nq::detail {

struct ReceiveOptions {
    bool merge = true;                                    ///< ConnectionOptions::get_merge
    std::uint64_t message_size = std::uint64_t{1} << 40;  ///< octets, at least 16
    OnOversize on_oversize = OnOversize::split;
    /// Octets. A longer frame can't be meant: a size read from the middle of something.
    std::uint64_t frame_size = std::numeric_limits<std::uint64_t>::max();
};

/// The peer's ini: who it is. Once per connection whose peer was not known before.
struct Identified {
    Uuid peer;
};
/// A message, or a piece of one longer than message_size.
struct Received {
    Stream message;
};
/// A message longer than message_size, not held (OnOversize::refuse).
struct Oversized {
    std::uint64_t size;
};
/// The peer's fin. What follows it is ignored.
struct Finished {};
/// Octets the protocol does not allow: the connection is of no use any more.
struct Violation {
    std::string text;
};
using ReceiveEvent = std::variant<Identified, Received, Oversized, Finished, Violation>;

/// What one side receives in one session: octets in, events out (WIRE.md, Framing).
///
/// Octets land in memory that this class offers: small messages in a shared block of which they
/// become slices, a large one in a buffer of its own, straight from the socket. Octets are looked
/// at only when polled, one event or a bounded run of messages at a time, so a caller that stops
/// polling stops the flow.
/// Between two reads nothing is held but a frame that is not whole yet.
///
/// Invariants: parsed <= filled <= capacity of the block; filled <= capacity of the large buffer
/// <= octets that came of it, at least doubled, or k_trusted_size, or a block that the pool kept.
/// Pure: no socket, thread, clock or randomness. Thread safety: none; belongs to the holder of the
/// session's receive baton.
class ReceiveHalf {
  public:
    using Target = std::span<std::byte>;

    ReceiveHalf(const ReceiveOptions& options, std::shared_ptr<BufferPool> pool);

    // What happened.
    /// A connection carries the session from now on. With `peer`, its ini was read by somebody
    /// else; otherwise it is the first frame.
    void handle_connected(std::optional<Uuid> peer);
    /// The connection is gone: a frame that is not whole is dropped, and so is one that was not
    /// polled yet. Poll first: what the peer sees as sent should not be lost here.
    void handle_lost();
    /// The first n octets of the memory offered by targets() were written. REQUIRES: n <= offered.
    void handle_received(std::size_t n);
    /// No octets come for now: memory that holds nothing is given back.
    void handle_idle();

    // What next.
    /// Where the next octets should land, in order; never all empty. Valid until any other call.
    /// REQUIRES: poll_event() returned nothing since the last handle_received.
    [[nodiscard]] std::span<const Target> targets();
    /// The next thing that the octets so far mean; nothing: more are needed.
    [[nodiscard]] std::optional<ReceiveEvent> poll_event();
    /// The way of nearly all small messages, in one go: appends to `messages` what poll_event would
    /// return one by one, until it is anything but a message that lies whole in the block, or there
    /// are so many of them or so many octets in them.
    void poll_messages(Batch& messages, std::uint64_t messages_max, std::uint64_t octets_max);

    // Queries.
    /// Have octets of a message come that has a buffer of its own, and not all of them?
    [[nodiscard]] bool midway_in_large() const { return static_cast<bool>(large_); }
    /// Octets held of a frame that is not whole yet, and those not looked at yet.
    [[nodiscard]] std::uint64_t held_bytes() const;
    /// Memory held, in octets.
    [[nodiscard]] std::uint64_t held_memory() const;

  private:
    enum class State {
        header,    ///< the next octets are a size
        payload,   ///< of a message, or a piece of one
        discard,   ///< of a message that is refused
        finished,  ///< fin came: octets are ignored
        broken,    ///< a violation was reported: octets are ignored
    };

    [[nodiscard]] std::size_t available() const { return filled_ - parsed_; }
    [[nodiscard]] const std::byte* unparsed() const { return block_.get() + parsed_; }
    [[nodiscard]] bool is_fin(const std::byte* identity) const;
    std::optional<ReceiveEvent> parse_header();
    std::optional<ReceiveEvent> parse_identity();
    std::optional<ReceiveEvent> parse_payload();
    std::optional<ReceiveEvent> parse_discard();
    std::optional<ReceiveEvent> fail(std::string text);
    void begin_piece();
    Received end_piece(Stream message);
    Stream take_slice(std::size_t n);
    void grow_large();
    void renew_block(std::size_t least);
    void move_to(Buffer fresh);
    void drop_block();
    void check() const;

    // Constant after construction.
    const ReceiveOptions options_;
    const std::shared_ptr<BufferPool> pool_;

    State state_ = State::header;
    std::optional<Uuid> peer_;
    std::uint64_t frame_left_ = 0;  ///< octets of the frame's payload beyond the current piece
    std::uint64_t piece_size_ = 0;  ///< octets of the piece being received

    // The shared block: octets [parsed_, filled_) came and were not looked at.
    std::shared_ptr<std::byte> block_;
    std::size_t capacity_ = 0;
    std::size_t parsed_ = 0;
    std::size_t filled_ = 0;

    // The block given up when idle, and how much of it is used. As long as messages keep it alive,
    // the next ones share it: else many small unread messages would pin a block each.
    struct RestingBlock {
        std::weak_ptr<std::byte> block;
        std::size_t used = 0;
    };
    RestingBlock resting_;

    // The piece being received, where it does not fit the block: contiguous, or as chunks.
    Buffer large_;
    std::uint64_t large_filled_ = 0;
    bool after_large_ = false;  ///< the last message was one of these
    Stream chunks_;

    std::array<Target, 2> targets_;
};

}  // namespace nq::detail
