// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <net_queue/error.hpp>
#include <net_queue/options.hpp>

#include "io/socket.hpp"

namespace nq::detail {

/// Two streams of octets over one socket. A TcpConnection talks to its socket through this, so that
/// a layer such as TLS can be laid between them: a channel that owns a Socket and changes what
/// passes.
///
/// No call blocks. A layer may have business of its own, a handshake or octets that it took and
/// still holds: until its handshake is done send and receive move nothing, and `advance`, called
/// whenever the socket is ready, goes on with it.
/// Thread safety: as the Socket's: one thread at a time sends, one receives, one advances, and they
/// may differ. A layer with state common to them guards it itself.
class Channel {
  public:
    virtual ~Channel() = default;
    /// Takes octets in their order. A failure comes with the size of those that may have left
    /// before it. REQUIRES: chunks.size() <= limits::k_views_per_call.
    [[nodiscard]] virtual Io send(std::span<const Chunk> chunks) = 0;
    /// REQUIRES: as for send, and the targets are not all empty.
    [[nodiscard]] virtual Io receive(std::span<const std::span<std::byte>> targets) = 0;
    /// Goes on with the layer's own business. Complete: the handshake is done and nothing is held;
    /// if not, it waits for the socket.
    [[nodiscard]] virtual Io advance() { return {.complete = true}; }
    /// Octets that `send` took are still here, on their way to the socket.
    [[nodiscard]] virtual bool holding() const { return false; }
    /// The peer sees the end of the stream after what was sent.
    virtual void finish_sending() = 0;
    /// What is beneath: to be watched, configured, shut down.
    [[nodiscard]] virtual Socket& socket() = 0;
    /// The reason behind an error that this channel returned.
    [[nodiscard]] virtual std::string explain(int error) const { return error_text(error); }
    /// Trying again won't help: the peer could not be verified.
    [[nodiscard]] virtual bool mistrusted() const { return false; }
    /// What the peer showed and was verified, once the handshake is done.
    [[nodiscard]] virtual std::optional<Certificate> peer_certificate() const {
        return std::nullopt;
    }
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
    [[nodiscard]] Socket& socket() override { return socket_; }

  private:
    Socket socket_;
};

/// Lays channels over sockets: what the connections of one transport have in common.
/// Thread safety: all methods, from any thread.
class ChannelMaker {
  public:
    virtual ~ChannelMaker() = default;
    /// Over a connected socket, towards a server that has to be `host`. Null: no memory.
    [[nodiscard]] virtual std::unique_ptr<Channel> connect(Socket socket,
                                                           const std::string& host) const = 0;
    /// Over an accepted socket. Null: no memory.
    [[nodiscard]] virtual std::unique_ptr<Channel> accept(Socket socket) const = 0;
    /// Reads its files again, for channels made from now on; a Failure, and those read before stay.
    [[nodiscard]] virtual Result<void> reload() = 0;
};

}  // namespace nq::detail
