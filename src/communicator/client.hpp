// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "communicator/core.hpp"

namespace nq::detail {

/// The client's role: one session, with a server to be reached. Dials until it has a connection, a
/// reason to give up, or no time left. A connection that is lost later is final (WIRE.md, Session),
/// unless it says that the client may come back: then it dials again, for as long as at first.
class Client final : public Core {
  public:
    Client(std::shared_ptr<Transport> transport, Options options);
    ~Client() override;

    [[nodiscard]] std::vector<Uuid> peers() const override;
    [[nodiscard]] Stats stats() const override;
    [[nodiscard]] Purpose purpose() const override { return Purpose::client; }
    [[nodiscard]] Session::Timeouts timeouts() const override;
    void handle_identified(Peer& peer) override;
    void handle_peer_lost(Peer&) override { dial_later(); }
    void handle_ended(Peer& peer, const Failure& failure,
                      std::shared_ptr<Connection> connection) override;

  protected:
    Future put_each(Stream&& message, Peers peers) override;
    void begin_close() override;
    void end_all() override;
    void kill_all() override;

  private:
    void dial();
    void dial_later();
    void handle_dialed(Result<std::shared_ptr<Connection>> result);

    const std::shared_ptr<Peer> server_;

    // Belong to the reactor thread.
    std::unique_ptr<Dial> dial_;
    Reactor::Timer retry_;
    Duration pause_;
};

}  // namespace nq::detail
