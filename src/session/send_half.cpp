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
    : identity_(encode_identity(self)),
      options_(options),
      copied_below_(options.merge ? options.efficient_size : 0),
      pool_(std::move(pool)) {
    assert(options_.transport_size >= k_identity_size);
}

void SendHalf::put_otherwise(Stream&& payload, const std::optional<Uuid>& target) {
    const bool next = ini_staged_ && connected_ && !held_ && queue_.empty() && !midway();
    if (next && !target && copy(payload)) return check();
    close_run();
    const std::size_t size = payload.size();
    queue_.emplace_back(std::move(payload), target);
    ++accepted_;
    queued_bytes_ += size;
    if (target && peer_ && *target != *peer_) {
        refused_.push_back(accepted_ - 1);
        withdraw(queue_.back());
        settle();
    }
    check();
}

bool SendHalf::cancel(std::uint64_t number) {
    if (number < taken_ || number >= accepted()) return false;
    const std::uint64_t place = accepted() - number;  // 1: the last one
    if (place > queue_.size()) take_back_unoffered();
    unpack_queue();
    if (place > queue_.size()) return false;
    SendFrame& frame = queue_[queue_.size() - static_cast<std::size_t>(place)];
    if (frame.withdrawn()) return false;
    withdraw(frame);
    settle();
    check();
    return true;
}

void SendHalf::withdraw(SendFrame& frame) {
    queued_bytes_ -= frame.payload_size();
    frame.withdraw();
}

void SendHalf::close() { closing_ = true; }

void SendHalf::abandon() {
    take_back_unoffered();
    closing_ = true;
    held_ = false;  // nothing is left to hold back
    if (midway() && planted(Bug::abandon_cuts_frame)) {
        queued_bytes_ -= outgoing_.back().payload_size();
        --accepted_;
        outgoing_.pop_back();
        next_ = Cursor{};
    }
    while (!queue_.empty() && !planted(Bug::abandon_sends_queue)) {
        queued_bytes_ -= queue_.back().payload_size();
        accepted_ -= queue_.back().messages();
        queue_.pop_back();
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
        sent_ += outgoing_.empty() ? 0 : outgoing_.front().wire_size();
        settle();
    }
    take_back_unoffered();
    for (; !outgoing_.empty(); outgoing_.pop_back()) requeue(std::move(outgoing_.back()));
    if (planted(Bug::cut_frame_resumed_midway) && next_.offset > k_header_size) {
        Stream rest = queue_.front().octets();
        (void)rest.skip(next_.offset - k_header_size);
        queue_.front() = SendFrame(std::move(rest), queue_.front().target());
    }
    take_back(unwritten);
    connected_ = false;
    ini_staged_ = planted(Bug::ini_once_per_session);
    fin_ = Fin::none;
    next_ = Cursor{};
    staged_.clear();
    staged_bytes_ = offered_bytes_ = copied_bytes_ = 0;
    sent_ = settled_ = 0;
    if (!planted(Bug::release_forgotten_by_loss)) released_octets_ = taken_octets_;
    settle();
    drop_block_if_idle();
    check();
}

// Messages that end in what was not written were not sent, whatever was taken.
void SendHalf::take_back(std::uint64_t unwritten) {
    const std::uint64_t written = taken_octets_ - std::min(unwritten, taken_octets_);
    while (!unreleased_.empty() && unreleased_.back().end > written) {
        Unreleased last = std::move(unreleased_.back());
        unreleased_.pop_back();
        if (last.begin() < written) {
            const std::uint64_t begin = last.begin();
            if (auto whole = last.frame.cut_front(static_cast<std::size_t>(written - begin))) {
                const std::uint64_t end = begin + whole->wire_size();
                unreleased_.push_back({*std::move(whole), end});
            }
        }
        queued_bytes_ += last.frame.payload_size();
        taken_ -= last.frame.messages();
        requeue(std::move(last.frame));
    }
}

// The runs that were not offered yet are queued again.
void SendHalf::take_back_unoffered() {
    close_run();
    if (planted(Bug::cancel_of_staged_frame) && !midway() && !outgoing_.empty() &&
        outgoing_.back().wire_size() <= staged_bytes_) {
        offered_bytes_ = std::min(offered_bytes_, staged_bytes_ - outgoing_.back().wire_size());
    }
    while (staged_bytes_ > offered_bytes_) {
        const std::size_t size = outgoing_.back().wire_size();
        requeue(std::move(outgoing_.back()));
        outgoing_.pop_back();
        unstage(size);
    }
}

// To the front.
void SendHalf::requeue(SendFrame&& frame) {
    packed_ = packed_ || frame.is_run();
    queue_.emplace_front(std::move(frame));
}

