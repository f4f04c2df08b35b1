// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_listener.hpp"

#include <atomic>
#include <cassert>
#include <utility>
#include <vector>

#include "io/acceptor.hpp"
#include "transport/tcp/tcp_connection.hpp"

namespace nq::detail {

namespace {

/// What the listener and the tasks on their way to other reactors share.
struct Door {
    AcceptHandler accept;
    std::atomic<bool> closed{false};
};

/// Makes a connection of each accepted socket and hands it round the reactors.
class TcpListener final : public Listener {
  public:
    TcpListener(std::span<Reactor* const> reactors, const TcpOptions& options, AcceptHandler accept,
                TransportLog log)
        : reactors_(reactors.begin(), reactors.end()),
          options_(options),
          log_(std::move(log)),
          door_(std::make_shared<Door>()) {
        door_->accept = std::move(accept);
    }

    ~TcpListener() override {
        // relaxed: a connection on its way to another reactor meanwhile may pass either way.
        door_->closed.store(true, std::memory_order_relaxed);
        if (acceptor_ != nullptr) acceptor_->stop();
    }

    Result<void> start(const NetworkLocation& location) {
        auto listening = Acceptor::listen(
            *reactors_.front(), location, [this](Socket socket) { hand_over(std::move(socket)); },
            log_);
        if (!listening) return listening.error();
        acceptor_ = *std::move(listening);
        return {};
    }

    [[nodiscard]] NetworkLocation location() const override { return acceptor_->location(); }

  private:
    void hand_over(Socket socket) {
        Reactor& reactor = *reactors_[next_reactor_++ % reactors_.size()];
        auto channel = options_.layer ? options_.layer->accept(std::move(socket))
                                      : std::make_unique<PlainChannel>(std::move(socket));
        if (channel == nullptr) {
            return log_(LogLevel::error, "cannot serve a connection: no memory for its TLS");
        }
        auto connection = std::make_shared<TcpConnection>(reactor, std::move(channel), options_);
        auto deliver = [door = door_, connection = std::move(connection), log = log_] {
            // relaxed: see the destructor.
            if (door->closed.load(std::memory_order_relaxed)) return;
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

    const std::vector<Reactor*> reactors_;
    const TcpOptions options_;
    const TransportLog log_;
    const std::shared_ptr<Door> door_;
    std::size_t next_reactor_ = 0;
    std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

Result<std::unique_ptr<Listener>> tcp_listen(std::span<Reactor* const> reactors,
                                             const NetworkLocation& location,
                                             const TcpOptions& options, AcceptHandler accept,
                                             TransportLog log) {
    assert(!reactors.empty());
    if (!log) log = [](LogLevel, const std::string&) {};
    auto listener =
        std::make_unique<TcpListener>(reactors, options, std::move(accept), std::move(log));
    if (const auto started = listener->start(location); !started) return started.error();
    return std::unique_ptr<Listener>(std::move(listener));
}

}  // namespace nq::detail
