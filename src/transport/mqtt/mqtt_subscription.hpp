// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "transport/mqtt/mqtt_transport.hpp"

namespace nq::detail {

/// See Transport::listen: keeps a server's link with the broker. Nothing is wrong with a broker
/// that is not there yet, or not at the moment: it is dialled again and again, with a line in the
/// log for each change.
std::unique_ptr<Listener> mqtt_listen(std::shared_ptr<Transport> beneath, Reactor& reactor,
                                      const NetworkLocation& broker, const MqttOptions& options,
                                      AcceptHandler accept, TransportLog log);

/// See Transport::dial: one link, for one connection.
std::unique_ptr<Dial> mqtt_dial(std::shared_ptr<Transport> beneath, Reactor& reactor,
                                const NetworkLocation& broker, const MqttOptions& options,
                                DialHandler done);

}  // namespace nq::detail
