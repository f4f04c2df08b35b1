// SPDX-License-Identifier: Apache-2.0
#include "session/send_half.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "buffer/limits.hpp"
#include "session/planted.hpp"

namespace nq::detail {

SendHalf::SendHalf(const Uuid& self, const SendOptions& options, std::shared_ptr<BufferPool> pool)
    : identity_(encode_identity(self)), options_(options), pool_(std::move(pool)) {
    assert(options_.transport_size >= k_identity_size);
}

void SendHalf::put(Stream&& payload, const std::optional<Uuid>& target) {
    assert(!closing_);
    const std::size_t size = payload.size();
    frames_.emplace_back(std::move(payload), target);
    queued_bytes_ += size;
    if (target && peer_ && *target != *peer_) {
        refused_.push_back(accepted() - 1);
        withdraw(frames_.back());
        settle();
    }
    check();
}

bool SendHalf::cancel(std::uint64_t number) {
    if (number < taken_ || number >= accepted()) return false;
    const std::size_t index = number - taken_;
    if (index < next_.frame && !planted(Bug::cancel_of_staged_frame)) return false;
    if (index == next_.frame && next_.offset > 0) return false;
    if (frames_[index].withdrawn) return false;
    withdraw(frames_[index]);
    settle();
    check();
    return true;
}

void SendHalf::withdraw(Frame& frame) {
    queued_bytes_ -= frame.payload.size();
    frame.payload.clear();
    frame.withdrawn = true;
}

void SendHalf::close() { closing_ = true; }

void SendHalf::abandon() {
    closing_ = true;
    held_ = false;  // nothing is left to hold back
    const bool begun = next_.offset > 0 && !planted(Bug::abandon_cuts_frame);
    const std::size_t kept = next_.frame + (begun ? 1 : 0);
    while (frames_.size() > kept && !planted(Bug::abandon_sends_queue)) {
        queued_bytes_ -= frames_.back().payload.size();
        frames_.pop_back();
    }
    check();
}

void SendHalf::handle_connected(bool awaited) {
    assert(!connected_);
    held_ = awaited;
    connected_ = true;
    check();
}

void SendHalf::handle_lost(std::uint64_t unwritten) {
    if (planted(Bug::cut_frame_not_sent_again) && settled_ > 0 && sent_ > settled_) {
        sent_ += frames_.empty() ? 0 : frames_.front().wire_size();
        settle();
    }
    take_back(unwritten);
    connected_ = false;
    ini_staged_ = planted(Bug::ini_once_per_session);
    fin_ = Fin::none;
    if (!planted(Bug::cut_frame_resumed_midway)) next_ = Cursor{};
    staged_.clear();
    staged_bytes_ = copied_bytes_ = 0;
    sent_ = settled_ = 0;
    if (!planted(Bug::release_forgotten_by_loss)) released_octets_ = taken_octets_;
    settle();
    drop_block_if_idle();
    check();
}

// Frames that end in what was not written were not sent, whatever was taken.
void SendHalf::take_back(std::uint64_t unwritten) {
    const std::uint64_t written = taken_octets_ - std::min(unwritten, taken_octets_);
    while (!unreleased_.empty() && unreleased_.back().end > written) {
        queued_bytes_ += unreleased_.back().frame.payload.size();
        frames_.push_front(std::move(unreleased_.back().frame));
        unreleased_.pop_back();
        --taken_;
    }
}

void SendHalf::handle_identified(const Uuid& peer) {
    peer_ = peer;
    held_ = false;
    for (std::size_t i = next_.frame; i < frames_.size(); ++i) {
        Frame& frame = frames_[i];
        if (!frame.target || *frame.target == peer || frame.withdrawn) continue;
        if (planted(Bug::wrong_target_sent)) continue;
        refused_.push_back(taken_ + i);
        withdraw(frame);
    }
    settle();
    check();
}

void SendHalf::handle_taken(std::size_t n, std::size_t released) {
    assert(n <= staged_bytes_);
    staged_bytes_ -= n;
    sent_ += n;
    taken_octets_ += n;
    released_octets_ += released;
    assert(released_octets_ <= taken_octets_);

    std::size_t whole = 0;  // staged chunks wholly taken
    while (n > 0 && staged_[whole].size() <= n) n -= staged_[whole++].size();
    if (n > 0 && !planted(Bug::partial_take_forgotten)) staged_[whole].remove_prefix(n);
    staged_.erase(staged_.begin(), staged_.begin() + static_cast<std::ptrdiff_t>(whole));
    if (staged_.empty()) copied_bytes_ = 0;
    if (planted(Bug::block_reused_before_release) && staged_.empty()) block_used_ = 0;

    settle();
    if (released > 0) drop_block_if_idle();
    check();
}

// Passes the units that were wholly taken: ini, frames, fin.
void SendHalf::settle() {
    if (settled_ == 0 && sent_ >= k_identity_size) settled_ = k_identity_size;
    while (!frames_.empty()) {
        const std::size_t size = frames_.front().wire_size();
        // A withdrawn frame at the front passes at once, connected or not.
        if (size > 0 && (settled_ == 0 || sent_ - settled_ < size)) break;
        if (planted(Bug::taken_frame_sent_again) && sent_ - settled_ == size) break;
        settled_ += size;
        queued_bytes_ -= frames_.front().payload.size();
        ++taken_;
        const std::uint64_t end = taken_octets_ - (sent_ - settled_);
        if (unreleased_.empty() && end <= released_octets_) {
            ++released_;
        } else {
            unreleased_.push_back({std::move(frames_.front()), end});
        }
        frames_.pop_front();
        if (next_.frame > 0) --next_.frame;
    }
    if (fin_ == Fin::staged && frames_.empty() && sent_ - settled_ == k_identity_size) {
        settled_ = sent_;
        fin_ = Fin::taken;
    }
    settle_released();
}

void SendHalf::handle_released(std::size_t n) {
    released_octets_ += n;
    assert(released_octets_ <= taken_octets_);
    settle_released();
    drop_block_if_idle();
    check();
}

void SendHalf::settle_released() {
    const std::uint64_t free = planted(Bug::released_when_taken) ? taken_octets_ : released_octets_;
    while (!unreleased_.empty() && unreleased_.front().end <= free) {
        unreleased_.pop_front();
        ++released_;
    }
    unreleased_.trim();
}

// Octets that may still be staged. One copy of up to a block may cross from one block into the
// next, and then takes two chunks.
std::size_t SendHalf::room() const {
    const bool full = staged_.size() + 2 > limits::k_transmit_chunks;
    if (full && !planted(Bug::chunks_unbounded)) return 0;
    if (copied_bytes_ >= limits::k_staged_copy_max) return 0;
    const std::size_t staged = planted(Bug::transport_size_exceeded) ? 0 : staged_bytes_;
    return options_.transport_size - std::min(staged, options_.transport_size);
}

std::span<const Chunk> SendHalf::poll_transmit() {
    if (connected_) stage();
    if (staged_.empty()) drop_block_if_idle();
    check();
    return staged_;
}

void SendHalf::stage() {
    if (!ini_staged_) {
        ini_staged_ = true;
        stage_copy(identity_);
    }
    if (held_) return;
    const bool skip_queue = planted(Bug::fin_before_queue) && closing_;
    while (next_.frame < frames_.size() && room() > 0 && !skip_queue) {
        if (!stage_frame()) return;
        stage_small_frames();
    }
    const bool queue_staged = next_.frame == frames_.size() || skip_queue;
    if (closing_ && fin_ == Fin::none && queue_staged && room() >= k_identity_size) {
        fin_ = Fin::staged;
        stage_copy(identity_);
    }
}

// Stages what there is room for of the frame at the cursor; false if it must wait.
bool SendHalf::stage_frame() {
    const Frame& frame = frames_[next_.frame];
    const bool stranger = !peer_ && !planted(Bug::target_not_awaited);
    if (frame.target && !frame.withdrawn && stranger) return false;
    const std::size_t size = frame.wire_size();
    if (next_.offset < std::min(size, k_header_size)) {
        const Header header = encode_header(frame.payload.size());
        const std::size_t n = std::min(k_header_size - next_.offset, room());
        const bool again = planted(Bug::split_header_begins_again);
        stage_copy(std::span(header).subspan(again ? 0 : next_.offset, n));
        next_.offset += n;
    }
    while (next_.offset < size && room() > 0) {
        const Chunk& chunk = frame.payload.chunk(next_.chunk);
        const bool copied = options_.merge && chunk.size() < options_.efficient_size;
        const std::size_t most = copied ? std::min(room(), limits::k_block_size) : room();
        const std::size_t n = std::min(chunk.size() - next_.chunk_offset, most);
        if (copied) {
            stage_copy(chunk.octets().subspan(next_.chunk_offset, n));
        } else {
            append(chunk.slice(next_.chunk_offset, n));
        }
        next_.offset += n;
        next_.chunk_offset += n;
        if (next_.chunk_offset == chunk.size()) ++next_.chunk, next_.chunk_offset = 0;
    }
    if (next_.offset == size) next_ = Cursor{.frame = next_.frame + 1};
    return true;
}

// Frames that can be copied whole behind the last one: the way of nearly all small messages, in one
// go. What comes then, if anything, takes the long way.
void SendHalf::stage_small_frames() {
    if (next_.offset != 0 || !options_.merge || !block_is_open()) return;
    std::byte* target = block_.get() + block_used_;
    const std::size_t most = std::min(room(), block_size_ - block_used_);
    std::size_t left = most;
    while (next_.frame < frames_.size()) {
        const Frame& frame = frames_[next_.frame];
        const std::size_t size = frame.payload.size();
        if (frame.withdrawn || frame.target || frame.payload.chunk_count() != 1 ||
            size >= options_.efficient_size || k_header_size + size > left) {
            break;
        }
        const Header header = encode_header(size);
        std::memcpy(target, header.data(), header.size());
        std::memcpy(target + header.size(), frame.payload.chunk(0).data(), size);
        target += k_header_size + size;
        left -= k_header_size + size;
        ++next_.frame;
    }
    extend_block(most - left);
}

// Do the octets staged last lie in the block, up to where it is used?
bool SendHalf::block_is_open() const {
    return !staged_.empty() && staged_.back().owner() == block_ &&
           staged_.back().data() + staged_.back().size() == block_.get() + block_used_;
}

// So many octets were copied behind those staged last.
void SendHalf::extend_block(std::size_t n) {
    staged_.back().extend(n);
    staged_bytes_ += n;
    copied_bytes_ += n;
    block_used_ += n;
}

// Stages a copy, behind the last one where that is possible.
void SendHalf::stage_copy(std::span<const std::byte> octets) {
    while (!octets.empty()) {
        if (block_used_ == block_size_) {
            Buffer buffer = pool_->acquire(limits::k_block_size);
            block_size_ = buffer.capacity();
            block_used_ = 0;
            block_ = std::move(buffer).share();
        }
        const std::size_t n = std::min(octets.size(), block_size_ - block_used_);
        std::byte* const target = block_.get() + block_used_;
        std::memcpy(target, octets.data(), n);
        octets = octets.subspan(n);
        if (block_is_open()) {
            extend_block(n);
        } else {
            append(Chunk(Chunk::Octets(target, n), block_));
            copied_bytes_ += n;
            block_used_ += n;
        }
    }
}

void SendHalf::append(Chunk chunk) {
    staged_bytes_ += chunk.size();
    staged_.push_back(std::move(chunk));
}

// An idle session holds no block; a busy one starts the block again once nobody looks at it.
void SendHalf::drop_block_if_idle() {
    if (!staged_.empty() || released_octets_ != taken_octets_) return;
    block_.reset();
    block_size_ = block_used_ = 0;
}

void SendHalf::check() const {
    assert(released_ <= taken_ && taken_ <= accepted());
    assert(released_octets_ <= taken_octets_);
    assert(settled_ <= sent_);
    assert(next_.frame <= frames_.size());
    assert(staged_.empty() == (staged_bytes_ == 0));
    assert(released_ + unreleased_.size() == taken_);
}

}  // namespace nq::detail
