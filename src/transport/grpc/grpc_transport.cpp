// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_transport.hpp"

#include <grpc/support/log.h>

#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "transport/grpc/grpc_credentials.hpp"
#include "transport/grpc/grpc_dial.hpp"
#include "transport/grpc/grpc_limits.hpp"
#include "transport/grpc/grpc_listener.hpp"

namespace nq::detail {

namespace {

/// gRPC prints its errors, and strangers can cause some. Unless the user asks for them in gRPC's
/// own way, a library that never prints keeps them off, in the whole process.
void silence_grpc() {
    static std::once_flag once;
    std::call_once(once, [] {
        if (std::getenv("GRPC_VERBOSITY") != nullptr || std::getenv("GRPC_TRACE") != nullptr) {
            return;
        }
        gpr_set_log_function([](gpr_log_func_args*) {});
    });
}

class GrpcTransport final : public Transport {
  public:
    GrpcTransport(const GrpcOptions& options,
                  std::shared_ptr<grpc::ServerCredentials> server_credentials,
                  std::shared_ptr<grpc::ChannelCredentials> client_credentials)
        : options_(options),
          server_credentials_(std::move(server_credentials)),
          client_credentials_(std::move(client_credentials)) {}

    ~GrpcTransport() override {
        calls_->wait(limits::k_grpc_last_flush);
        for (const auto& service : services_) service->shut_down();
    }

    [[nodiscard]] bool has_threads() const override { return true; }

    Result<std::unique_ptr<Listener>> listen(std::span<Reactor* const> reactors,
                                             const NetworkLocation& location, AcceptHandler accept,
                                             TransportLog log) override {
        auto service = GrpcService::start(options_, server_credentials_);
        if (service == nullptr) {
            return Failure{make_error_code(Errc::connection_aborted),
                           {},
                           "cannot listen on " + location.to_string() +
                               ": gRPC starts no server; GRPC_VERBOSITY=ERROR shows why"};
        }
        services_.push_back(service);
        return GrpcListener::listen(reactors, location, std::move(service), std::move(accept),
                                    std::move(log));
    }

    std::unique_ptr<Dial> dial(Reactor& reactor, const NetworkLocation& location,
                               DialHandler done) override {
        return std::make_unique<GrpcDial>(reactor, location,
                                          GrpcDialContext{options_, client_credentials_, calls_},
                                          std::move(done));
    }

  private:
    const GrpcOptions options_;
    const std::shared_ptr<grpc::ServerCredentials> server_credentials_;
    const std::shared_ptr<grpc::ChannelCredentials> client_credentials_;
    const std::shared_ptr<GrpcCalls> calls_ = std::make_shared<GrpcCalls>();
    std::vector<std::shared_ptr<GrpcService>> services_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_grpc_transport(
    Purpose purpose, const GrpcOptions& options, const std::optional<SecurityOptions>& security) {
    silence_grpc();
    std::shared_ptr<grpc::ServerCredentials> serving;
    std::shared_ptr<grpc::ChannelCredentials> dialling;
    if (!security || purpose == Purpose::server) {
        auto made = server_credentials(security);
        if (!made) return made.error();
        serving = *std::move(made);
    }
    if (!security || purpose == Purpose::client) {
        auto made = client_credentials(security);
        if (!made) return made.error();
        dialling = *std::move(made);
    }
    return std::unique_ptr<Transport>(
        std::make_unique<GrpcTransport>(options, std::move(serving), std::move(dialling)));
}

}  // namespace nq::detail
