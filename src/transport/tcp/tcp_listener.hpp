// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "transport/tcp/tcp_transport.hpp"

namespace nq::detail {

/// Listens on the first of the location's addresses that can be had; see Transport::listen.
Result<std::unique_ptr<Listener>> tcp_listen(std::span<Reactor* const> reactors,
                                             const NetworkLocation& location,
                                             const TcpOptions& options, AcceptHandler accept,
                                             TransportLog log);

}  // namespace nq::detail
