// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include <net_queue/stream.hpp>

#include "testing/simulation/message.hpp"

namespace nq::testing {

/// One direction of a simulated connection. Octets that were taken lie in the sender's memory until
/// they are released, then in the network's, then they arrive.
///
/// Invariants: arrived <= released <= taken as long as it is whole.
class Pipe {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    enum class Kind { ini, message, fin, violation, ignored };
    /// What a run of octets is, told by those who sent it: [begin, end).
    struct Unit {
        Kind kind;
        Message* message;
        std::uint64_t begin;
        std::uint64_t end;
    };

    // The sender's end.
    /// Takes the first n octets of the chunks.
    void take(std::span<const Chunk> chunks, std::size_t n) {
        taken_ += n;
        for (const Chunk& chunk : chunks) {
            if (n == 0 || broken_) break;
            const std::size_t part = std::min(n, chunk.size());
            held_.write_chunk(chunk.slice(0, part));
            n -= part;
        }
    }
    /// The memory of the next n octets taken is not needed any more.
    void release(std::size_t n) {
        released_ += n;
        if (!broken_) carry(n);
    }
    /// Octets that are nobody's message.
    void write(std::string_view octets) {
        const Chunk chunk = Chunk::copy_of(octets);
        take({&chunk, 1}, chunk.size());
        release(chunk.size());
    }
    /// Nothing follows; what was taken still arrives.
    void finish(TimePoint visible_at) {
        if (ended_) return;
        ended_ = true;
        end_visible_at_ = visible_at;
        carry(held_.size());
    }

    // The network.
    /// At most the first n octets in flight arrive, and nothing after them.
    void cut(std::uint64_t n, TimePoint visible_at) {
        if (broken_) return;
        carry(held_.size());
        octets_.resize(read_ + std::min<std::uint64_t>(n, readable()));
        broken_ = true;
        ended_ = true;
        end_visible_at_ = visible_at;
    }

    // The reader's end.
    std::size_t read(std::span<std::byte> target) {
        const std::size_t n = std::min(target.size(), readable());
        std::memcpy(target.data(), octets_.data() + read_, n);
        read_ += n;
        arrived_ += n;
        if (read_ == octets_.size()) octets_.clear(), read_ = 0;
        return n;
    }

    [[nodiscard]] std::size_t readable() const { return octets_.size() - read_; }
    [[nodiscard]] std::uint64_t in_flight() const { return held_.size() + readable(); }
    [[nodiscard]] std::uint64_t unreleased() const { return taken_ - released_; }
    [[nodiscard]] std::uint64_t taken() const { return taken_; }
    [[nodiscard]] std::uint64_t arrived() const { return arrived_; }
    /// Octets that were taken may never arrive.
    [[nodiscard]] bool broken() const { return broken_; }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] TimePoint end_visible_at() const { return end_visible_at_; }
    [[nodiscard]] bool at_end(TimePoint now) const {
        return ended_ && readable() == 0 && now >= end_visible_at_;
    }

    /// Those of which the first octet was taken and the last was not understood yet.
    std::deque<Unit> units;

  private:
    void carry(std::size_t n) {
        while (n > 0 && !held_.empty()) {
            const Stream part = held_.read(n);
            for (std::size_t i = 0; i < part.chunk_count(); ++i) {
                octets_ += part.chunk(i).text();
            }
            n -= part.size();
        }
    }

    Stream held_;
    std::string octets_;
    std::size_t read_ = 0;
    std::uint64_t taken_ = 0;
    std::uint64_t released_ = 0;
    std::uint64_t arrived_ = 0;
    bool broken_ = false;
    bool ended_ = false;
    TimePoint end_visible_at_{};
};

}  // namespace nq::testing
