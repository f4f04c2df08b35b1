// SPDX-License-Identifier: Apache-2.0
#include <net_queue/options.hpp>

namespace nq {

std::string_view to_string(Protocol protocol) {
    switch (protocol) {
        case Protocol::tcp: return "tcp";
        case Protocol::mqtt: return "mqtt";
        case Protocol::grpc: return "grpc";
    }
    return "unknown protocol";
}

std::string_view to_string(Purpose purpose) {
    switch (purpose) {
        case Purpose::server: return "server";
        case Purpose::client: return "client";
    }
    return "unknown purpose";
}

std::string NetworkLocation::to_string() const {
    const bool bare_ipv6 = host.find(':') != std::string::npos && !host.starts_with('[');
    const std::string shown = bare_ipv6 ? '[' + host + ']' : host;
    return shown + ':' + std::to_string(port);
}

}  // namespace nq
