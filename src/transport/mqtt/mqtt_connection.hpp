// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "transport/mqtt/mqtt_packet.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

class MqttLink;

/// A connection over a link with a broker: the stream published on one topic and the stream that
/// comes on another. A broker knows no connections, so an end is known only to who makes it:
/// - a client that closes without finish_sending leaves no goodbye, and the broker tells the server
///   that it has gone; after finish_sending it tells nobody;
/// - a server's finish_sending ends both directions here, since nothing more can be expected; the
///   broker tells its clients of a server whose link ended without a goodbye.
///
/// Held by its users and, until it is closed or lost, by the link; holds the link.
/// Thread safety: as Connection.
class MqttConnection final : public Connection,
                             public std::enable_shared_from_this<MqttConnection> {
  public:
    enum class Role { server, client };

    /// `client`: whose topics these are, for both ends. `kept`: of what comes so many octets are
    /// kept for began_with.
    MqttConnection(std::shared_ptr<MqttLink> link, Role role, const Uuid& client,
                   std::string peer_name, std::vector<std::byte> opening = {},
                   std::size_t kept = 0);

    void set_handler(std::shared_ptr<ConnectionHandler> handler) override;
    Result<Sent> send(std::span<const Chunk> chunks) override;
    Result<std::size_t> receive(std::span<const Target> targets) override;
    void finish_sending() override;
    void finish_receiving() override;
    void close() override;
    [[nodiscard]] Reactor& reactor() const override { return reactor_; }
    [[nodiscard]] const std::string& peer_name() const override { return peer_name_; }
    [[nodiscard]] std::optional<Uuid> announced_id() const override;

    // For the link, on the reactor thread; not from within a call to this.
    void tell_readable();
    void tell_writable();
    void tell_released(std::size_t n);
    /// `all_read`: nothing that came before is left, and what follows on its topic is another's.
    void lose(Failure failure, bool all_read);

    // For the link, any thread.
    [[nodiscard]] const Uuid& client() const { return incoming_.peer; }
    [[nodiscard]] const mqtt::Topic& incoming() const { return incoming_; }
    [[nodiscard]] const mqtt::Topic& outgoing() const { return outgoing_; }
    /// What the stream that comes begins with, if that is known; and another one of that client.
    [[nodiscard]] std::span<const std::byte> opening() const { return opening_; }
    /// Did what came begin with this, as long as what is kept? False while fewer octets came.
    [[nodiscard]] bool began_with(std::span<const std::byte> opening) const;
    [[nodiscard]] bool closed() const;
    /// It said goodbye.
    [[nodiscard]] bool finished() const;
    /// It spoke to a peer that has not said goodbye, and says none.
    [[nodiscard]] bool deserts() const;

    bool waits_to_send = false;  ///< belongs to MqttOutlet, guarded by its mutex

  private:
    void tell_lost();
    void note_beginning(std::span<const Target> targets, std::size_t received);

    // Constant after construction.
    const std::shared_ptr<MqttLink> link_;
    Reactor& reactor_;
    const Role role_;
    const mqtt::Topic incoming_;
    const mqtt::Topic outgoing_;
    const std::string peer_name_;
    const std::vector<std::byte> opening_;

    // Belong to the reactor thread.
    std::shared_ptr<ConnectionHandler> handler_;
    bool lost_told_ = false;

    // Shared.
    std::atomic<bool> finished_{false};
    std::atomic<bool> received_all_{false};
    std::atomic<bool> spoke_{false};  ///< octets of it went out, or are about to
    std::atomic<bool> closed_{false};
    std::atomic<bool> lost_{false};
    Failure failure_;                    ///< why it is lost; written before lost_ is set
    bool all_read_ = false;              ///< the same
    std::vector<std::byte> beginning_;   ///< of what came
    std::atomic<std::size_t> begun_{0};  ///< so many octets of it are there
};

}  // namespace nq::detail
