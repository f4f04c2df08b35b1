// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>

#include "transport/grpc/grpc_calls.hpp"
#include "transport/grpc/grpc_transport.hpp"

namespace nq::detail {

/// What every dial of a transport needs.
struct GrpcDialContext {
    GrpcOptions options;
    std::shared_ptr<grpc::ChannelCredentials> credentials;
    std::shared_ptr<GrpcCalls> calls;
};

/// One attempt to connect: looks the name up, then tries one address after the other, each with a
/// channel of its own, until a first call is answered or its HTTP/2 connection stands. (An old
/// server may be unable to answer before it has read something.)
class GrpcDial final : public Dial {
  public:
    GrpcDial(Reactor& reactor, const NetworkLocation& location, GrpcDialContext context,
             DialHandler done);
    ~GrpcDial() override;

  private:
    class Attempt;
    const std::shared_ptr<Attempt> attempt_;
};

}  // namespace nq::detail
