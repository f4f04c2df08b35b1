// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_peer.hpp"

#include <array>
#include <utility>

#include "transport/grpc/grpc_limits.hpp"

namespace nq::detail {

namespace {

/// What gRPC calls ipv6:%5B::1%5D:4711 is [::1]:4711.
std::string address_of(const std::string& peer) {
    const std::size_t scheme = peer.find(':');
    std::string address = scheme == std::string::npos ? peer : peer.substr(scheme + 1);
    for (const auto& [escaped, octet] : std::array<std::pair<const char*, const char*>, 3>{
             {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}}}) {
        if (const auto at = address.find(escaped); at != std::string::npos) {
            address.replace(at, 3, octet);
        }
    }
    return plain_address(std::move(address));
}

}  // namespace

std::string plain_address(std::string address) {
    constexpr std::string_view k_mapped = "[::ffff:";
    const std::size_t end = address.find(']');
    if (!address.starts_with(k_mapped) || end == std::string::npos ||
        address.find('.') == std::string::npos) {
        return address;
    }
    return address.substr(k_mapped.size(), end - k_mapped.size()) + address.substr(end + 1);
}

std::optional<GrpcPeer> read_peer(const std::string& peer, const GrpcMetadata& metadata) {
    GrpcPeer read{.address = address_of(peer)};
    if (const auto id = metadata.find(limits::k_grpc_id_key); id != metadata.end()) {
        read.id = Uuid::parse({id->second.data(), id->second.size()});
        if (!read.id) return std::nullopt;
    }
    const auto stream = metadata.find(limits::k_grpc_stream_key);
    read.duplex = stream != metadata.end() && stream->second == "1";
    return read;
}

}  // namespace nq::detail
