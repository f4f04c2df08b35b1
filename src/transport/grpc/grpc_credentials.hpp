// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <optional>

#include <net_queue/error.hpp>
#include <net_queue/options.hpp>

namespace nq::detail {

/// What gRPC needs for TLS, from the files that the options name; insecure without options. The
/// Failure (invalid_certificate) says which file can't be used, and why.
Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(
    const std::optional<SecurityOptions>& security);
Result<std::shared_ptr<grpc::ChannelCredentials>> client_credentials(
    const std::optional<SecurityOptions>& security);

/// What the peer of a call showed and gRPC verified; nothing where it showed none.
std::optional<Certificate> certificate_of(const grpc::AuthContext* context);

}  // namespace nq::detail
