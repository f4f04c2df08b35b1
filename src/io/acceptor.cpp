// SPDX-License-Identifier: Apache-2.0
#include "io/acceptor.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "io/limits.hpp"
#include "io/resolver.hpp"

namespace nq::detail {

namespace {

bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

Failure listen_failure(const NetworkLocation& location, int error) {
    std::string text = "cannot listen on " + location.to_string() + ": " + error_text(error);
    switch (error) {
        case EADDRINUSE:
            text += "; another server may be running there, or choose another port";
            break;
        case EADDRNOTAVAIL:
            text += "; this machine has no such address, 0.0.0.0 stands for all it has";
            break;
        case EACCES: text += "; choose a port of 1024 or above"; break;
        default: break;
    }
    return {std::error_code(error, std::system_category()), {}, std::move(text)};
}

}  // namespace

Result<std::shared_ptr<Acceptor>> Acceptor::listen(Reactor& reactor,
                                                   const NetworkLocation& location, Accept accept,
                                                   Log log) {
    const Result<Addresses> addresses = look_up_local(location);
    if (!addresses) return addresses.error();
    Socket socket;
    int error = 0;
    for (const SocketAddress& address : *addresses) {
        socket = Socket::open(address.family());
        error = socket.valid() ? socket.listen(address, limits::k_listen_backlog) : errno;
        if (error == 0) break;
    }
    if (error != 0) return listen_failure(location, error);
    const int fd = socket.fd();
    NetworkLocation real{location.host, SocketAddress::local_of(fd).port()};
    auto acceptor = std::make_shared<Acceptor>(reactor, std::move(socket), std::move(real),
                                               std::move(accept), std::move(log));
    try {
        reactor.watch(fd, acceptor);
    } catch (const std::system_error& failed) {
        return listen_failure(location, failed.code().value());
    }
    return acceptor;
}

Acceptor::Acceptor(Reactor& reactor, Socket socket, NetworkLocation location, Accept accept,
                   Log log)
    : reactor_(reactor),
      socket_(std::move(socket)),
      location_(std::move(location)),
      accept_(std::move(accept)),
      log_(std::move(log)) {}

void Acceptor::stop() {
    pause_timer_.cancel();
    reactor_.unwatch(socket_.fd());
    socket_ = Socket();
}

void Acceptor::handle_ready(bool readable, bool) {
    if (readable && !pause_timer_.armed()) accept_some();
}

/// Edge-triggered: goes on until nobody waits, but not for longer than its turn.
void Acceptor::accept_some() {
    for (int i = 0; i < limits::k_accepts_per_round; ++i) {
        if (!socket_.valid()) return;  // the handler stopped us
        Socket accepted = socket_.accept();
        if (accepted.valid()) {
            end_shortage();
            accept_(std::move(accepted));
            continue;
        }
        const int error = errno;
        if (error == EAGAIN || error == EWOULDBLOCK) return;
        if (is_shortage(error)) return pause(error);
        // Anything else is about the one connection that was next, and it is gone.
    }
    reactor_.post([self = shared_from_this()] { self->handle_ready(true, false); });
}

void Acceptor::pause(int error) {
    if (pause_.count() == 0) {
        log_(LogLevel::warning,
             "cannot accept connections: " + error_text(error) +
                 "; they wait until some are closed, or raise the limit (ulimit -n)");
    }
    pause_ =
        std::clamp<Duration>(pause_ * 2, limits::k_accept_pause_min, limits::k_accept_pause_max);
    pause_timer_ =
        reactor_.call_after(pause_, [self = shared_from_this()] { self->accept_some(); });
}

void Acceptor::end_shortage() {
    if (pause_.count() == 0) return;
    pause_ = {};
    log_(LogLevel::info, "accepting connections again");
}

}  // namespace nq::detail
