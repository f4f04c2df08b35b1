// SPDX-License-Identifier: Apache-2.0
#include "communicator/transports.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/tls.hpp"
#include "session/frame.hpp"
#include "transport/tcp/tcp_transport.hpp"
#ifdef NQ_WITH_MQTT
#include "transport/mqtt/mqtt_transport.hpp"
#endif
#ifdef NQ_WITH_GRPC
#include "transport/grpc/grpc_transport.hpp"
#endif

namespace nq::detail {

namespace {

[[noreturn, maybe_unused]] void lacks(const std::string& what, const char* option) {
    raise({make_error_code(Errc::unsupported), Uuid(),
           "open: this build of net-queue has no " + what + "; configure it with -D" + option +
               "=ON"});
}

/// What lies over the sockets.
std::shared_ptr<ChannelMaker> layer_of(Purpose purpose, const Options& options) {
    if (!options.security) return nullptr;
#ifdef NQ_WITH_TLS
    auto tls = make_tls(purpose, *options.security);
    if (!tls) raise(tls.error());
    return *std::move(tls);
#else
    (void)purpose;
    lacks("TLS", "NET_QUEUE_WITH_TLS");
#endif
}

/// Over a broker, of which both ends are clients.
std::shared_ptr<Transport> make_mqtt(const Options& options) {
#ifdef NQ_WITH_MQTT
    if (options.netloc.port == 0) {
        throw std::invalid_argument("netloc.port: on MQTT the broker's, which can't be left open");
    }
    const auto opening = [](const Uuid& peer) {
        const IdentityFrame ini = encode_identity(peer);
        return std::vector<std::byte>(ini.begin(), ini.end());
    };
    return make_mqtt_transport(
        make_tcp_transport({.layer = layer_of(Purpose::client, options)}),
        {.id = *options.id,
         .broker = options.broker,
         .payload_size = std::min(options.connection.transport_size, options.broker.payload_size),
         .opening = opening});
#else
    (void)options;
    lacks("protocol mqtt", "NET_QUEUE_WITH_MQTT");
#endif
}

/// Over gRPC, which brings its own TLS but looks at keys and certificates only when somebody
/// connects: ours says before what is wrong with them.
std::shared_ptr<Transport> make_grpc(Purpose purpose, const Options& options) {
#ifdef NQ_WITH_GRPC
#ifdef NQ_WITH_TLS
    (void)layer_of(purpose, options);
#endif
    auto made = make_grpc_transport(
        purpose, {.id = *options.id, .transport_size = options.connection.transport_size},
        options.security);
    if (!made) raise(made.error());
    return *std::move(made);
#else
    (void)purpose;
    (void)options;
    lacks("protocol grpc", "NET_QUEUE_WITH_GRPC");
#endif
}

}  // namespace

std::shared_ptr<Transport> make_transport(Protocol protocol, Purpose purpose,
                                          const Options& options) {
    switch (protocol) {
        case Protocol::tcp: return make_tcp_transport({.layer = layer_of(purpose, options)});
        case Protocol::mqtt: return make_mqtt(options);
        case Protocol::grpc: return make_grpc(purpose, options);
    }
    raise({make_error_code(Errc::unsupported), Uuid(), "open: no such protocol"});
}

}  // namespace nq::detail
