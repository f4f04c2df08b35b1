// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_dial.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "io/limits.hpp"
#include "io/resolver.hpp"
#include "transport/grpc/grpc_client.hpp"
#include "transport/grpc/grpc_limits.hpp"

namespace nq::detail {

namespace {

grpc::ChannelArguments channel_arguments(const NetworkLocation& location) {
    grpc::ChannelArguments arguments;
    // WIRE.md, gRPC: a connection of one's own, no buffer for retries, nobody in between.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);  // none
    arguments.SetMaxReceiveMessageSize(static_cast<int>(limits::k_grpc_receive_max));
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
                     static_cast<int>(limits::k_grpc_window));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, limits::in_ms(limits::k_grpc_ping_after));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, limits::in_ms(limits::k_grpc_ping_answer));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, limits::in_ms(limits::k_connect_attempt));
    // The name is looked up here, but the certificate is made out to it.
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, location.to_string());
    return arguments;
}

/// An address as gRPC's resolvers write it.
std::string target_of(const SocketAddress& address) {
    return (address.family() == AF_INET6 ? "ipv6:" : "ipv4:") + address.to_string();
}

/// gRPC's reason without its preface: "failed to connect to all addresses; last error: UNKNOWN:
/// ipv4:127.0.0.1:4711: why".
std::string why(const std::string& reason, const std::string& target) {
    const auto at = reason.find(target + ": ");
    return at == std::string::npos ? reason : reason.substr(at + target.size() + 2);
}

/// The server is there, but not whom it should be: it will be no other the next time. gRPC tells it
/// in words alone.
bool is_untrusted(const std::string& reason) {
    return reason.find("certificate verify failed") != std::string::npos ||
           reason.find("CERTIFICATE_VERIFY_FAILED") != std::string::npos ||
           reason.find("is not in peer certificate") != std::string::npos;
}

/// What to look at, for what gRPC says of the attempts that failed.
const char* advice_for(const std::string& reason) {
    const auto tells = [&reason](const char* part) {
        return reason.find(part) != std::string::npos;
    };
    if (is_untrusted(reason)) {
        return "; is the server's certificate made out to this host, and by one of those in "
               "`certificate`?";
    }
    if (tells("wrong version number") || tells("WRONG_VERSION_NUMBER")) {
        return "; does the server speak TLS?";
    }
    // Somebody was there, and hung up.
    if (tells("Socket closed") || tells("Connection reset")) {
        return "; does the server demand TLS, or a certificate from its clients?";
    }
    return "; is a server running there?";
}

}  // namespace

/// The work of one dial. While it waits it is the handler of the connection it makes.
/// Owned by the GrpcDial and that connection. Thread safety: belongs to the reactor thread.
class GrpcDial::Attempt final : public ConnectionHandler,
                                public std::enable_shared_from_this<Attempt> {
  public:
    Attempt(Reactor& reactor, NetworkLocation location, GrpcDialContext context, DialHandler done)
        : reactor_(reactor),
          location_(std::move(location)),
          context_(std::move(context)),
          done_(std::move(done)) {}

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
        timer_.cancel();
        if (connection_ != nullptr) std::exchange(connection_, nullptr)->close();
    }

    void handle_readable() override {}
    void handle_writable() override {}
    void handle_released(std::size_t) override {}
    void handle_lost(Failure) override {
        const auto self = shared_from_this();
        timer_.cancel();
        const auto connection = std::exchange(connection_, nullptr);
        if (connection == nullptr) return;
        if (!notes_.empty()) notes_ += ", ";
        notes_ += why(connection->reason(), target_);
        connection->close();
        if (!is_untrusted(notes_)) return try_next();
        finish(dial_failure(Errc::untrusted, location_, notes_ + advice_for(notes_)));
    }

  private:
    void try_next() {
        context_.calls->drop_channels();
        if (next_ == addresses_.size()) {
            finish(dial_failure(Errc::connection_reset, location_, notes_ + advice_for(notes_)));
            return;
        }
        target_ = target_of(addresses_[next_++]);
        auto channel =
            grpc::CreateCustomChannel(target_, context_.credentials, channel_arguments(location_));
        connection_ = std::make_shared<GrpcClientConnection>(
            reactor_, location_, context_.calls->keep(std::move(channel)), context_.calls,
            context_.options);
        connection_->set_handler(shared_from_this());
        connection_->start();
        pause_ = limits::k_grpc_dial_look_min;
        look_later();
    }

    void look_later() {
        timer_ = reactor_.call_after(pause_, [this] {
            if (connection_->is_open()) {
                finish(std::shared_ptr<Connection>(std::exchange(connection_, nullptr)));
                return;
            }
            pause_ = std::min<Duration>(pause_ * 2, limits::k_grpc_dial_look_max);
            look_later();
        });
    }

    void finish(Result<std::shared_ptr<Connection>> result) {
        // Out of the object first: the handler may destroy the dial.
        const auto self = shared_from_this();
        if (const DialHandler done = std::exchange(done_, nullptr)) done(std::move(result));
    }

    Reactor& reactor_;
    const NetworkLocation location_;
    const GrpcDialContext context_;
    DialHandler done_;
    std::optional<Resolution> resolution_;
    Addresses addresses_;
    std::size_t next_ = 0;
    std::string target_;  // the address tried
    std::shared_ptr<GrpcClientConnection> connection_;
    Reactor::Timer timer_;
    Duration pause_{};
    std::string notes_;  // why each address failed
};

GrpcDial::GrpcDial(Reactor& reactor, const NetworkLocation& location, GrpcDialContext context,
                   DialHandler done)
    : attempt_(std::make_shared<Attempt>(reactor, location, std::move(context), std::move(done))) {
    attempt_->start();
}

GrpcDial::~GrpcDial() { attempt_->abandon(); }

}  // namespace nq::detail
