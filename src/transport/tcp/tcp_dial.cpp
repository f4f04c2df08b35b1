// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_dial.hpp"

#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "io/resolver.hpp"
#include "transport/tcp/tcp_connection.hpp"

namespace nq::detail {

/// The work of one dial: looking up, then one address after the other, then the handshake of the
/// layer over the socket, if there is one.
/// Owned by the TcpDial and, while a socket is watched, by the reactor.
/// Thread safety: belongs to the reactor thread.
class TcpDial::Attempt final : public Reactor::Source,
                               public std::enable_shared_from_this<Attempt> {
  public:
    Attempt(Reactor& reactor, const NetworkLocation& location, const TcpOptions& options,
            DialHandler done)
        : reactor_(reactor), location_(location), options_(options), done_(std::move(done)) {}

    void start() {
        resolution_.emplace(reactor_, location_, [this](Result<Addresses> found) {
            if (!found) {
                finish(dial_failure(found.error().code, location_, found.error().text));
                return;
            }
            addresses_ = std::move(*found);
            try_next();
        });
    }

    void abandon() {
        done_ = nullptr;
        resolution_.reset();
        drop_socket();
    }

    void handle_ready(bool, bool writable) override {
        if (channel_ != nullptr) return shake_hands();
        if (!writable || !socket_.valid()) return;
        const int error = socket_.take_error();
        if (error != 0) return give_up_address(error);
        connected();
    }

  private:
    void try_next() {
        while (next_ < addresses_.size()) {
            const int error = try_address(addresses_[next_]);
            if (error == EINPROGRESS) return;
            if (error == 0) return connected();
            note(error);
        }
        finish(dial_failure(Errc::connection_reset, location_, notes_ + advice_));
    }

    /// EINPROGRESS: handle_ready or the timer follows.
    int try_address(const SocketAddress& address) {
        socket_ = Socket::open(address.family());
        if (!socket_.valid()) return errno;
        const int error = socket_.connect(address);
        if (error != EINPROGRESS) return error;
        try {
            reactor_.watch(socket_.fd(), shared_from_this());
        } catch (const std::system_error& failed) {
            return failed.code().value();
        }
        timer_ =
            reactor_.call_after(limits::k_connect_attempt, [this] { give_up_address(ETIMEDOUT); });
        return EINPROGRESS;
    }

    void give_up_address(int error) {
        const auto self = shared_from_this();
        drop_socket();
        note(error);
        try_next();
    }

    void connected() {
        const auto self = shared_from_this();
        // A port of the ephemeral range that nobody listens on can be picked for our own end too;
        // TCP then connects the socket with itself.
        if (SocketAddress::local_of(socket_.fd()) == SocketAddress::peer_of(socket_.fd())) {
            return give_up_address(ECONNREFUSED);
        }
        if (options_.layer == nullptr) {
            return deliver(std::make_unique<PlainChannel>(release_socket()));
        }
        // The watch stays, as its descriptor does, unless both go.
        const int fd = socket_.fd();
        channel_ = options_.layer->connect(std::exchange(socket_, Socket()), location_.host);
        if (channel_ == nullptr) {
            reactor_.unwatch(fd);
            return finish(handshake_failure("no memory", false));
        }
        timer_ = reactor_.call_after(limits::k_tls_handshake, [this] {
            finish(handshake_failure("no answer to the TLS handshake; does the server speak TLS?",
                                     false));
        });
        shake_hands();
    }

    void shake_hands() {
        const auto self = shared_from_this();
        const Io io = channel_->advance();
        if (io.status == Io::Status::failed) {
            return finish(handshake_failure(channel_->explain(io.error), channel_->mistrusted()));
        }
        if (!io.complete) return;
        timer_.cancel();
        reactor_.unwatch(channel_->socket().fd());
        deliver(std::move(channel_));
    }

    void deliver(std::unique_ptr<Channel> channel) {
        auto connection = std::make_shared<TcpConnection>(reactor_, std::move(channel), options_);
        if (const int error = connection->start()) return give_up_address(error);
        finish(std::shared_ptr<Connection>(std::move(connection)));
    }

    Socket release_socket() {
        timer_.cancel();
        reactor_.unwatch(socket_.fd());
        return std::exchange(socket_, Socket());
    }

    /// Somebody is there, so no other address is tried; `untrusted`: nor this one again.
    Failure handshake_failure(const std::string& reason, bool untrusted) const {
        return dial_failure(untrusted ? Errc::untrusted : Errc::connection_reset, location_,
                            reason);
    }

    void finish(Result<std::shared_ptr<Connection>> result) {
        drop_socket();
        // Out of the object first: the handler may destroy the dial.
        const auto self = shared_from_this();
        if (const DialHandler done = std::exchange(done_, nullptr)) done(std::move(result));
    }

    void drop_socket() {
        timer_.cancel();
        if (socket_.valid()) reactor_.unwatch(socket_.fd());
        socket_ = Socket();
        if (channel_ != nullptr) reactor_.unwatch(channel_->socket().fd());
        channel_.reset();
    }

    /// Remembers why an address failed and moves on to the next.
    void note(int error) {
        if (!notes_.empty()) notes_ += ", ";
        if (addresses_.size() > 1) notes_ += addresses_[next_].to_string() + ": ";
        notes_ += error_text(error);
        if (error == ECONNREFUSED) advice_ = "; is a server running there?";
        if (error == ETIMEDOUT) advice_ = "; is the machine up, and no firewall between?";
        ++next_;
    }

    Reactor& reactor_;
    const NetworkLocation location_;
    const TcpOptions options_;
    DialHandler done_;
    std::optional<Resolution> resolution_;
    Addresses addresses_;
    std::size_t next_ = 0;
    Socket socket_;
    std::unique_ptr<Channel> channel_;  // over the socket, while it shakes hands
    Reactor::Timer timer_;
    std::string notes_;   // why each address failed
    std::string advice_;  // what to do about the last of them
};

TcpDial::TcpDial(Reactor& reactor, const NetworkLocation& location, const TcpOptions& options,
                 DialHandler done)
    : attempt_(std::make_shared<Attempt>(reactor, location, options, std::move(done))) {
    attempt_->start();
}

TcpDial::~TcpDial() { attempt_->abandon(); }

}  // namespace nq::detail
