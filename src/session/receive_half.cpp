// SPDX-License-Identifier: Apache-2.0
#include "session/receive_half.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "buffer/limits.hpp"
#include "session/frame.hpp"
#include "session/planted.hpp"

namespace nq::detail {

ReceiveHalf::ReceiveHalf(const ReceiveOptions& options, std::shared_ptr<BufferPool> pool)
    : options_(options), pool_(std::move(pool)) {
    assert(options_.message_size >= Uuid::k_size);
}

void ReceiveHalf::handle_connected(std::optional<Uuid> peer) {
    state_ = State::header;
    peer_ = peer;
}

void ReceiveHalf::handle_lost() {
    if (!planted(Bug::partial_frame_kept)) drop_block();
    resting_ = RestingBlock{};
    large_ = Buffer();
    large_filled_ = 0;
    chunks_.clear();
    frame_left_ = piece_size_ = 0;
    if (state_ != State::broken) state_ = State::finished;
    check();
}

void ReceiveHalf::handle_received(std::size_t n) {
    if (large_) {
        const std::size_t part = std::min(n, targets_[0].size());
        large_filled_ += part;
        n = planted(Bug::read_ahead_lost) ? 0 : n - part;
    }
    filled_ += n;
    check();
}

std::span<const ReceiveHalf::Target> ReceiveHalf::targets() {
    if (large_) {
        if (large_filled_ == large_.capacity()) grow_large();
        const std::uint64_t end =
            std::min<std::uint64_t>({large_.ready(static_cast<std::size_t>(large_filled_)),
                                     piece_size_, large_filled_ + limits::k_turn_bytes});
        targets_[0] = {large_.data() + large_filled_,
                       static_cast<std::size_t>(end - large_filled_)};
        if (end < piece_size_) return std::span(targets_).first(1);
        // The octets after the piece are looked for in the same call, but only a few: what is
        // read here of another large message has to be copied into its buffer.
        if (capacity_ - filled_ < limits::k_read_ahead) renew_block(limits::k_read_ahead);
        targets_[1] = {block_.get() + filled_, std::min(capacity_ - filled_, limits::k_read_ahead)};
        return targets_;
    }
    if (state_ == State::finished || state_ == State::broken) parsed_ = filled_;
    // A frame that was begun in the block is whole only if it fits behind its beginning.
    const std::size_t wanted =
        state_ == State::payload && options_.merge ? static_cast<std::size_t>(piece_size_) : 0;
    const std::size_t least = std::max(wanted, available() + limits::k_read_ahead);
    if (capacity_ - parsed_ < least) renew_block(least);
    // Behind a large message there is often another, and what comes of it here has to be copied.
    const bool little = after_large_ && state_ == State::header && available() == 0;
    const std::size_t most = little ? limits::k_read_ahead : limits::k_block_size;
    targets_[0] = {block_.get() + filled_, std::min(capacity_ - filled_, most)};
    return std::span(targets_).first(1);
}

void ReceiveHalf::handle_idle() {
    if (planted(Bug::memory_kept_when_idle) || !block_) return;
    if (capacity_ == limits::k_block_size) resting_ = RestingBlock{block_, parsed_};
    if (available() == 0) {
        drop_block();
    } else if (capacity_ > limits::k_slice_size_max) {
        move_to(pool_->acquire(available()));
    }
}

std::optional<ReceiveEvent> ReceiveHalf::poll_event() {
    std::optional<ReceiveEvent> event;
    bool progress = true;
    while (!event && progress) {
        const State before = state_;
        switch (state_) {
            case State::header: event = parse_header(); break;
            case State::payload: event = parse_payload(); break;
            case State::discard: event = parse_discard(); break;
            case State::finished:
            case State::broken: parsed_ = filled_; break;
        }
        progress = state_ != before;
    }
    check();
    return event;
}

void ReceiveHalf::poll_messages(Batch& messages, std::uint64_t messages_max,
                                std::uint64_t octets_max) {
    if (state_ != State::header || !peer_) return;
    const std::uint64_t size_max = std::min(options_.message_size, options_.frame_size);
    for (std::uint64_t octets = 0;
         messages_max > 0 && octets < octets_max && available() >= k_header_size; --messages_max) {
        const std::uint64_t size = decode_header({unparsed(), k_header_size});
        if (size > size_max || size > available() - k_header_size) break;
        if (size == Uuid::k_size && is_fin(unparsed() + k_header_size)) break;
        const auto n = static_cast<std::size_t>(size);
        messages.push(Chunk::Octets(unparsed() + k_header_size, n), block_);
        parsed_ += k_header_size + n;
        octets += size;
        after_large_ = false;
    }
    check();
}

std::optional<ReceiveEvent> ReceiveHalf::parse_header() {
    if (available() < k_header_size) return std::nullopt;
    const std::uint64_t size = decode_header({unparsed(), k_header_size});
    if (!peer_ && size != Uuid::k_size && !planted(Bug::first_frame_unchecked)) {
        return fail("a connection begins with a frame of 16 octets, not of " +
                    std::to_string(size));
    }
    if (size > options_.frame_size) {
        return fail("a frame of " + std::to_string(size) + " octets can't be meant");
    }
    if (size == Uuid::k_size) {
        // Ini, fin, or a message: it takes all 16 octets to tell.
        if (available() < k_identity_size) return std::nullopt;
        if (auto event = parse_identity()) return event;
    }
    parsed_ += k_header_size;
    frame_left_ = size;
    const bool refuse = options_.on_oversize == OnOversize::refuse;
    if (size > options_.message_size && refuse && !planted(Bug::oversize_delivered)) {
        piece_size_ = size;
        state_ = State::discard;
        return Oversized{size};
    }
    begin_piece();
    return std::nullopt;
}

std::optional<ReceiveEvent> ReceiveHalf::parse_identity() {
    if (!peer_) {
        const Uuid uuid = Uuid::from_octets({unparsed() + k_header_size, Uuid::k_size});
        parsed_ += k_identity_size;
        peer_ = uuid;
        return Identified{uuid};
    }
    if (!is_fin(unparsed() + k_header_size)) return std::nullopt;
    parsed_ = planted(Bug::octets_after_fin_read) ? parsed_ + k_identity_size : filled_;
    state_ = planted(Bug::octets_after_fin_read) ? State::header : State::finished;
    return Finished{};
}

// Are these 16 octets, a frame's payload, the peer's own? REQUIRES: peer_.
bool ReceiveHalf::is_fin(const std::byte* identity) const {
    return Uuid::from_octets({identity, Uuid::k_size}) == *peer_ ||
           planted(Bug::any_identity_is_fin);
}

// The next message_size octets of the frame, or what is left of it.
void ReceiveHalf::begin_piece() {
    piece_size_ = std::min(frame_left_, options_.message_size);
    if (planted(Bug::last_piece_full_size)) piece_size_ = options_.message_size;
    frame_left_ -= piece_size_;
    state_ = State::payload;
}

Received ReceiveHalf::end_piece(Stream message) {
    piece_size_ = 0;
    if (frame_left_ > 0) {
        begin_piece();
    } else {
        state_ = State::header;
    }
    return Received{std::move(message)};
}

std::optional<ReceiveEvent> ReceiveHalf::parse_payload() {
    if (!options_.merge) {
        const std::size_t n = static_cast<std::size_t>(
            std::min<std::uint64_t>(available(), piece_size_ - chunks_.size()));
        chunks_.update(take_slice(n));
        if (chunks_.size() < piece_size_) return std::nullopt;
        return end_piece(std::exchange(chunks_, Stream()));
    }
    if (large_) {
        if (large_filled_ < piece_size_) return std::nullopt;
        std::shared_ptr<std::byte> owner = std::move(large_).share();
        large_filled_ = 0;
        after_large_ = true;
        const Chunk::Octets octets(owner.get(), static_cast<std::size_t>(piece_size_));
        return end_piece(Stream(Chunk(octets, std::move(owner))));
    }
    if (planted(Bug::piece_read_as_fin) && piece_size_ == Uuid::k_size &&
        available() >= piece_size_ && peer_ == Uuid::from_octets({unparsed(), Uuid::k_size})) {
        state_ = State::finished;
        return Finished{};
    }
    if (available() >= piece_size_) return end_piece(take_slice(piece_size_));
    if (piece_size_ <= limits::k_slice_size_max) return std::nullopt;

    // Too long for the block: what is here of it moves to a buffer of its own, the rest of it will
    // land there.
    const bool trusting = planted(Bug::declared_size_allocated);
    large_ = pool_->acquire(static_cast<std::size_t>(
        trusting ? piece_size_ : std::min<std::uint64_t>(piece_size_, limits::k_trusted_size)));
    large_filled_ = available();
    if (large_filled_ > 0) std::memcpy(large_.data(), unparsed(), available());
    parsed_ = filled_;
    return std::nullopt;
}

std::optional<ReceiveEvent> ReceiveHalf::parse_discard() {
    const std::uint64_t n = std::min<std::uint64_t>(available(), piece_size_);
    parsed_ += static_cast<std::size_t>(n);
    piece_size_ -= n;
    if (piece_size_ == 0) state_ = State::header;
    return std::nullopt;
}

std::optional<ReceiveEvent> ReceiveHalf::fail(std::string text) {
    state_ = State::broken;
    parsed_ = filled_;
    return Violation{std::move(text)};
}

// The next n octets of the block, shared with it.
Stream ReceiveHalf::take_slice(std::size_t n) {
    const Chunk::Octets octets(unparsed(), n);
    parsed_ += n;
    after_large_ = false;
    return n == 0 ? Stream() : Stream(Chunk(octets, block_));
}

// Doubling, so that a peer must send half of what it makes us hold; realloc moves large blocks
// without copying.
void ReceiveHalf::grow_large() {
    const std::uint64_t doubled = std::uint64_t{large_.capacity()} * 2;
    large_.grow(static_cast<std::size_t>(std::min(piece_size_, doubled)),
                static_cast<std::size_t>(piece_size_));
}

// Room for `least` octets from the first one not looked at yet on: the block given up when idle, if
// messages keep it alive anyway, or another.
void ReceiveHalf::renew_block(std::size_t least) {
    const RestingBlock resting = std::exchange(resting_, RestingBlock{});
    std::shared_ptr<std::byte> block = resting.block.lock();
    if (!block || limits::k_block_size - resting.used < least) {
        return move_to(pool_->acquire(limits::k_block_size));
    }
    // Messages were sliced from its front only; from `used` on nobody reads it.
    if (available() > 0) std::memmove(block.get() + resting.used, unparsed(), available());
    filled_ = resting.used + available();
    parsed_ = resting.used;
    capacity_ = limits::k_block_size;
    block_ = std::move(block);
}

// Another block, with the octets not looked at yet at its beginning. The old one belongs to the
// messages sliced from it.
void ReceiveHalf::move_to(Buffer fresh) {
    const std::size_t n = planted(Bug::block_border_lost) ? 0 : available();
    if (n > 0) std::memcpy(fresh.data(), unparsed(), n);
    filled_ = available();
    parsed_ = 0;
    capacity_ = fresh.capacity();
    block_ = std::move(fresh).share();
}

void ReceiveHalf::drop_block() {
    block_.reset();
    capacity_ = parsed_ = filled_ = 0;
}

std::uint64_t ReceiveHalf::held_bytes() const {
    return available() + large_filled_ + chunks_.size();
}

std::uint64_t ReceiveHalf::held_memory() const {
    return capacity_ + large_.capacity() + chunks_.size();
}

void ReceiveHalf::check() const {
    assert(parsed_ <= filled_ && filled_ <= capacity_);
    assert(large_filled_ <= large_.capacity());
    assert(large_filled_ <= piece_size_ || !large_);
    assert(chunks_.size() <= piece_size_);
}

}  // namespace nq::detail
