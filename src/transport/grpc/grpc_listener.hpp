// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "io/acceptor.hpp"
#include "transport/grpc/grpc_service.hpp"

namespace nq::detail {

/// Accepts sockets and hands them to the service. Thread safety: as Listener.
class GrpcListener final : public Listener {
  public:
    /// The port is taken at once, or the Failure says why not.
    static Result<std::unique_ptr<Listener>> listen(std::span<Reactor* const> reactors,
                                                    const NetworkLocation& location,
                                                    std::shared_ptr<GrpcService> service,
                                                    AcceptHandler accept, TransportLog log);
    /// For listen.
    GrpcListener(std::shared_ptr<GrpcService> service, std::shared_ptr<Acceptor> acceptor)
        : service_(std::move(service)), acceptor_(std::move(acceptor)) {}
    ~GrpcListener() override;

    [[nodiscard]] NetworkLocation location() const override { return acceptor_->location(); }

  private:
    const std::shared_ptr<GrpcService> service_;
    const std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace nq::detail
