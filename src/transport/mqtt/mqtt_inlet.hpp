// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "transport/mqtt/mqtt_packet.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

class MqttConnection;

/// What comes from the broker: packets, and in between the payload of one PUBLISH at a time, which
/// its reader pulls from the connection beneath straight into its own memory. Nobody else gets
/// anything meanwhile. Holds k_room octets at most, whatever comes.
///
/// Invariants: begin <= end <= k_room; of a payload nobody reads, skip octets are to be dropped.
/// Thread safety: all methods, from any thread; next, park, peek, deliver_to and skip_payload by
/// one thread, the reactor's.
class MqttInlet {
  public:
    using Target = Connection::Target;

    /// Headers of some dozens of packets, or small packets whole: what is read here of a large
    /// payload has to be copied out again, so not much more.
    static constexpr std::size_t k_room = 4096;

    /// A payload that is not read to its end waits for this one.
    struct Payload {
        std::shared_ptr<MqttConnection> reader;
    };
    struct Nothing {};
    using Next = std::variant<Nothing, mqtt::Packet, Payload, Failure>;
    struct Received {
        std::size_t size = 0;
        bool look_again = false;  ///< more is there, for others: `next` should be asked
    };

    explicit MqttInlet(std::shared_ptr<Connection> beneath) : beneath_(std::move(beneath)) {}

    /// What is at the front. Nothing: readiness will be reported. After a Publish with a payload
    /// comes deliver_to or skip_payload, or park.
    Next next();
    /// A Publish that can't be decided on yet will be the next again.
    void park(const mqtt::Publish& publish);
    /// The first octets of the payload, at most n; fewer than that and the payload: no more came
    /// yet. REQUIRES: n <= k_room.
    Result<std::span<const std::byte>> peek(std::size_t n);
    void deliver_to(std::shared_ptr<MqttConnection> reader);
    void skip_payload();

    /// For a reader of `topic`: what is there of its payloads, while they are at the front; nothing
    /// for one that is closed. One that may begin another stream is left to `next`.
    Result<Received> receive(const std::shared_ptr<MqttConnection>& reader,
                             const mqtt::Topic& topic, std::span<const Target> targets);
    /// The reader, which is closed or has all, reads no more. True: others can go on.
    bool forget(const MqttConnection& reader);

    /// Octets for this reader are at the front.
    [[nodiscard]] bool holds(const MqttConnection& reader) const;

    /// The connection beneath has something to read again.
    void handle_readable();
    /// Octets that ever came.
    [[nodiscard]] std::uint64_t total() const {
        return total_.load(std::memory_order_relaxed);  // relaxed: a sign of life, orders nothing
    }
    /// The last look found no more octets: silence is the broker's, not a slow reader's.
    [[nodiscard]] bool drained() const;

  private:
    /// Where the octets of a payload go.
    struct Cursor {
        std::span<const Target> targets;
        std::size_t used = 0;  ///< of the first target
        void settle();
        [[nodiscard]] bool full() const { return targets.empty(); }
        std::size_t put(std::span<const std::byte> octets);
        void advance(std::size_t n);
    };

    [[nodiscard]] bool may_begin_stream(std::span<const std::byte> opening) const;
    Result<std::optional<mqtt::Packet>> parse();
    Result<bool> fill();
    std::size_t take_buffered(Cursor& cursor);
    Result<std::size_t> pull(Cursor& cursor);
    [[nodiscard]] std::span<const std::byte> buffered() const {
        return std::span(buffer_).subspan(begin_, end_ - begin_);
    }
    void note(std::size_t received, std::size_t asked);

    const std::shared_ptr<Connection> beneath_;
    std::atomic<std::uint64_t> total_{0};

    mutable std::mutex mutex_;  // guards what follows
    std::array<std::byte, k_room> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool drained_ = false;  ///< an edge will tell of more
    std::size_t skip_ = 0;
    std::size_t payload_left_ = 0;
    std::shared_ptr<MqttConnection> reader_;
    std::optional<mqtt::Packet> parked_;
    std::vector<Target> list_;
};

}  // namespace nq::detail
