// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_transport.hpp"

#include <utility>

#include "transport/tcp/tcp_dial.hpp"
#include "transport/tcp/tcp_listener.hpp"

namespace nq::detail {

namespace {

class TcpTransport final : public Transport {
  public:
    explicit TcpTransport(const TcpOptions& options) : options_(options) {}

    Result<std::unique_ptr<Listener>> listen(std::span<Reactor* const> reactors,
                                             const NetworkLocation& location, AcceptHandler accept,
                                             TransportLog log) override {
        return tcp_listen(reactors, location, options_, std::move(accept), std::move(log));
    }

    std::unique_ptr<Dial> dial(Reactor& reactor, const NetworkLocation& location,
                               DialHandler done) override {
        return std::make_unique<TcpDial>(reactor, location, options_, std::move(done));
    }

    Result<void> reload_certificates() override {
        return options_.layer ? options_.layer->reload() : Transport::reload_certificates();
    }

  private:
    const TcpOptions options_;
};

}  // namespace

std::unique_ptr<Transport> make_tcp_transport(const TcpOptions& options) {
    return std::make_unique<TcpTransport>(options);
}

}  // namespace nq::detail
