// SPDX-License-Identifier: Apache-2.0
#include "transport/grpc/grpc_listener.hpp"

#include <cassert>
#include <utility>

namespace nq::detail {

Result<std::unique_ptr<Listener>> GrpcListener::listen(std::span<Reactor* const> reactors,
                                                       const NetworkLocation& location,
                                                       std::shared_ptr<GrpcService> service,
                                                       AcceptHandler accept, TransportLog log) {
    assert(!reactors.empty());
    if (!log) log = [](LogLevel, const std::string&) {};
    auto listening = Acceptor::listen(
        *reactors.front(), location, [service](Socket socket) { service->take(std::move(socket)); },
        log);
    if (!listening) return listening.error();
    service->open(reactors, std::move(accept), std::move(log));
    return std::unique_ptr<Listener>(
        std::make_unique<GrpcListener>(std::move(service), *std::move(listening)));
}

GrpcListener::~GrpcListener() {
    acceptor_->stop();
    service_->close_door();
}

}  // namespace nq::detail
