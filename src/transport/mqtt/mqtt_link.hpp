// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "transport/mqtt/mqtt_connection.hpp"
#include "transport/mqtt/mqtt_inlet.hpp"
#include "transport/mqtt/mqtt_outlet.hpp"
#include "transport/mqtt/mqtt_transport.hpp"

namespace nq::detail {

/// One link with a broker: a connection of another transport beneath, on which MQTT is spoken, and
/// the connections that share it.
///
///     connecting --CONNACK--> subscribing --SUBACK--> open
///          |                       |                   | nobody needs it any more
///          |                       |                   v
///          +-------- lost ---------+----- lost ---> leaving --broker closed, deadline--> ended
///
/// Held by who made it until it is open or lost, by the connection beneath, whose handler it is,
/// and by its connections.
/// Thread safety: send, receive and leaving from any thread; the rest, and the events, on the
/// reactor thread.
class MqttLink final : public ConnectionHandler, public std::enable_shared_from_this<MqttLink> {
  public:
    using Role = MqttConnection::Role;
    using Sender = std::shared_ptr<MqttConnection>;

    struct Events {
        /// It is open. A client's connection comes with it.
        std::function<void(std::shared_ptr<Connection>)> open;
        /// Server: a client's stream begins.
        std::function<void(std::shared_ptr<Connection>)> came;
        /// It failed, and all its connections were told. Not after it began to leave.
        std::function<void(Failure)> lost;
        TransportLog log;
    };

    MqttLink(std::shared_ptr<Connection> beneath, Role role, MqttOptions options,
             NetworkLocation broker, Events events);

    /// Becomes the handler of the connection beneath and introduces itself.
    void start();
    /// Who made it needs it no longer: no event follows, no client comes in any more; it leaves
    /// when its last connection does.
    void release();

    // For connections.
    Result<Connection::Sent> send(const Sender& sender, std::span<const Chunk> chunks);
    Result<std::size_t> receive(const Sender& reader, std::span<const Connection::Target> targets);
    /// A server's connection has received all: its client's next octets begin another. Reactor
    /// thread.
    void end_route(const Sender& connection);
    /// A server's connection said goodbye.
    void part(const Sender& connection);
    /// The connection was closed.
    void forget(const Sender& connection);
    /// It says goodbye to the broker: what was sent may still be on its way.
    [[nodiscard]] bool leaving() const;
    [[nodiscard]] Reactor& reactor() const { return beneath_->reactor(); }

    void handle_readable() override;
    void handle_writable() override { serve(); }
    void handle_released(std::size_t) override {}
    void handle_lost(Failure failure) override;

  private:
    enum class State { connecting, subscribing, open, leaving, ended };

    void dispatch();
    [[nodiscard]] bool dispatch_some();
    [[nodiscard]] bool dispatch_one();
    void say(Chunk packet);
    void serve();
    void handle(const mqtt::Connack& connack);
    void handle(const mqtt::Suback& suback);
    [[nodiscard]] bool route(const mqtt::Publish& publish);
    [[nodiscard]] std::optional<bool> begins_stream(const mqtt::Publish& publish,
                                                    std::span<const std::byte> opening);
    void handle_gone(const Uuid& client);
    void handle_down(const Uuid& server);
    void end_stream(const Sender& connection, Failure failure);
    void ignore();
    void add(const Sender& connection);
    void remove(const Sender& connection);
    void leave(bool goodbye);
    void finish_leaving();
    void lose(Failure failure);
    void watch_health();
    void post(void (MqttLink::*what)());
    [[nodiscard]] Failure broken(const Failure& failure) const;
    [[nodiscard]] Failure refused(unsigned code) const;

    // Constant after construction.
    const std::shared_ptr<Connection> beneath_;
    const Role role_;
    const MqttOptions options_;
    const NetworkLocation broker_;

    // Any thread.
    MqttInlet inlet_;
    MqttOutlet outlet_;
    std::atomic<bool> leaving_{false};

    // Belong to the reactor thread.
    Events events_;
    State state_ = State::connecting;
    bool needed_ = true;  ///< release was not called yet
    bool dispatching_ = false;
    bool half_closed_ = false;
    bool deserted_ = false;  ///< server: somebody was left without a goodbye, the broker shall tell
    std::unordered_set<Sender> connections_;   ///< open ones
    std::unordered_map<Uuid, Sender> routes_;  ///< those that receive, by client
    Sender departing_;                         ///< waits for the end of the goodbye
    Reactor::Timer deadline_;
    Reactor::Timer health_;
    std::uint64_t heard_ = 0;  ///< octets, when the broker was last heard
    TimePoint heard_at_;
    bool pinged_ = false;  ///< and not answered yet
    std::uint64_t ignored_ = 0;
    std::uint64_t ignored_told_ = 0;
    TimePoint ignored_told_at_;
};

}  // namespace nq::detail
