// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/socket.hpp"
#include "transport/grpc/grpc_server.hpp"
#include "transport/grpc/grpc_transport.hpp"

namespace nq::detail {

/// gRPC's server behind one listener: takes sockets that were accepted, makes connections of the
/// calls that come over them, and ties the rounds of an old client together by its address.
///
/// gRPC never listens itself, so a listener that goes frees its port and leaves the calls alone,
/// and what gRPC does not tell is seen at the socket, through a second descriptor: the end of an
/// HTTP/2 connection between two rounds, and one that makes no call.
/// Owned by its transport, and outlived by nothing of its own: shut_down waits for its calls.
/// Thread safety: listening (open, take, close_door) on the first reactor's thread; calls on
/// gRPC's.
class GrpcService final : public grpc::CallbackGenericService,
                          public std::enable_shared_from_this<GrpcService> {
  public:
    /// Null if gRPC starts no server.
    static std::shared_ptr<GrpcService> start(
        const GrpcOptions& options, const std::shared_ptr<grpc::ServerCredentials>& credentials);
    explicit GrpcService(const GrpcOptions& options) : options_(options) {}

    /// Connections go to `accept` from now on, round the reactors.
    void open(std::span<Reactor* const> reactors, AcceptHandler accept, TransportLog log);
    void take(Socket socket);
    /// No new connections; those there are go on, old clients with further rounds.
    void close_door();
    /// Ends every call, those with octets on their way within a while. After all connections were
    /// closed.
    void shut_down();

    grpc::ServerGenericBidiReactor* CreateReactor(
        grpc::GenericCallbackServerContext* context) override;

    // For its links; first reactor's thread.
    class Link;
    void handle_gone(const std::string& address, const Link& link);

  private:
    struct Door {
        std::vector<Reactor*> reactors;
        AcceptHandler accept;
        TransportLog log;
        std::size_t next = 0;
    };

    grpc::Status serve(grpc::GenericCallbackServerContext& context,
                       const std::shared_ptr<GrpcServerCall>& call);
    grpc::Status welcome_locked(GrpcPeer peer, const std::shared_ptr<GrpcServerCall>& call);
    void note_call_locked(const GrpcPeer& peer);
    void drop_callless_locked();
    [[nodiscard]] std::shared_ptr<Link> link_of(const std::string& address) const;

    const GrpcOptions options_;
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
    std::unique_ptr<grpc::Server> server_;

    mutable std::mutex mutex_;    // guards what follows; before the locks of connections
    std::shared_ptr<Door> door_;  // null once closed
    std::unordered_map<std::string, std::shared_ptr<Link>> links_;  // by address
    std::vector<std::weak_ptr<Link>> callless_;  // oldest first; some may have called meanwhile
    std::unordered_map<std::string, std::shared_ptr<GrpcServerConnection>> rounds_;  // by address
};

}  // namespace nq::detail
