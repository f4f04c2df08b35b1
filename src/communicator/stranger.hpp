// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/reactor.hpp"
#include "session/frame.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

class Server;

/// A connection that has not said who it is: 24 octets of room and a deadline. It gets nothing,
/// delivers nothing, and goes at the first wrong octet. Once it has said who it is, the user may
/// be asked whether it may be (Options::authorize); meanwhile it waits, within the same deadline.
/// Where others share its way through a broker, what it says meanwhile is taken off their way, up
/// to k_waiting_bytes, less if many wait; who says more is dropped.
/// Thread safety: the reactor thread of its connection.
class Stranger final : public ConnectionHandler, public std::enable_shared_from_this<Stranger> {
  public:
    Stranger(Server& server, std::uint64_t number, std::shared_ptr<Connection> connection)
        : server_(server), number_(number), connection_(std::move(connection)) {}

    void start(Duration timeout);
    /// Ends it; `reason` is for the log.
    void drop(const std::string& reason);
    [[nodiscard]] Reactor& reactor() const { return reactor_; }

    void handle_readable() override;
    void handle_writable() override {}
    void handle_released(std::size_t) override {}
    void handle_lost(Failure failure) override;

  private:
    void handle_identity();
    [[nodiscard]] bool read_ahead();
    void ask(const AuthorizeHook& authorize);
    void admit(bool authorized);

    Server& server_;
    const std::uint64_t number_;  ///< among the server's strangers
    std::shared_ptr<Connection> connection_;
    Reactor& reactor_ = connection_->reactor();
    IdentityReader ini_;
    bool asked_ = false;            ///< the user thinks about it
    std::vector<std::byte> ahead_;  ///< said meanwhile

    std::atomic<bool> dropped_{false};  ///< any thread: nobody need think about it any more
    Reactor::Timer deadline_;
};

}  // namespace nq::detail
