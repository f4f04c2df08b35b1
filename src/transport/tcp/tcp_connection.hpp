// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "io/channel.hpp"
#include "transport/tcp/tcp_transport.hpp"

namespace nq::detail {

/// A connection over one TCP socket.
///
/// Owned as every Connection is; the descriptor stays open until the last share goes, so a thread
/// in `send` can never write to a stranger who got the number next.
/// Thread safety: as Connection. No lock: the two directions share nothing but the socket and the
/// atomics below.
class TcpConnection final : public Connection,
                            public Reactor::Source,
                            public std::enable_shared_from_this<TcpConnection> {
  public:
    /// A connection over a connected socket, not watched yet: `start` on the reactor thread next.
    TcpConnection(Reactor& reactor, std::unique_ptr<Channel> channel, const TcpOptions& options);

    /// Sets the socket's options and watches it. An errno, 0 if nothing failed.
    int start();

    void set_handler(std::shared_ptr<ConnectionHandler> handler) override;
    Result<Sent> send(std::span<const Chunk> chunks) override;
    Result<std::size_t> receive(std::span<const Target> targets) override;
    void finish_sending() override;
    void close() override;
    [[nodiscard]] Reactor& reactor() const override { return reactor_; }
    [[nodiscard]] const std::string& peer_name() const override { return peer_name_; }
    [[nodiscard]] std::optional<Certificate> peer_certificate() const override {
        return channel_->peer_certificate();
    }

    void handle_ready(bool readable, bool writable) override;
    void handle_hangup(bool both_directions) override;
    void handle_reactor_gone() override;

  private:
    [[nodiscard]] int fd() const { return channel_->socket().fd(); }
    void fail(int error);
    void tell_lost();
    bool advance();
    void detach();
    void leave();
    void expect_acknowledgement();
    void look_at_health();
    void look_again_in(Duration delay);
    [[nodiscard]] Failure failure(int error) const;

    // Constant after construction.
    Reactor& reactor_;
    const std::unique_ptr<Channel> channel_;
    const TcpOptions options_;
    const std::string peer_name_;

    // Belong to the reactor thread.
    std::shared_ptr<ConnectionHandler> handler_;
    Reactor::Timer health_timer_;
    Reactor::Timer leave_timer_;  // armed: closed, and the channel still holds octets
    bool open_ = false;           // the channel's handshake is done
    bool lost_told_ = false;

    // Shared.
    std::atomic<bool> send_waits_{false};     // the next writable edge is for the handler
    std::atomic<bool> receive_waits_{false};  // the next readable edge is for the handler
    std::atomic<bool> peer_finished_{false};  // no further edge will tell of the end
    std::atomic<bool> health_watched_{false};
    std::atomic<bool> closed_{false};
    std::atomic<int> error_{0};  // the errno it failed with, the first one
};

}  // namespace nq::detail
