// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include "io/channel.hpp"
#include "io/limits.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

struct TcpOptions {
    /// A peer silent for so long though a sign of life was due is lost. At least 3 s: the kernel
    /// counts the time between its probes in seconds.
    std::chrono::seconds dead_peer = limits::k_dead_peer;
    /// What lies over the sockets, as TLS; null: nothing.
    std::shared_ptr<ChannelMaker> layer = nullptr;
};

/// Connections over TCP, IPv4 and IPv6.
std::unique_ptr<Transport> make_tcp_transport(const TcpOptions& options = {});

}  // namespace nq::detail
