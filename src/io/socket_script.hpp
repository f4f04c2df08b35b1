// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "io/resolver.hpp"
#include "io/socket.hpp"

namespace nq::detail {

inline void wait_until(int fd, short events) {
    pollfd ready{.fd = fd, .events = events, .revents = 0};
    REQUIRE(::poll(&ready, 1, -1) == 1);
}

/// Both ends of a TCP connection over loopback: the one that connected, the one that was accepted.
inline std::array<Socket, 2> tcp_pair() {
    Socket listener = Socket::open(AF_INET);
    REQUIRE(listener.listen(look_up({"127.0.0.1", 0}).value().front(), 1) == 0);
    Socket client = Socket::open(AF_INET);
    REQUIRE(client.connect(SocketAddress::local_of(listener.fd())) == EINPROGRESS);
    wait_until(listener.fd(), POLLIN);
    Socket server = listener.accept();
    wait_until(client.fd(), POLLOUT);
    return {std::move(client), std::move(server)};
}

}  // namespace nq::detail
