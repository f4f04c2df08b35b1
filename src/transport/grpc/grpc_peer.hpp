// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/string_ref.h>

#include <map>
#include <optional>
#include <string>

#include <net_queue/options.hpp>
#include <net_queue/uuid.hpp>

namespace nq::detail {

/// Who is at the other end of a server's connection, as far as the calls say.
struct GrpcPeer {
    std::string address;          ///< host:port, what ties the rounds of an old client together
    bool duplex = false;          ///< it asked for one full-duplex stream
    std::optional<Uuid> id = {};  ///< it says so
    std::optional<Certificate> certificate = {};  ///< it proved so
};

using GrpcMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;

/// What a call says of itself: gRPC's name for its peer, and its metadata, which are anybody's.
/// Nothing: its id is none. The certificate is not filled in.
[[nodiscard]] std::optional<GrpcPeer> read_peer(const std::string& peer,
                                                const GrpcMetadata& metadata);

/// host:port. An IPv4 address that came through an IPv6 socket is written both ways:
/// [::ffff:127.0.0.1]:4711.
[[nodiscard]] std::string plain_address(std::string address);

}  // namespace nq::detail
