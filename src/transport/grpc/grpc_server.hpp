// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <memory>
#include <optional>
#include <string>

#include "transport/grpc/grpc_connection.hpp"
#include "transport/grpc/grpc_peer.hpp"

namespace nq::detail {

class GrpcServerConnection;

/// A call as its server sees it; see GrpcCall.
class GrpcServerCall final : public GrpcCall,
                             public grpc::ServerGenericBidiReactor,
                             public std::enable_shared_from_this<GrpcServerCall> {
  public:
    explicit GrpcServerCall(grpc::GenericCallbackServerContext& context) : context_(context) {}

    /// Owns itself from here until OnDone. Follow with GrpcServerConnection::serve, or finish.
    void keep() { self_ = shared_from_this(); }
    /// The connection hears of it from now on. Before anything is started.
    void belong_to(std::shared_ptr<GrpcServerConnection> connection);

    void start_read() override { StartRead(&incoming); }
    void start_write() override { StartWrite(&outgoing); }
    void finish(const grpc::Status& status) override { Finish(status); }
    void cancel() override { context_.TryCancel(); }
    void let_go() override {}

    void OnReadDone(bool ok) override;
    void OnWriteDone(bool ok) override;
    void OnCancel() override;
    void OnDone() override;

  private:
    grpc::GenericCallbackServerContext& context_;  // gRPC's, until OnDone
    std::shared_ptr<GrpcServerCall> self_;
    std::shared_ptr<GrpcServerConnection> connection_;
};

/// A server's connection: one full-duplex call of a client of ours, or the rounds of an old one,
/// which come from one address, with any time between them.
///
/// Duplex: the server can't end its direction alone, so a finished stream ends the call once the
/// client has half-closed or the connection is closed. Rounds: a call is answered with what is
/// queued and with what its octets bring about on the reactor thread, then ends with OK, never
/// with an error. Lost: a call failed, or, between two, the client's HTTP/2 connection went.
/// What was taken waits for the next round, also once it was closed.
/// Thread safety: as GrpcConnection.
class GrpcServerConnection final : public GrpcConnection {
  public:
    GrpcServerConnection(Reactor& reactor, GrpcPeer peer, std::size_t transport_size)
        : GrpcConnection(reactor, peer.address, transport_size), peer_(std::move(peer)) {}

    [[nodiscard]] std::optional<Uuid> announced_id() const override { return peer_.id; }
    [[nodiscard]] std::optional<Certificate> peer_certificate() const override {
        return peer_.certificate;
    }
    bool refuse(const std::string& reason) override;

    /// The (next) call. False: another one is under way, or the stream is over.
    bool serve(std::shared_ptr<GrpcCall> call);
    void handle_cancelled(const GrpcCall& call);
    /// Rounds: the HTTP/2 connection of the client is gone. Any thread.
    void handle_address_gone();
    /// Rounds: nothing will be said to this address any more.
    [[nodiscard]] bool is_over() const;

  private:
    void advance_locked() override;
    void handle_read_end_locked() override;
    void handle_write_failed_locked() override;
    [[nodiscard]] bool is_duplex_locked() const override { return peer_.duplex; }
    void handle_turn() override;
    [[nodiscard]] bool wants_finish_locked() const;

    const GrpcPeer peer_;

    // Guarded by mutex_.
    bool answered_ = false;  // rounds: the reactor had its turn after the call's last octet
    bool address_gone_ = false;
    bool cancelled_ = false;  // the call is, and a write still under way
    grpc::Status status_;     // what ends a duplex call
};

}  // namespace nq::detail
