// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <net_queue/stream.hpp>

#include "session/frame.hpp"

namespace nq::detail {

/// Small messages on their way out, copied one behind the other as the wire has them (frame.hpp).
/// The memory is somebody else's. Closed, there is no room and nothing in it.
/// Thread safety: none.
class SendRun {
  public:
    /// It may grow to so many octets from `begin` on. REQUIRES: it is empty.
    void open(std::byte* begin, std::size_t room) {
        assert(empty());
        begin_ = end_ = begin;
        room_ = room;
    }
    void close() { *this = SendRun(); }

    /// Is this a message that fits, in one piece?
    [[nodiscard]] bool has_room_for(const Stream& message) const {
        return message.size() + k_header_size <= room_ && message.chunk_count() <= 1;
    }
    /// REQUIRES: has_room_for(message).
    void add(const Stream& message) {
        const std::size_t size = message.size();
        const Header header = encode_header(size);
        std::memcpy(end_, header.data(), k_header_size);
        if (size > 0) std::memcpy(end_ + k_header_size, message.chunk(0).data(), size);
        end_ += k_header_size + size;
        room_ -= k_header_size + size;
        ++messages_;
    }

    [[nodiscard]] bool empty() const { return messages_ == 0; }
    [[nodiscard]] std::uint64_t messages() const { return messages_; }
    /// Octets, headers included.
    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }
    /// Of the messages alone.
    [[nodiscard]] std::uint64_t payload_size() const { return size() - messages_ * k_header_size; }

  private:
    std::byte* begin_ = nullptr;
    std::byte* end_ = nullptr;
    std::size_t room_ = 0;
    std::uint64_t messages_ = 0;
};

}  // namespace nq::detail
