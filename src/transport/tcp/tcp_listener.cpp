// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_listener.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "io/resolver.hpp"
#include "transport/tcp/tcp_connection.hpp"

namespace nq::detail {

namespace {

bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// What the acceptor and the tasks on their way to other reactors share.
struct Door {
    AcceptHandler accept;
    std::atomic<bool> closed{false};
};

/// Accepts on one listening socket and hands the connections round the reactors.
/// Owned by the listener and, while watched, by the first reactor.
/// Thread safety: belongs to the thread of the first reactor.
class Acceptor final : public Reactor::Source, public std::enable_shared_from_this<Acceptor> {
  public:
    Acceptor(Socket socket, std::span<Reactor* const> reactors, const TcpOptions& options,
             AcceptHandler accept, TransportLog log)
        : socket_(std::move(socket)),
          reactors_(reactors.begin(), reactors.end()),
          options_(options),
          log_(std::move(log)),
          door_(std::make_shared<Door>()) {
        door_->accept = std::move(accept);
    }

    void start() { reactors_.front()->watch(socket_.fd(), shared_from_this()); }

    void stop() {
        // relaxed: a connection on its way to another reactor meanwhile may pass either way.
        door_->closed.store(true, std::memory_order_relaxed);
        pause_timer_.cancel();
        reactors_.front()->unwatch(socket_.fd());
        socket_ = Socket();
    }

    void handle_ready(bool readable, bool) override {
        if (readable && !pause_timer_.armed()) accept_some();
    }

  private:
    /// Edge-triggered: goes on until nobody waits, but not for longer than its turn.
    void accept_some() {
        for (int i = 0; i < limits::k_accepts_per_round; ++i) {
            if (!socket_.valid()) return;  // the handler stopped us
            Socket accepted = socket_.accept();
            if (accepted.valid()) {
                end_shortage();
                hand_over(std::move(accepted));
                continue;
            }
            const int error = errno;
            if (error == EAGAIN || error == EWOULDBLOCK) return;
            if (is_shortage(error)) return pause(error);
            // Anything else is about the one connection that was next, and it is gone.
        }
        reactors_.front()->post([self = shared_from_this()] { self->handle_ready(true, false); });
    }

    void hand_over(Socket socket) {
        Reactor& reactor = *reactors_[next_reactor_++ % reactors_.size()];
        auto connection = std::make_shared<TcpConnection>(
            reactor, std::make_unique<PlainChannel>(std::move(socket)), options_);
        auto deliver = [door = door_, connection = std::move(connection), log = log_] {
            if (door->closed.load(std::memory_order_relaxed)) return;  // relaxed: see stop
            if (const int error = connection->start()) {
                log(LogLevel::error,
                    "cannot serve " + connection->peer_name() + ": " + error_text(error));
                return;
            }
            door->accept(connection);
        };
        if (&reactor == reactors_.front()) return deliver();
        reactor.post(std::move(deliver));
    }

    void pause(int error) {
        if (pause_.count() == 0) {
            log_(LogLevel::warning,
                 "cannot accept connections: " + error_text(error) +
                     "; they wait until some are closed, or raise the limit (ulimit -n)");
        }
        pause_ = std::clamp(pause_ * 2, limits::k_accept_pause_min, limits::k_accept_pause_max);
        pause_timer_ = reactors_.front()->call_after(
            pause_, [self = shared_from_this()] { self->accept_some(); });
    }

    void end_shortage() {
        if (pause_.count() == 0) return;
        pause_ = {};
        log_(LogLevel::info, "accepting connections again");
    }

    Socket socket_;
    const std::vector<Reactor*> reactors_;
    const TcpOptions options_;
    const TransportLog log_;
    const std::shared_ptr<Door> door_;
    std::size_t next_reactor_ = 0;
    std::chrono::milliseconds pause_{0};  // 0: no shortage
    Reactor::Timer pause_timer_;
};

class TcpListener final : public Listener {
  public:
    TcpListener(std::shared_ptr<Acceptor> acceptor, NetworkLocation location)
        : acceptor_(std::move(acceptor)), location_(std::move(location)) {}
    ~TcpListener() override { acceptor_->stop(); }

    [[nodiscard]] NetworkLocation location() const override { return location_; }

  private:
    const std::shared_ptr<Acceptor> acceptor_;
    const NetworkLocation location_;
};

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

Result<std::unique_ptr<Listener>> tcp_listen(std::span<Reactor* const> reactors,
                                             const NetworkLocation& location,
                                             const TcpOptions& options, AcceptHandler accept,
                                             TransportLog log) {
    assert(!reactors.empty());
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
    const NetworkLocation real{location.host, SocketAddress::local_of(socket.fd()).port()};
    if (!log) log = [](LogLevel, const std::string&) {};
    auto acceptor = std::make_shared<Acceptor>(std::move(socket), reactors, options,
                                               std::move(accept), std::move(log));
    try {
        acceptor->start();
    } catch (const std::system_error& failed) {
        return listen_failure(location, failed.code().value());
    }
    return std::unique_ptr<Listener>(std::make_unique<TcpListener>(std::move(acceptor), real));
}

}  // namespace nq::detail
