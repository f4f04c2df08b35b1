// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>

#include "io/socket.hpp"

namespace nq::detail {

/// Two streams of octets over one socket. A TcpConnection talks to its socket through this, so that
/// TLS can be laid between them: a channel that owns a Socket and encrypts what passes.
///
/// No call blocks. A handshake, where there is one, goes on inside send and receive. The thread
/// rules are the Socket's; a layer with state common to both directions guards it itself. A layer
/// that must wait for the *other* direction (a handshake in the midst of receive) has to say so in
/// Io, and TcpConnection to arm both flags for it: the one place to change is `TcpConnection::send`
/// and `receive`.
class Channel {
  public:
    virtual ~Channel() = default;
    /// REQUIRES: chunks.size() <= limits::k_views_per_call.
    [[nodiscard]] virtual Io send(std::span<const Chunk> chunks) = 0;
    /// REQUIRES: as for send, and the targets are not all empty.
    [[nodiscard]] virtual Io receive(std::span<const std::span<std::byte>> targets) = 0;
    /// The peer sees the end of the stream after what was sent.
    virtual void finish_sending() = 0;
    /// What is beneath: to be watched, configured, shut down.
    [[nodiscard]] virtual const Socket& socket() const = 0;
};

/// The bare socket.
class PlainChannel final : public Channel {
  public:
    explicit PlainChannel(Socket socket) : socket_(std::move(socket)) {}
    Io send(std::span<const Chunk> chunks) override { return socket_.send(chunks); }
    Io receive(std::span<const std::span<std::byte>> targets) override {
        return socket_.receive(targets);
    }
    void finish_sending() override { socket_.finish_sending(); }
    [[nodiscard]] const Socket& socket() const override { return socket_; }

  private:
    Socket socket_;
};

}  // namespace nq::detail
