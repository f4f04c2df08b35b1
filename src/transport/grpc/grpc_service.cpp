// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_service.hpp"

#include <atomic>
#include <system_error>
#include <utility>

#include "io/limits.hpp"
#include "transport/grpc/grpc_credentials.hpp"
#include "transport/grpc/grpc_limits.hpp"
#include "transport/grpc/grpc_peer.hpp"

namespace nq::detail {

/// The HTTP/2 connection beneath calls, as seen through a second descriptor of its socket.
/// Owned by the service and, while watched, by the first reactor, to whose thread it belongs but
/// for `called`.
class GrpcService::Link final : public Reactor::Source, public std::enable_shared_from_this<Link> {
  public:
    Link(Reactor& reactor, Socket socket, std::string address, std::weak_ptr<GrpcService> service)
        : reactor_(reactor),
          socket_(std::move(socket)),
          address_(std::move(address)),
          service_(std::move(service)) {}

    /// False where the system gives no more.
    bool watch() {
        try {
            reactor_.watch(socket_.fd(), shared_from_this());
        } catch (const std::system_error&) {
            return false;
        }
        deadline_ = reactor_.call_after(limits::k_grpc_first_call, [this] {
            // relaxed: a flag that stands alone.
            if (!called.load(std::memory_order_relaxed)) cut();
        });
        return true;
    }
    void unwatch() {
        deadline_.cancel();
        reactor_.unwatch(socket_.fd());
    }
    /// gRPC sees the end of the connection and closes it.
    void cut() { socket_.shut_down(); }
    [[nodiscard]] const std::string& address() const { return address_; }
    [[nodiscard]] Reactor& reactor() const { return reactor_; }

    void handle_ready(bool, bool) override {}
    void handle_hangup(bool) override {
        const auto self = shared_from_this();
        unwatch();
        if (const auto service = service_.lock()) service->handle_gone(address_, *this);
    }
    void handle_reactor_gone() override { deadline_.cancel(); }

    std::atomic<bool> called{false};

  private:
    Reactor& reactor_;
    const Socket socket_;
    const std::string address_;
    const std::weak_ptr<GrpcService> service_;
    Reactor::Timer deadline_;
};

std::shared_ptr<GrpcService> GrpcService::start(
    const GrpcOptions& options, const std::shared_ptr<grpc::ServerCredentials>& credentials) {
    auto service = std::make_shared<GrpcService>(options);
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(service.get());
    builder.SetMaxReceiveMessageSize(static_cast<int>(limits::k_grpc_receive_max));
    builder.SetMaxSendMessageSize(-1);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
                               static_cast<int>(limits::k_grpc_window));
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                               limits::in_ms(limits::k_grpc_first_call));
    // A dead client is found whether or not octets are outstanding to it; the clients' own pings
    // (grpc_dial.cpp) are welcome.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                               limits::in_ms(limits::k_grpc_ping_after));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                               limits::in_ms(limits::k_grpc_ping_answer));
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               limits::in_ms(limits::k_grpc_ping_after) / 2);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    service->acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
    service->server_ = builder.BuildAndStart();
    return service->server_ == nullptr ? nullptr : service;
}

void GrpcService::open(std::span<Reactor* const> reactors, AcceptHandler accept, TransportLog log) {
    const std::lock_guard lock(mutex_);
    door_ = std::make_shared<Door>(
        Door{{reactors.begin(), reactors.end()}, std::move(accept), std::move(log)});
}

void GrpcService::take(Socket socket) {
    (void)socket.set_connection_options(limits::k_dead_peer);
    const std::string address = plain_address(SocketAddress::peer_of(socket.fd()).to_string());
    if (const auto before = link_of(address)) handle_gone(address, *before);  // not told of yet
    {
        const std::lock_guard lock(mutex_);
        if (door_ == nullptr) return;
        auto link = std::make_shared<Link>(*door_->reactors.front(), socket.duplicate(), address,
                                           weak_from_this());
        if (!link->watch()) {
            door_->log(LogLevel::error, "cannot serve " + address + ": no descriptors left");
            return;
        }
        callless_.push_back(link);
        links_[address] = std::move(link);
        drop_callless_locked();
    }
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.fd = socket.release();
    acceptor_->HandleNewConnection(&parameters);
}

void GrpcService::drop_callless_locked() {
    if (callless_.size() <= limits::k_grpc_callless_max) return;
    std::erase_if(callless_, [](const auto& weak) {
        const auto link = weak.lock();
        // relaxed: a flag that stands alone.
        return link == nullptr || link->called.load(std::memory_order_relaxed);
    });
    if (callless_.size() <= limits::k_grpc_callless_max) return;
    if (const auto oldest = callless_.front().lock()) oldest->cut();
    callless_.erase(callless_.begin());
}

