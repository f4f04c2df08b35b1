// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace nq::detail {

// A kernel that paces a connection, as Linux does under BBR, lets a packet of up to 64 KiB go some
// time after the one before, by the rate that it believes in. What one call hands over beyond a
// packet waits for a timer and its interrupt; and the rate is measured with those waits in it. A
// call that hands over one packet finds that its time has come, and since nothing unsent is left
// behind the kernel knows that the application sets the pace: the rate it believes in won't sink.
// Where nothing is paced, all in one call is better: each call costs a microsecond.

/// Whether this connected socket's congestion control paces: BBR does.
[[nodiscard]] bool is_paced(int fd) noexcept;

/// Octets of the largest packet that the kernel makes of this connection's segments, as they are
/// now. It makes smaller ones where the path is slow.
[[nodiscard]] std::size_t packet_size(int fd) noexcept;

/// The part of `rest` octets that the next call hands over: a packet, or all if there is less. What
/// little would be left for the last call shares with the packet before it, since a small packet
/// right behind a large one is the one that has to wait.
[[nodiscard]] constexpr std::size_t next_part(std::size_t rest, std::size_t packet) noexcept {
    if (rest <= packet) return rest;
    return rest < 2 * packet ? (rest + 1) / 2 : packet;
}

}  // namespace nq::detail
