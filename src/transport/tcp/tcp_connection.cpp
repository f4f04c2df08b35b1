// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_connection.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "io/health.hpp"

namespace nq::detail {

// Readiness, without a wake-up lost and with few too many. A call to the socket first says that it
// waits, then asks the kernel, and takes the word back if it got all it asked for. The reactor sees
// an edge after the kernel's state changed, so either the call finds the new state or the reactor
// finds the word. Both sides are sequentially consistent for that reason.

TcpConnection::TcpConnection(Reactor& reactor, std::unique_ptr<Channel> channel,
                             const TcpOptions& options)
    : reactor_(reactor),
      channel_(std::move(channel)),
      options_(options),
      peer_name_(SocketAddress::peer_of(fd()).to_string()) {}

int TcpConnection::start() {
    // A socket that fails at once still makes a connection: its failure is told like any other.
    (void)channel_->socket().set_connection_options(options_.dead_peer);
    channel_->socket().prepare_sending();
    try {
        reactor_.watch(fd(), shared_from_this());
    } catch (const std::system_error& error) {
        return error.code().value();
    }
    return 0;
}

void TcpConnection::set_handler(std::shared_ptr<ConnectionHandler> handler) {
    // acquire, as wherever closed_ and error_ are read: what led to them is seen as well.
    if (closed_.load(std::memory_order_acquire)) return;
    handler_ = std::move(handler);
    if (error_.load(std::memory_order_acquire) == 0) return;  // acquire: as above
    reactor_.post([self = shared_from_this()] { self->tell_lost(); });
}

Result<Connection::Sent> TcpConnection::send(std::span<const Chunk> chunks) {
    if (closed_.load(std::memory_order_acquire)) return closed_failure();  // acquire: set_handler
    (void)send_waits_.exchange(true, std::memory_order_seq_cst);  // seq_cst: top of this file
    std::size_t taken = 0;
    bool complete = true;
    while (complete && !chunks.empty()) {
        const auto part = chunks.first(std::min(chunks.size(), limits::k_views_per_call));
        const Io io = channel_->send(part);
        taken += io.size;
        complete = io.complete;
        if (io.status == Io::Status::failed) {
            fail(io.error);  // kept, because the kernel tells it once only
            // acquire: set_handler
            if (taken == 0) return failure(error_.load(std::memory_order_acquire));
        }
        chunks = chunks.subspan(part.size());
    }
    // relaxed: an edge that still finds the word makes one call too many, which is harmless.
    if (complete) send_waits_.store(false, std::memory_order_relaxed);
    if (taken > 0) expect_acknowledgement();
    return Sent{taken, taken};  // the kernel has its own copy
}

Result<std::size_t> TcpConnection::receive(std::span<const Target> targets) {
    if (closed_.load(std::memory_order_acquire)) return closed_failure();  // acquire: set_handler
    (void)receive_waits_.exchange(true, std::memory_order_seq_cst);  // seq_cst: top of this file
    std::size_t received = 0;
    Io io{.complete = true};
    while (io.complete && !targets.empty()) {
        const auto part = targets.first(std::min(targets.size(), limits::k_views_per_call));
        io = channel_->receive(part);
        if (io.status != Io::Status::done) break;
        received += io.size;
        targets = targets.subspan(part.size());
    }
    if (received == 0 && io.status == Io::Status::end) {
        // Also how a socket ends whose error was taken by handle_hangup.
        return failure(error_.load(std::memory_order_acquire));  // acquire: set_handler
    }
    if (io.status == Io::Status::failed) {
        fail(io.error);  // kept, because the kernel tells it once only
        if (received == 0) return failure(error_.load(std::memory_order_acquire));  // as above
    }
    if (io.complete) {
        receive_waits_.store(false, std::memory_order_relaxed);  // relaxed: as in send
    } else if (io.again || (received > 0 && peer_finished_.load(std::memory_order_seq_cst))) {
        // The end stands right behind these octets, and its edge is gone. seq_cst: either this
        // sees the flag, or handle_ready, which looks after setting it, sees receive_waits_.
        reactor_.post([self = shared_from_this()] { self->handle_ready(true, false); });
    }
    return received;
}

void TcpConnection::finish_sending() {
    if (!closed_.load(std::memory_order_acquire)) channel_->finish_sending();  // acquire: as above
}

void TcpConnection::close() {
    // acq_rel: one closer only, and who finds it closed sees what led to it.
    if (closed_.exchange(true, std::memory_order_acq_rel)) return;
    if (!channel_->holding()) channel_->socket().shut_down();
    // A task even on the reactor thread: the handler must not go from beneath the caller's feet.
    reactor_.post([self = shared_from_this()] { self->leave(); });
}

/// Closed: lets go of the socket, once it has what the channel still holds.
void TcpConnection::leave() {
    handler_.reset();
    health_timer_.cancel();
    const bool failed = channel_->advance().status == Io::Status::failed;
    if (failed || !channel_->holding()) return detach();
    if (leave_timer_.armed()) return;
    leave_timer_ = reactor_.call_after(limits::k_held_at_close,
                                       [self = shared_from_this()] { self->detach(); });
}

/// Goes on with the channel's own business: true if its handshake was done just now.
bool TcpConnection::advance() {
    const Io io = channel_->advance();
    if (io.status == Io::Status::failed) fail(io.error);
    if (open_ || !io.complete) return false;
    return open_ = true;
}

void TcpConnection::handle_ready(bool readable, bool writable) {
    if (leave_timer_.armed()) return leave();
    // Send and receive have waited for the handshake, whatever the socket is ready for.
    if ((writable || !open_) && advance()) readable = writable = true;
    // A share for the length of the calls; it may be replaced or dropped by them.
    const std::shared_ptr<ConnectionHandler> handler = handler_;
    // acquire, here and below: as in set_handler.
    if (handler == nullptr || closed_.load(std::memory_order_acquire)) return;
    // seq_cst, twice: top of this file.
    if (readable && receive_waits_.exchange(false, std::memory_order_seq_cst)) {
        handler->handle_readable();
    }
    if (closed_.load(std::memory_order_acquire) || handler != handler_) return;  // acquire: above
    if (writable && send_waits_.exchange(false, std::memory_order_seq_cst)) {
        handler->handle_writable();
    }
    if (error_.load(std::memory_order_acquire) != 0) tell_lost();  // acquire: above
}

void TcpConnection::handle_hangup(bool both_directions) {
    peer_finished_.store(true, std::memory_order_seq_cst);  // seq_cst: see receive
    if (!both_directions) return;
    // 0 if both sides finished in peace, or if send or receive has been given the error already.
    int none = 0;
    const int error = channel_->socket().take_error();
    // release: pairs with the acquire of every reader. relaxed: the first error stands.
    (void)error_.compare_exchange_strong(none, error, std::memory_order_release,
                                         std::memory_order_relaxed);
}

void TcpConnection::handle_reactor_gone() {
    health_timer_.cancel();
    leave_timer_.cancel();
    handler_.reset();
}

void TcpConnection::fail(int error) {
    int none = 0;
    // release and relaxed: as in handle_hangup.
    if (!error_.compare_exchange_strong(none, error, std::memory_order_release,
                                        std::memory_order_relaxed)) {
        return;
    }
    reactor_.post([self = shared_from_this()] { self->tell_lost(); });
}

void TcpConnection::tell_lost() {
    // acquire: as in set_handler.
    if (closed_.load(std::memory_order_acquire) || handler_ == nullptr || lost_told_) return;
    lost_told_ = true;
    const auto self = shared_from_this();
    const std::shared_ptr<ConnectionHandler> handler = std::exchange(handler_, nullptr);
    detach();
    handler->handle_lost(failure(error_.load(std::memory_order_acquire)));  // acquire: as above
}

void TcpConnection::detach() {
    const auto handler = std::exchange(handler_, nullptr);
    health_timer_.cancel();
    leave_timer_.cancel();
    channel_->socket().shut_down();
    reactor_.unwatch(fd());
}

void TcpConnection::expect_acknowledgement() {
    // relaxed: a quick look; the exchange decides.
    if (health_watched_.load(std::memory_order_relaxed)) return;
    // seq_cst: after the write to the socket, see look_at_health.
    if (health_watched_.exchange(true, std::memory_order_seq_cst)) return;
    reactor_.post([self = shared_from_this()] {
        // acquire: as in set_handler. Once detached there is nobody left to cancel a timer.
        if (self->lost_told_ || self->closed_.load(std::memory_order_acquire)) return;
        self->look_again_in(self->options_.dead_peer);
    });
}

void TcpConnection::look_again_in(Duration delay) {
    // The task owns a share, so the timer can't be left armed by a destructor on another thread.
    health_timer_ = reactor_.call_after(delay, [self = shared_from_this()] {
        self->health_timer_ = Reactor::Timer();
        self->look_at_health();
    });
}

void TcpConnection::look_at_health() {
    // The word is taken back before the look: a send after it sets it again, one before it has its
    // octets counted by the look. seq_cst for that reason.
    health_watched_.store(false, std::memory_order_seq_cst);
    const TcpHealth health = read_health(fd());
    if (!health.outstanding) return;
    if (health_watched_.exchange(true, std::memory_order_seq_cst)) return;  // that send looks
    if (!is_dead(health, options_.dead_peer)) {
        return look_again_in(next_look(health, options_.dead_peer));
    }
    // Nobody will acknowledge what is in the kernel, so it need not keep trying.
    channel_->socket().discard_on_close();
    fail(ETIMEDOUT);
    channel_->socket().shut_down();
}

Failure TcpConnection::failure(int error) const {
    if (error == 0) return {Errc::connection_reset, {}, "end of stream"};
    std::string text = "lost the connection with " + peer_name_ + ": " + channel_->explain(error);
    if (error == ETIMEDOUT) {
        text += "; no sign of life for " + std::to_string(options_.dead_peer.count()) + " s";
    }
    return {Errc::connection_reset, {}, std::move(text)};
}

}  // namespace nq::detail
