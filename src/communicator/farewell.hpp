// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "buffer/pool.hpp"
#include "io/reactor.hpp"
#include "session/receive_half.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

/// The end of a connection that must not be cut: sends what is left to say, then reads until the
/// peer closes or a deadline passes. Closing with unread input would reset the connection and could
/// destroy what was just sent; and an old peer that sees an end without fin hangs (WIRE.md,
/// Session).
/// Thread safety: the reactor thread of its connection.
class Farewell final : public ConnectionHandler, public std::enable_shared_from_this<Farewell> {
  public:
    /// After the words reads until the fin of `peer`, or with no peer (its fin was read already)
    /// until it closes. `busy` is let go when the connection is closed.
    Farewell(std::shared_ptr<Connection> connection, Stream words, std::optional<Uuid> peer,
             std::shared_ptr<BufferPool> pool, std::shared_ptr<void> busy);

    void start(Duration timeout);
    /// Closes now, whatever is left to say.
    void finish();
    [[nodiscard]] Reactor& reactor() const { return reactor_; }

    void handle_readable() override;
    void handle_writable() override;
    void handle_released(std::size_t) override {}
    void handle_lost(Failure) override { finish(); }

  private:
    void leave_if_done();

    std::shared_ptr<Connection> connection_;
    Reactor& reactor_ = connection_->reactor();
    Stream words_;
    ReceiveHalf receiver_;  ///< finds the fin; holds no message
    bool fin_seen_;
    bool left_ = false;  ///< nothing more will be sent
    std::shared_ptr<void> busy_;
    Reactor::Timer deadline_;
};

}  // namespace nq::detail