// What runs there are in the queue fall into their messages.
void SendHalf::unpack_queue() {
    if (!std::exchange(packed_, false)) return;
    for (std::size_t left = queue_.size(); left > 0; --left) {
        SendFrame frame = std::move(queue_.front());
        queue_.pop_front();
        if (!frame.is_run()) {
            queue_.emplace_back(std::move(frame));
            continue;
        }
        for (SendFrame& message : frame.unpack()) queue_.emplace_back(std::move(message));
    }
}

void SendHalf::handle_identified(const Uuid& peer) {
    peer_ = peer;
    held_ = false;
    std::uint64_t number = accepted();
    for (std::size_t i = queue_.size(); i-- > 0;) number -= queue_[i].messages();
    for (std::size_t i = 0; i < queue_.size(); number += queue_[i++].messages()) {
        SendFrame& frame = queue_[i];
        if (!frame.target() || *frame.target() == peer || frame.withdrawn()) continue;
        if (planted(Bug::wrong_target_sent)) continue;
        refused_.push_back(number);
        withdraw(frame);
    }
    settle();
    check();
}

void SendHalf::handle_taken(std::size_t n, std::size_t released) {
    assert(n <= offered_bytes_ && offered_bytes_ <= staged_bytes_);
    staged_bytes_ -= n;
    offered_bytes_ -= n;
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

// Passes the units that were wholly taken: ini, messages, fin.
void SendHalf::settle() {
    if (settled_ == 0 && sent_ >= k_identity_size) settled_ = k_identity_size;
    while (!outgoing_.empty()) {
        SendFrame& frame = outgoing_.front();
        const std::size_t size = frame.wire_size();
        const std::uint64_t taken = settled_ == 0 ? 0 : sent_ - settled_;
        if (size > taken) {
            if (auto whole = frame.cut_front(static_cast<std::size_t>(taken))) {
                pass(*std::move(whole));
            }
            break;
        }
        if (planted(Bug::taken_frame_sent_again) && size > 0 && taken == size) break;
        pass(std::move(frame));
        outgoing_.pop_front();
    }
    // A withdrawn message passes as soon as it is the first, connected or not.
    while (outgoing_.empty() && !queue_.empty() && queue_.front().withdrawn()) {
        pass(std::move(queue_.front()));
        queue_.pop_front();
    }
    if (fin_ == Fin::staged && outgoing_.empty() && sent_ - settled_ == k_identity_size) {
        settled_ = sent_;
        fin_ = Fin::taken;
    }
    settle_released();
}

// The transport has all of it.
void SendHalf::pass(SendFrame&& frame) {
    settled_ += frame.wire_size();
    queued_bytes_ -= frame.payload_size();
    taken_ += frame.messages();
    const std::uint64_t end = taken_octets_ - (sent_ - settled_);
    if (unreleased_.empty() && end <= released_octets_) {
        released_ += frame.messages();
    } else {
        unreleased_.push_back({std::move(frame), end});
    }
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
        released_ += unreleased_.front().frame.messages();
        unreleased_.pop_front();
    }
    if (!unreleased_.empty() && unreleased_.front().begin() < free) {
        Unreleased& first = unreleased_.front();
        const auto part = static_cast<std::size_t>(free - first.begin());
        if (const auto whole = first.frame.cut_front(part)) released_ += whole->messages();
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
    close_run();
    if (connected_) stage();
    offered_bytes_ = staged_bytes_;
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
    while (!skip_queue) {
        if (!midway()) stage_copies();
        if ((queue_.empty() && !midway()) || room() == 0) break;
        if (!midway() && queue_.front().is_run()) {
            stage_run();
        } else if (!stage_frame()) {
            return;
        }
    }
    const bool queue_staged = (queue_.empty() && !midway()) || skip_queue;
    if (closing_ && fin_ == Fin::none && queue_staged && room() >= k_identity_size) {
        fin_ = Fin::staged;
        stage_copy(identity_);
    }
}

// Stages what there is room for of the frame under way, or of the next one; false if that must
// wait.
bool SendHalf::stage_frame() {
    if (!midway()) {
        const SendFrame& next = queue_.front();
        const bool stranger = !peer_ && !planted(Bug::target_not_awaited);
        if (next.target() && !next.withdrawn() && stranger) return false;
        outgoing_.emplace_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    const SendFrame& frame = outgoing_.back();
    const std::size_t size = frame.wire_size();
    if (next_.offset < std::min(size, k_header_size)) {
        const Header header = encode_header(frame.octets().size());
        const std::size_t n = std::min(k_header_size - next_.offset, room());
        const bool again = planted(Bug::split_header_begins_again);
        stage_copy(std::span(header).subspan(again ? 0 : next_.offset, n));
        next_.offset += n;
    }
    while (next_.offset < size && room() > 0) {
        const Chunk& chunk = frame.octets().chunk(next_.chunk);
        const bool copied = chunk.size() < copied_below_;
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
    if (next_.offset == size) next_ = Cursor{};
    return true;
}

// A run that was taken back goes out from where it lies, as many of its messages as there is room
// for; if not even one, they are staged one by one.
void SendHalf::stage_run() {
    SendFrame& run = queue_.front();
    if (run.wire_size() <= room()) {
        outgoing_.emplace_back(std::move(run));
        queue_.pop_front();
    } else if (auto front = run.cut_front(room())) {
        outgoing_.emplace_back(*std::move(front));
    } else {
        return unpack_queue();
    }
    append(outgoing_.back().octets().chunk(0));
}

// Messages that can be copied whole behind all that is staged: the way of nearly all small ones
// that had to wait.
void SendHalf::stage_copies() {
    while (!queue_.empty()) {
        const SendFrame& next = queue_.front();
        if (next.withdrawn() || next.target() || next.is_run() || !copy(next.octets())) break;
        --accepted_;  // the run counts it
        queued_bytes_ -= next.payload_size();
        queue_.pop_front();
    }
    close_run();
}

// Adds a small message to the run, or to another one; false if it is none, or there is no room.
// REQUIRES: all messages before it are staged, or in the run.
bool SendHalf::copy(const Stream& payload) {
    if (payload.size() >= copied_below_ || payload.chunk_count() > 1) return false;
    if (!run_.has_room_for(payload)) {
        close_run();
        const std::size_t size = k_header_size + payload.size();
        if (size > room()) return false;
        if (size > block_size_ - block_used_) {
            if (size > limits::k_block_rest_max) return false;
            renew_block();
        }
        run_.open(block_.get() + block_used_, std::min(room(), block_size_ - block_used_));
    }
    run_.add(payload);
    return true;
}

// Stages what was copied.
void SendHalf::close_run() {
    if (!run_.empty()) {
        const std::size_t size = run_.size();
        Chunk octets(Chunk::Octets(block_.get() + block_used_, size), block_);
        staged_.reserve(staged_.size() + 1);  // a lack of memory changes nothing
        outgoing_.push_back(SendFrame::run(std::move(octets), run_.messages()));
        stage_from_block(size);
        accepted_ += run_.messages();
        queued_bytes_ += run_.payload_size();
    }
    run_.close();
}

// Stages a copy, behind the last one where that is possible.
void SendHalf::stage_copy(std::span<const std::byte> octets) {
    while (!octets.empty()) {
        if (block_used_ == block_size_) renew_block();
        const std::size_t n = std::min(octets.size(), block_size_ - block_used_);
        std::memcpy(block_.get() + block_used_, octets.data(), n);
        octets = octets.subspan(n);
        stage_from_block(n);
    }
}

// Stages the next n octets of the block, behind those staged last if these end there.
void SendHalf::stage_from_block(std::size_t n) {
    const std::byte* const begin = block_.get() + block_used_;
    if (!staged_.empty() && staged_.back().owner() == block_ &&
        staged_.back().data() + staged_.back().size() == begin) {
        staged_.back().extend(n);
        staged_bytes_ += n;
    } else {
        append(Chunk(Chunk::Octets(begin, n), block_));
    }
    copied_bytes_ += n;
    block_used_ += n;
}

void SendHalf::renew_block() {
    Buffer buffer = pool_->acquire(limits::k_block_size);
    const std::size_t size = buffer.capacity();
    block_ = std::move(buffer).share();
    block_size_ = size;
    block_used_ = 0;
}

void SendHalf::append(Chunk chunk) {
    staged_bytes_ += chunk.size();
    staged_.push_back(std::move(chunk));
}

// The last n octets, copies all of them, are not staged any more.
void SendHalf::unstage(std::size_t n) {
    staged_bytes_ -= n;
    copied_bytes_ -= n;
    while (n > 0) {
        Chunk& last = staged_.back();
        const std::size_t left = last.size() - std::min(n, last.size());
        n -= last.size() - left;
        if (left > 0) {
            last = last.slice(0, left);
        } else {
            staged_.pop_back();
        }
    }
    if (staged_.empty()) copied_bytes_ = 0;
}

// An idle session holds no block; a busy one starts the block again once nobody looks at it.
void SendHalf::drop_block_if_idle() {
    if (!staged_.empty() || !run_.empty() || released_octets_ != taken_octets_) return;
    block_.reset();
    block_size_ = block_used_ = 0;
}

void SendHalf::check() const {
    assert(released_ <= taken_ && taken_ <= accepted());
    assert(released_octets_ <= taken_octets_);
    assert(settled_ <= sent_);
    assert(run_.empty() || (queue_.empty() && !midway()));
    assert(offered_bytes_ <= staged_bytes_);
    assert(staged_.empty() == (staged_bytes_ == 0));
    assert(released_ + unreleased_.size() <= taken_);
}

}  // namespace nq::detail
