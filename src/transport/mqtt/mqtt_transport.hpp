// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "transport/transport.hpp"

namespace nq::detail {

struct MqttOptions {
    /// Whom it speaks for. A broker lets in one client of a name at a time, so with one transport
    /// either listen or dial, and once.
    Uuid id;
    BrokerOptions broker;
    /// Octets of the largest payload published.
    std::size_t payload_size = BrokerOptions().payload_size;
    /// The octets that every stream of that peer begins with, as many for each. A broker knows no
    /// connections: what begins otherwise is the rest of a stream that is over, or a stranger's;
    /// and a server's will is for those to whom it spoke. Absent: any, and no server's will is
    /// minded.
    std::function<std::vector<std::byte>(const Uuid& peer)> opening;
    /// For the broker to let us in and take the subscription.
    std::chrono::milliseconds handshake = std::chrono::seconds{10};
};

/// Connections over MQTT 3.1.1 through a broker, at the location given to listen and dial, which is
/// reached by the transport beneath (WIRE.md, MQTT). See docs/transports/mqtt.md.
///
/// A Listener keeps a link with the broker for as long as it lives: one that is not there, or goes,
/// is dialled again for ever. A dial is done once the own topic is subscribed. The connections of a
/// lost link fail with stream_broken. All live on the first reactor.
/// REQUIRES: the transport beneath releases the octets it takes, as TCP does.
std::unique_ptr<Transport> make_mqtt_transport(std::shared_ptr<Transport> beneath,
                                               MqttOptions options);

}  // namespace nq::detail
