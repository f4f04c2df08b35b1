// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "transport/tcp/tcp_transport.hpp"

namespace nq::detail {

/// Looks the host up and tries its addresses in turn until one answers; see Transport::dial.
class TcpDial final : public Dial {
  public:
    TcpDial(Reactor& reactor, const NetworkLocation& location, const TcpOptions& options,
            DialHandler done);
    ~TcpDial() override;

  private:
    class Attempt;
    const std::shared_ptr<Attempt> attempt_;
};

}  // namespace nq::detail
