// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "transport/mqtt/mqtt_packet.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

class MqttConnection;

/// What goes to the broker: the payloads of many connections, each cut into PUBLISH packets, one
/// packet at a time, in turn. Of a packet that was begun it holds the Chunks until the connection
/// beneath has taken them, so it is completed whatever becomes of its sender. It holds no octet
/// beyond that.
///
/// REQUIRES: the connection beneath releases what it takes (as TCP and TLS do, which copy).
/// Invariants: owed <= octets of the packet begun; one that waits is asked again by `poll`.
/// Thread safety: all methods, from any thread; poll by one thread, the reactor's.
class MqttOutlet {
  public:
    MqttOutlet(std::shared_ptr<Connection> beneath, std::size_t payload_size);

    struct Outcome {
        Connection::Sent sent;
        bool poll = false;  ///< somebody else has to be told: `poll` should be asked
    };
    /// As Connection::send, for the sender of `topic`; of one that is closed nothing is taken.
    Result<Outcome> send(const std::shared_ptr<MqttConnection>& sender, const mqtt::Topic& topic,
                         std::span<const Chunk> chunks);
    /// A whole packet without payload, as soon as no other packet is under way. Its octets live for
    /// ever or belong to the Chunk. True: somebody has to be told, so `poll` should be asked.
    [[nodiscard]] bool send_control(Chunk packet);

    struct Turn {
        std::shared_ptr<MqttConnection> next;  ///< may send; null: nobody waits, or there's no room
        std::vector<std::pair<std::shared_ptr<MqttConnection>, std::size_t>> released;
    };
    /// What is to be told to whom, after handle_writable or when a call asked for it.
    Turn poll();
    /// The sender, which is closed or lost, is told nothing any more; a packet of it that was begun
    /// is completed.
    void forget(const std::shared_ptr<MqttConnection>& sender);
    /// Nothing is under way.
    [[nodiscard]] bool idle() const;

  private:
    /// What a sender offers and no packet holds yet.
    struct Octets {
        std::span<const Chunk> chunks;
        std::size_t used = 0;  ///< of the first chunk
    };

    Result<void> flush();
    void begin_publish(const mqtt::Topic& topic, Octets& octets, std::size_t n);
    void wait(const std::shared_ptr<MqttConnection>& sender);

    // Constant after construction.
    const std::shared_ptr<Connection> beneath_;
    const std::size_t payload_size_;

    mutable std::mutex mutex_;  // guards what follows, and MqttConnection::waits_to_send
    std::deque<Chunk> control_;
    mqtt::PublishHeader header_;
    std::vector<Chunk> packet_;              ///< the one under way, header first
    std::size_t packet_next_ = 0;            ///< the first chunk of it not wholly taken
    std::size_t packet_left_ = 0;            ///< octets of it not taken
    std::shared_ptr<MqttConnection> owner_;  ///< whose payload it is
    std::size_t owed_ = 0;  ///< octets its owner was told are taken but not released
    std::vector<std::pair<std::shared_ptr<MqttConnection>, std::size_t>> released_;
    std::deque<std::shared_ptr<MqttConnection>> waiting_;
    std::shared_ptr<MqttConnection> favoured_;  ///< whose turn it is though others wait
};

}  // namespace nq::detail
