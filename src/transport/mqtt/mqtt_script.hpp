// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/conformance.hpp"
#include "transport/memory/memory_transport.hpp"
#include "transport/mqtt/mqtt_link.hpp"

namespace nq::detail::conformance {

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

inline std::string text_of(const mqtt::Octets& octets) {
    return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

/// Two octets and more, as text.
inline std::string octets(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values) text += static_cast<char>(value);
    return text;
}

inline std::string publish(const std::string& topic, const std::string& payload, int flags = 0) {
    const std::size_t length = 2 + topic.size() + payload.size();
    REQUIRE(length < 128 * 128);
    return octets({0x30 | flags, static_cast<int>(length % 128 | 128),
                   static_cast<int>(length / 128), 0, static_cast<int>(topic.size())}) +
           topic + payload;
}

inline const Uuid k_own = *Uuid::parse("00112233445566778899aabbccddeeff");
inline const Uuid k_other = *Uuid::parse("ffeeddccbbaa99887766554433221100");
inline const std::string k_connack = octets({0x20, 2, 0, 0});
inline const std::string k_suback = octets({0x90, 4, 0, 1, 0, 0});

inline MqttOptions options_with(Uuid id) {
    MqttOptions options;
    options.id = id;
    return options;
}

/// What the streams of a peer begin with, where they begin with something.
inline std::string opening_of(const Uuid& peer) {
    const auto& octets = peer.octets();
    return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

inline MqttOptions options_with_openings(Uuid id) {
    MqttOptions options = options_with(id);
    options.opening = [](const Uuid& peer) {
        const auto& octets = peer.octets();
        return std::vector<std::byte>(octets.begin(), octets.end());
    };
    return options;
}

/// A broker that is nothing but a script: what the transport says is heard, octet by octet, and
/// what it is told is written here.
struct Script {
    explicit Script(MqttOptions with = options_with(k_own), const MemoryOptions& wires = {})
        : options(std::move(with)),
          network(MemoryNetwork::create(wires)),
          transport(make_mqtt_transport(make_memory_transport(network), options)) {
        std::array<Reactor*, 1> reactors{&reactor};
        door = std::move(*make_memory_transport(network)->listen(
            reactors, {"broker", 0},
            [this](auto link) {
                broker = std::make_shared<Talker>(link);
                broker->start();
            },
            nullptr));
    }
    ~Script() {
        listener.reset();
        dial.reset();
        if (connection) connection->close();
        for (const auto& each : accepted) each->close();
        if (broker) broker->connection().close();
        for (int i = 0; i < 20; ++i) reactor.run_once(TimePoint());
    }

    /// A client of the transport under test.
    void begin_dial() {
        dial = transport->dial(reactor, door->location(), [this](auto result) {
            if (result) connection = *result;
            outcome = std::move(result);
        });
    }
    /// A server of it.
    void begin_listen() {
        std::array<Reactor*, 1> reactors{&reactor};
        listener = std::move(*transport->listen(
            reactors, door->location(), [this](auto came) { accepted.push_back(came); },
            [this](LogLevel, const std::string& text) { log.push_back(text); }));
    }
    void run_until(const std::function<bool()>& condition) {
        const auto deadline = std::chrono::steady_clock::now() + k_deadline;
        while (!condition()) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            reactor.run_once(deadline);
        }
    }
    void settle() {
        for (int i = 0; i < 20; ++i) reactor.run_once(TimePoint());
    }
    /// Waits until the transport has said exactly this since the last time.
    void hear(const std::string& expected) {
        run_until([&] { return broker != nullptr && broker->heard.size() >= expected.size(); });
        CHECK((broker->heard == expected));
        broker->heard.clear();
    }
    void say(const std::string& text) { broker->say(Chunk::copy_of(text)); }
    void open_client() {
        begin_dial();
        hear_connect(mqtt::Topic{mqtt::Channel::gone, options.id});
        say(k_connack);
        hear_octets(55);
        say(k_suback);
        run_until([&] { return outcome.has_value(); });
        REQUIRE(outcome->has_value());
        hear(octets({0xc0, 0}));  // the first sign of life
    }
    void open_server() {
        begin_listen();
        hear_connect(mqtt::Topic{mqtt::Channel::down, options.id});
        say(k_connack);
        hear_octets(24);
        say(k_suback);
        run_until([&] { return !log.empty(); });
        hear(octets({0xc0, 0}));
    }
    void hear_connect(const mqtt::Topic& will) {
        const auto keep_alive = static_cast<std::uint16_t>(options.broker.keep_alive.count());
        hear(text_of(mqtt::encode(mqtt::Connect{.id = options.id,
                                                .user = options.broker.user,
                                                .password = options.broker.password,
                                                .keep_alive = keep_alive,
                                                .will = will})));
    }
    void hear_octets(std::size_t n) {
        run_until([&] { return broker->heard.size() >= n; });
        CHECK(broker->heard.size() == n);
        broker->heard.clear();
    }

    const MqttOptions options;
    Reactor reactor;
    std::shared_ptr<MemoryNetwork> network;
    std::shared_ptr<Transport> transport;
    std::unique_ptr<Listener> door;
    std::shared_ptr<Talker> broker;
    std::unique_ptr<Dial> dial;
    std::unique_ptr<Listener> listener;
    std::optional<Result<std::shared_ptr<Connection>>> outcome;
    std::shared_ptr<Connection> connection;
    std::vector<std::shared_ptr<Connection>> accepted;
    std::vector<std::string> log;
};

inline std::string own_topic(const char* prefix) { return prefix + k_own.hex(); }

}  // namespace nq::detail::conformance
