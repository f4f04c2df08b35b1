// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_transport.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "testing/broker.hpp"
#include "transport/conformance.hpp"
#include "transport/tcp/tcp_transport.hpp"

namespace nq::detail::conformance {

namespace {

using testing::Broker;

/// A server and clients, each as a program of its own would be: under an id of its own.
class Programs final : public Transport {
  public:
    Programs(std::unique_ptr<Broker> broker, MqttOptions options)
        : broker_(std::move(broker)), options_(std::move(options)) {}

    Result<std::unique_ptr<Listener>> listen(std::span<Reactor* const> reactors,
                                             const NetworkLocation& location, AcceptHandler accept,
                                             TransportLog log) override {
        return program()->listen(reactors, location, std::move(accept), std::move(log));
    }
    std::unique_ptr<Dial> dial(Reactor& reactor, const NetworkLocation& location,
                               DialHandler done) override {
        return program()->dial(reactor, location, std::move(done));
    }
    [[nodiscard]] bool lossy() const override { return true; }

  private:
    [[nodiscard]] std::unique_ptr<Transport> program() const {
        MqttOptions options = options_;
        options.id = Uuid::random();
        return make_mqtt_transport(beneath_, std::move(options));
    }
    const std::unique_ptr<Broker> broker_;
    const std::shared_ptr<Transport> beneath_ = make_tcp_transport();
    const MqttOptions options_;
};

/// With a broker of its own: what a client of an earlier test left behind must not come here.
Candidate candidate_with(std::string name, MqttOptions options = {}) {
    auto broker = std::make_unique<Broker>();
    const NetworkLocation location = broker->location();
    return {.name = std::move(name),
            .transport = std::make_unique<Programs>(std::move(broker), std::move(options)),
            .location = location,
            .large = k_large,
            .through_broker = true};
}

}  // namespace

std::vector<Candidate> candidates() {
    std::vector<Candidate> all;
    all.push_back(candidate_with("mqtt"));
    for (const std::size_t payload_size : {std::size_t{4} << 20, std::size_t{100}}) {
        MqttOptions options;
        options.payload_size = payload_size;
        const std::string name = "mqtt, payloads of " + std::to_string(payload_size) + " octets";
        all.push_back(candidate_with(name, options));
        all.back().large = std::min(payload_size * 10'000, k_large);
    }
    return all;
}

}  // namespace nq::detail::conformance
