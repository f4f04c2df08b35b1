// SPDX-License-Identifier: Apache-2.0
#include <net_queue/communicator.hpp>

#include <exception>
#include <utility>

#include "communicator/core.hpp"
#include "communicator/transports.hpp"

namespace nq {

namespace {

using Clock = detail::Core::Clock;

// A transport may have to say who we are.
Options identified(Options options) {
    if (!options.id) options.id = Uuid::random();
    return options;
}

// A timeout too long for the clock means for ever.
std::optional<Clock::time_point> deadline_after(std::chrono::nanoseconds timeout) {
    const auto now = Clock::now();
    if (timeout > Clock::time_point::max() - now) return std::nullopt;
    return now + timeout;
}

}  // namespace

Communicator::Communicator(Protocol protocol, Purpose purpose, Options options)
    : exceptions_(std::uncaught_exceptions()) {
    options = identified(std::move(options));
    auto transport = detail::make_transport(protocol, purpose, options);
    core_ = detail::Core::make(std::move(transport), purpose, std::move(options));
}

Communicator::Communicator(std::shared_ptr<detail::Transport> transport, Purpose purpose,
                           Options options)
    : core_(detail::Core::make(std::move(transport), purpose, identified(std::move(options)))),
      exceptions_(std::uncaught_exceptions()) {}

Communicator::Communicator(Communicator&&) noexcept = default;

Communicator& Communicator::operator=(Communicator&& other) noexcept {
    Communicator dropped(std::move(*this));
    core_ = std::move(other.core_);
    exceptions_ = other.exceptions_;
    return *this;
}

Communicator::~Communicator() {
    if (core_ == nullptr) return;
    const bool unwinding = std::uncaught_exceptions() > exceptions_;
    core_->close(unwinding ? std::optional(Clock::now()) : std::nullopt, unwinding);
}

Future Communicator::put(Stream message, Peers peers) {
    return core_->put(std::move(message), peers);
}

Message<Stream> Communicator::get(Peers peers) { return core_->get(peers); }

Result<Message<Stream>> Communicator::try_get(Peers peers) {
    auto result = core_->get(peers, Clock::time_point::min());
    if (!result && result.error().code == Errc::timed_out) {
        return Failure{make_error_code(Errc::would_block), Uuid(), "try_get: nothing there"};
    }
    return result;
}

Result<Message<Stream>> Communicator::get_for(std::chrono::nanoseconds timeout, Peers peers) {
    return core_->get(peers, deadline_after(timeout));
}

void Communicator::when_readable(std::function<void()> callback, Peers peers) {
    core_->when_readable(peers, std::move(callback));
}

std::vector<Uuid> Communicator::peers() const { return core_->peers(); }

Stats Communicator::stats() const { return core_->stats(); }

const Uuid& Communicator::id() const { return core_->id(); }

Purpose Communicator::purpose() const { return core_->purpose(); }

const Options& Communicator::options() const { return core_->options(); }

void Communicator::reload_certificates() {
    if (auto reloaded = core_->reload_certificates(); !reloaded) raise(reloaded.error());
}

void Communicator::close() { core_->close(std::nullopt); }

CloseReport Communicator::close_for(std::chrono::nanoseconds timeout) {
    return core_->close(deadline_after(timeout));
}

}  // namespace nq
