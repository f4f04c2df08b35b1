// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>

#include "transport/grpc/grpc_calls.hpp"
#include "transport/grpc/grpc_connection.hpp"
#include "transport/grpc/grpc_transport.hpp"

namespace nq::detail {

class GrpcClientConnection;

/// A call as its client sees it; see GrpcCall.
class GrpcClientCall final : public GrpcCall,
                             public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                             public std::enable_shared_from_this<GrpcClientCall> {
  public:
    GrpcClientCall(std::shared_ptr<GrpcClientConnection> connection,
                   std::shared_ptr<GrpcCalls> calls)
        : connection_(std::move(connection)), calls_(std::move(calls)) {}

    void start(grpc::GenericStub& stub, const Uuid& id, bool ask_for_stream);

    void start_read() override { StartRead(&incoming); }
    void start_write() override { StartWrite(&outgoing); }
    void finish(const grpc::Status&) override { StartWritesDone(); }
    void cancel() override { context_.TryCancel(); }
    void let_go() override { RemoveHold(); }

    void OnReadInitialMetadataDone(bool ok) override;
    void OnReadDone(bool ok) override;
    void OnWriteDone(bool ok) override;
    void OnWritesDoneDone(bool ok) override;
    void OnDone(const grpc::Status& status) override;

  private:
    const std::shared_ptr<GrpcClientConnection> connection_;
    const std::shared_ptr<GrpcCalls> calls_;
    grpc::ClientContext context_;
};

/// A client's connection. Its first call asks for one full-duplex stream; a server of ours grants
/// it in the call's initial metadata, and that call carries everything (duplex). An old server
/// says nothing: the client half-closes, reads to the end, and goes on in calls one after the
/// other, each after what was queued or else after a pause (rounds), for an old server can only
/// speak in answer to a call. Until the metadata came the first call serves for either.
///
///     undecided --metadata with the key--> duplex
///         +------metadata without it-----> rounds
///
/// An old server's session ends with its HTTP/2 connection, so no round begins on another. (One
/// that breaks in the moment between the look and the call is not seen: gRPC connects again
/// unasked.) Duplex: close half-closes after what was taken; a message that comes nevertheless is
/// told to the server by cancelling. A call that is cut off may be followed by another one on a new
/// connection: a server of ours keeps the session. Rounds: a call is never cut short; what was
/// taken but did not fit into the last call is lost with close. Thread safety: as GrpcConnection.
class GrpcClientConnection final : public GrpcConnection {
  public:
    GrpcClientConnection(Reactor& reactor, const NetworkLocation& location,
                         std::shared_ptr<grpc::Channel> channel, std::shared_ptr<GrpcCalls> calls,
                         const GrpcOptions& options);

    /// The first call begins. Reactor thread.
    void start();
    /// The server answered, or its HTTP/2 connection stands. Any thread.
    [[nodiscard]] bool is_open() const;
    /// Why it was lost, in gRPC's words. Any thread.
    [[nodiscard]] std::string reason() const;

    [[nodiscard]] bool may_come_back() const override;

    // For calls.
    void handle_metadata(const GrpcCall& call, bool duplex);
    void handle_half_closed(const GrpcCall& call);
    void handle_done(const GrpcCall& call, const grpc::Status& status);

  private:
    enum class Mode { undecided, duplex, rounds };

    void advance_locked() override;
    void handle_unwanted_locked() override;
    // handle_done tells what either means.
    void handle_read_end_locked() override;
    void handle_write_failed_locked() override;
    [[nodiscard]] bool is_duplex_locked() const override { return mode_ == Mode::duplex; }
    void handle_turn() override;
    void handle_detached() override;
    void begin_call_locked();
    void next_round_locked();
    [[nodiscard]] bool wants_half_close_locked() const;
    void look_again();
    void keep_alive();

    const std::shared_ptr<grpc::Channel> channel_;
    grpc::GenericStub stub_;
    const std::shared_ptr<GrpcCalls> calls_;
    const GrpcOptions options_;

    // Guarded by mutex_.
    Mode mode_ = Mode::undecided;
    bool answered_ = false;
    bool half_closing_ = false;  // the half-close is under way
    bool letting_go_ = false;    // of the call
    bool poll_due_ = false;      // an empty round
    bool cut_off_ = false;       // the call failed, and neither end wanted it to
    std::string reason_;

    // Belong to the reactor thread.
    Reactor::Timer timer_;  // duplex: keep-alive; rounds: the next one
    Duration pause_;
};

}  // namespace nq::detail