void GrpcService::handle_gone(const std::string& address, const Link& link) {
    std::shared_ptr<GrpcServerConnection> gone;
    {
        const std::lock_guard lock(mutex_);
        const auto found = links_.find(address);
        // The address may be another's by now: whoever took it over has seen to the rest.
        if (found == links_.end() || found->second.get() != &link) return;
        links_.erase(found);
        if (auto node = rounds_.extract(address)) gone = std::move(node.mapped());
    }
    if (gone != nullptr) gone->handle_address_gone();
}

std::shared_ptr<GrpcService::Link> GrpcService::link_of(const std::string& address) const {
    const std::lock_guard lock(mutex_);
    const auto found = links_.find(address);
    return found == links_.end() ? nullptr : found->second;
}

void GrpcService::close_door() {
    std::shared_ptr<Door> closed;  // goes without the lock, with whatever its handler owns
    const std::lock_guard lock(mutex_);
    closed = std::exchange(door_, nullptr);
    for (const auto& [address, link] : links_) {
        // relaxed: a flag that stands alone.
        if (!link->called.load(std::memory_order_relaxed)) link->cut();
    }
}

void GrpcService::shut_down() {
    server_->Shutdown(std::chrono::system_clock::now() + limits::k_grpc_last_flush);
    server_.reset();
}

grpc::ServerGenericBidiReactor* GrpcService::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
    const auto call = std::make_shared<GrpcServerCall>(*context);
    call->keep();
    if (const grpc::Status status = serve(*context, call); !status.ok()) call->finish(status);
    return call.get();
}

grpc::Status GrpcService::serve(grpc::GenericCallbackServerContext& context,
                                const std::shared_ptr<GrpcServerCall>& call) {
    if (context.method() != limits::k_grpc_method) {
        return {grpc::StatusCode::UNIMPLEMENTED,
                "net-queue has one method: " + std::string(limits::k_grpc_method)};
    }
    auto read = read_peer(context.peer(), context.client_metadata());
    if (!read) return {grpc::StatusCode::INVALID_ARGUMENT, "nq-id: 32 hexadecimal digits"};
    GrpcPeer peer = *std::move(read);
    peer.duplex = peer.duplex && options_.duplex;
    peer.certificate = certificate_of(context.auth_context().get());
    if (peer.duplex) context.AddInitialMetadata(limits::k_grpc_stream_key, "1");
    call->StartSendInitialMetadata();

    const std::lock_guard lock(mutex_);
    note_call_locked(peer);
    if (!peer.duplex) {
        const auto known = rounds_.find(peer.address);
        if (known != rounds_.end()) {
            call->belong_to(known->second);
            if (known->second->serve(call)) return {};
            call->belong_to(nullptr);
            if (!known->second->is_over()) {
                return {grpc::StatusCode::FAILED_PRECONDITION, "another call is under way"};
            }
            rounds_.erase(known);
        }
    }
    return welcome_locked(std::move(peer), call);
}

// A link serves rounds; a duplex call tells its end itself.
void GrpcService::note_call_locked(const GrpcPeer& peer) {
    const auto found = links_.find(peer.address);
    if (found == links_.end()) return;
    found->second->called.store(true, std::memory_order_relaxed);  // relaxed: it stands alone
    if (!peer.duplex || door_ == nullptr) return;
    auto link = std::move(found->second);
    links_.erase(found);
    Reactor& reactor = link->reactor();
    reactor.post([link = std::move(link)] { link->unwatch(); });
}

grpc::Status GrpcService::welcome_locked(GrpcPeer peer,
                                         const std::shared_ptr<GrpcServerCall>& call) {
    if (door_ == nullptr) return {grpc::StatusCode::UNAVAILABLE, "the server is closing"};
    Reactor& reactor = *door_->reactors[door_->next++ % door_->reactors.size()];
    const bool duplex = peer.duplex;
    const std::string address = peer.address;
    auto connection =
        std::make_shared<GrpcServerConnection>(reactor, std::move(peer), options_.transport_size);
    if (!duplex) rounds_[address] = connection;
    call->belong_to(connection);
    (void)connection->serve(call);
    // Under the lock, so that the door is open and its reactors are there.
    reactor.post([service = shared_from_this(), connection = std::move(connection)] {
        std::shared_ptr<Door> door;
        {
            const std::lock_guard again(service->mutex_);
            door = service->door_;
        }
        if (door == nullptr) return connection->close();
        door->accept(connection);
    });
    return {};
}

}  // namespace nq::detail
