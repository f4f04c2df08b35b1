// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <net_queue/error.hpp>
#include <net_queue/options.hpp>

#include "io/reactor.hpp"
#include "io/socket.hpp"

namespace nq::detail {

/// A listening socket that hands out the connections that come to it, a few at a time, and pauses
/// while the system is short of descriptors or memory.
///
/// Owned by whoever listens and, until stopped, by its reactor.
/// Thread safety: belongs to its reactor's thread.
class Acceptor final : public Reactor::Source, public std::enable_shared_from_this<Acceptor> {
  public:
    /// May stop the acceptor.
    using Accept = std::function<void(Socket)>;
    using Log = std::function<void(LogLevel, std::string text)>;

    /// Listens on the first of the location's addresses that can be had; the code of a Failure is
    /// the system's. A host that is a name is looked up here, which may block. REQUIRES: accept and
    /// log are not null.
    static Result<std::shared_ptr<Acceptor>> listen(Reactor& reactor,
                                                    const NetworkLocation& location, Accept accept,
                                                    Log log);
    /// For listen.
    Acceptor(Reactor& reactor, Socket socket, NetworkLocation location, Accept accept, Log log);

    /// The port is free at once; connections accepted before are not touched.
    void stop();
    /// With the port the system picked.
    [[nodiscard]] const NetworkLocation& location() const { return location_; }

    void handle_ready(bool readable, bool writable) override;
    void handle_reactor_gone() override { pause_timer_.cancel(); }

  private:
    void accept_some();
    void pause(int error);
    void end_shortage();

    Reactor& reactor_;
    Socket socket_;
    const NetworkLocation location_;
    const Accept accept_;
    const Log log_;
    Duration pause_{0};  // 0: no shortage
    Reactor::Timer pause_timer_;
};

}  // namespace nq::detail
