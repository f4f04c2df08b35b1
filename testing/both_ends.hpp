// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "transport/transport.hpp"

namespace nq::testing {

/// A server's transport and a client's as one, where the two differ: for a test with both ends.
class BothEnds final : public detail::Transport {
  public:
    BothEnds(std::shared_ptr<detail::Transport> server, std::shared_ptr<detail::Transport> client)
        : server_(std::move(server)), client_(std::move(client)) {}

    Result<std::unique_ptr<detail::Listener>> listen(std::span<detail::Reactor* const> reactors,
                                                     const NetworkLocation& location,
                                                     detail::AcceptHandler accept,
                                                     detail::TransportLog log) override {
        return server_->listen(reactors, location, std::move(accept), std::move(log));
    }
    std::unique_ptr<detail::Dial> dial(detail::Reactor& reactor, const NetworkLocation& location,
                                       detail::DialHandler done) override {
        return client_->dial(reactor, location, std::move(done));
    }

  private:
    const std::shared_ptr<detail::Transport> server_;
    const std::shared_ptr<detail::Transport> client_;
};

}  // namespace nq::testing
