// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "session/frame.hpp"

namespace nq::detail {

/// A message on its way out, or a run of small ones, whose frames lie one behind the other in a
/// block, into which they were copied.
/// Invariant: a run has a message, lies in one chunk, has no target and is not withdrawn.
/// Thread safety: none.
class SendFrame {
  public:
    SendFrame(Stream&& payload, const std::optional<Uuid>& target)
        : octets_(std::move(payload)), target_(target) {}
    /// REQUIRES: the octets are the frames of so many messages, at least one.
    static SendFrame run(Chunk octets, std::uint64_t messages) {
        SendFrame frame(Stream(std::move(octets)), std::nullopt);
        frame.run_ = messages;
        return frame;
    }

    [[nodiscard]] bool is_run() const { return run_ > 0; }
    [[nodiscard]] std::uint64_t messages() const { return is_run() ? run_ : 1; }
    /// Octets it puts on the wire.
    [[nodiscard]] std::size_t wire_size() const {
        if (is_run()) return octets_.size();
        return withdrawn_ ? 0 : k_header_size + octets_.size();
    }
    /// Of these, the payloads of its messages.
    [[nodiscard]] std::size_t payload_size() const {
        return is_run() ? octets_.size() - run_ * k_header_size : octets_.size();
    }
    /// The payload; of a run the frames.
    [[nodiscard]] const Stream& octets() const { return octets_; }
    [[nodiscard]] const std::optional<Uuid>& target() const { return target_; }

    /// Cancelled or refused: no octet of it goes out. REQUIRES: it is no run.
    void withdraw() {
        assert(!is_run());
        octets_.clear();
        withdrawn_ = true;
    }
    [[nodiscard]] bool withdrawn() const { return withdrawn_; }

    /// Cuts those messages off the front of a run that lie whole in its first n octets. Nothing:
    /// there are none, or it is no run. REQUIRES: n < wire_size().
    [[nodiscard]] std::optional<SendFrame> cut_front(std::size_t n);
    /// The messages of a run as single ones, which share its block.
    [[nodiscard]] std::vector<SendFrame> unpack() const;

  private:
    Stream octets_;
    std::optional<Uuid> target_;
    bool withdrawn_ = false;
    std::uint64_t run_ = 0;  ///< messages in it; 0: it is none
};

}  // namespace nq::detail
