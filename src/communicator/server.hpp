// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "communicator/core.hpp"

namespace nq::detail {

class Farewell;
class Stranger;

/// The server's role: a listener, the strangers that have not identified themselves, and the
/// registry of sessions, by UUID. Each session belongs to one reactor, that of its connection.
class Server final : public Core {
  public:
    Server(std::shared_ptr<Transport> transport, Options options);
    ~Server() override;

    [[nodiscard]] std::vector<Uuid> peers() const override;
    [[nodiscard]] Stats stats() const override;
    [[nodiscard]] Purpose purpose() const override { return Purpose::server; }
    [[nodiscard]] Session::Timeouts timeouts() const override;
    void handle_identified(Peer&) override {}
    void handle_peer_lost(Peer& peer) override;
    void handle_ended(Peer& peer, const Failure& failure,
                      std::shared_ptr<Connection> connection) override;

    // For strangers; on the reactor thread of the connection.
    /// The stranger said who it is: brings the connection to its session, or refuses it.
    void identify(const Uuid& uuid, std::shared_ptr<Connection> connection);
    /// The user does not want the stranger to have this identity.
    void refuse(const Uuid& uuid, std::shared_ptr<Connection> connection);
    /// How many there are; at least 1, for who asks is one.
    [[nodiscard]] std::size_t strangers() const;
    /// The stranger is a stranger no more: dropped, with a reason for the log, or identified.
    void forget(std::uint64_t stranger, const std::string& reason);

  protected:
    Future put_each(Stream&& message, Peers peers) override;
    void begin_close() override;
    void end_all() override;
    void kill_all() override;

  private:
    enum class Verdict { fresh, resumed, refused };

    void accept(std::shared_ptr<Connection> connection);
    struct Admission {
        Verdict verdict = Verdict::refused;
        std::shared_ptr<Peer> peer;
        std::string reason;
        std::shared_ptr<Peer> before;  ///< fresh: the last session of this id
    };
    void end_departed(const Uuid& uuid);
    Admission admit(const Uuid& uuid, Reactor& reactor);
    void begin(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Connection>& connection,
               const std::shared_ptr<Busy>& busy);
    void resume(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Connection>& connection,
                const std::shared_ptr<Busy>& busy);
    void attach(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Connection>& connection,
                const std::shared_ptr<Busy>& busy);
    void turn_away(const Uuid& uuid, std::shared_ptr<Connection> connection,
                   const std::string& reason);
    void part(std::shared_ptr<Connection> connection, std::optional<Uuid> refused);
    void drop_strangers(std::size_t keep);
    [[nodiscard]] std::vector<std::shared_ptr<Peer>> sessions() const;

    std::unique_ptr<Listener> listener_;  // belongs to the first reactor's thread

    mutable std::mutex mutex_;  // guards what follows
    std::unordered_map<Uuid, std::shared_ptr<Peer>> registry_;
    std::list<std::weak_ptr<Peer>> lost_;  ///< oldest first; some may be back
    std::map<std::uint64_t, std::weak_ptr<Stranger>> strangers_;  ///< by age
    std::vector<std::weak_ptr<Farewell>> farewells_;              ///< some may be over
    bool killed_ = false;                                         ///< nobody is waited for any more
    std::uint64_t next_stranger_ = 0;
    std::uint64_t strangers_dropped_ = 0;
    std::uint64_t identities_refused_ = 0;
    std::uint64_t sessions_expired_ = 0;
};

}  // namespace nq::detail
