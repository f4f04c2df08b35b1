// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include <net_queue/options.hpp>
#include <net_queue/uuid.hpp>

#include "transport/transport.hpp"

namespace nq::detail {

struct GrpcOptions {
    /// Who dials; told to servers of ours beneath the stream.
    Uuid id = {};
    /// Octets of the longest message sent; in a stream never more than 1 MiB, in rounds than 4 MiB.
    std::size_t transport_size = std::size_t{4} << 20;
    /// false: dial and serve as an old peer does, in rounds.
    bool duplex = true;
};

/// Connections over gRPC calls (WIRE.md, gRPC). With `security`, over TLS, in the role of `purpose`
/// alone; a Failure (invalid_certificate) says which file can't be used.
///
/// When it goes, which is after its connections were closed, it waits for what is still on its way,
/// a second at most.
Result<std::unique_ptr<Transport>> make_grpc_transport(
    Purpose purpose, const GrpcOptions& options,
    const std::optional<SecurityOptions>& security = std::nullopt);

}  // namespace nq::detail
