// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_transport.hpp"

#include <cassert>
#include <utility>

#include "transport/mqtt/mqtt_subscription.hpp"

namespace nq::detail {

namespace {

class MqttTransport final : public Transport {
  public:
    MqttTransport(std::shared_ptr<Transport> beneath, MqttOptions options)
        : beneath_(std::move(beneath)), options_(std::move(options)) {}

    Result<std::unique_ptr<Listener>> listen(std::span<Reactor* const> reactors,
                                             const NetworkLocation& location, AcceptHandler accept,
                                             TransportLog log) override {
        assert(!reactors.empty());
        return mqtt_listen(beneath_, *reactors.front(), location, options_, std::move(accept),
                           std::move(log));
    }

    std::unique_ptr<Dial> dial(Reactor& reactor, const NetworkLocation& location,
                               DialHandler done) override {
        return mqtt_dial(beneath_, reactor, location, options_, std::move(done));
    }

    [[nodiscard]] bool lossy() const override { return true; }
    Result<void> reload_certificates() override { return beneath_->reload_certificates(); }

  private:
    const std::shared_ptr<Transport> beneath_;
    const MqttOptions options_;
};

}  // namespace

std::unique_ptr<Transport> make_mqtt_transport(std::shared_ptr<Transport> beneath,
                                               MqttOptions options) {
    return std::make_unique<MqttTransport>(std::move(beneath), std::move(options));
}

}  // namespace nq::detail
