// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <net_queue/error.hpp>
#include <net_queue/options.hpp>

#include "io/address.hpp"
#include "io/reactor.hpp"

namespace nq::detail {

/// At least one, in the order to try them (RFC 6724).
using Addresses = std::vector<SocketAddress>;

/// The addresses to connect to. Blocks: tens of seconds where a name server does not answer.
/// A name that does not exist is a Failure with Errc::unknown_peer; what may pass, with
/// Errc::connection_reset. Thread safety: any thread.
Result<Addresses> look_up(const NetworkLocation& location);

/// The addresses to listen on; an empty host means all of the machine. Blocks like look_up if the
/// host is a name.
Result<Addresses> look_up_local(const NetworkLocation& location);

/// A name being looked up on a thread of its own, so that neither the reactor nor whoever gives it
/// up has to wait for the system: that thread owns all it touches, and finds out at the end whether
/// anybody still wants to know. Numeric addresses need no thread.
///
/// Given up when destroyed. The reactor outlives it.
/// Thread safety: belongs to the reactor thread.
class Resolution {
  public:
    /// Called once on the reactor thread, never from within the constructor.
    using Done = std::function<void(Result<Addresses>)>;
    using LookUp = Result<Addresses> (*)(const NetworkLocation&);

    Resolution(Reactor& reactor, const NetworkLocation& location, Done done,
               LookUp look_up_name = &look_up);
    ~Resolution();
    Resolution(const Resolution&) = delete;
    Resolution& operator=(const Resolution&) = delete;

  private:
    struct Request;
    std::shared_ptr<Request> request_;
};

}  // namespace nq::detail
