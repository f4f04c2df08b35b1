// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "socket.hpp"

namespace nq::bench {

// The beginning and the end of a connection, as net-queue has it: a frame with an identity.
constexpr std::size_t k_identity = 16;
using IdentityFrame = std::array<std::byte, k_header + k_identity>;
[[nodiscard]] IdentityFrame identity_frame(std::uint64_t number);

/// The clients of a star: bare sockets in one thread that speak net-queue's wire protocol. They
/// are the same for the bare server and for net-queue's, so that only the servers differ.
///
/// The first client's word begins `fanout` and ends `idle`.
[[nodiscard]] Outcome run_star_clients(const Workload& workload, const ServerProcess& server);

}  // namespace nq::bench
