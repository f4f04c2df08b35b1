// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_connection.hpp"

#include <algorithm>
#include <utility>

#include "transport/mqtt/mqtt_link.hpp"

namespace nq::detail {

using mqtt::Channel;

MqttConnection::MqttConnection(std::shared_ptr<MqttLink> link, Role role, const Uuid& client,
                               std::string peer_name, std::vector<std::byte> opening,
                               std::size_t kept)
    : link_(std::move(link)),
      reactor_(link_->reactor()),
      role_(role),
      incoming_{role == Role::server ? Channel::to_server : Channel::to_client, client},
      outgoing_{role == Role::server ? Channel::to_client : Channel::to_server, client},
      peer_name_(std::move(peer_name)),
      opening_(std::move(opening)),
      beginning_(kept) {}

void MqttConnection::set_handler(std::shared_ptr<ConnectionHandler> handler) {
    if (closed()) return;
    handler_ = std::move(handler);
    // acquire, wherever lost_ is read: failure_ was written before.
    if (!lost_.load(std::memory_order_acquire)) return;
    reactor_.post([self = shared_from_this()] { self->tell_lost(); });
}

Result<Connection::Sent> MqttConnection::send(std::span<const Chunk> chunks) {
    if (closed()) return closed_failure();
    if (lost_.load(std::memory_order_acquire)) return failure_;  // acquire: see set_handler
    auto sent = link_->send(shared_from_this(), chunks);
    if (sent && sent->taken > 0) spoke_.store(true, std::memory_order_relaxed);  // relaxed: a fact
    return sent;
}

Result<std::size_t> MqttConnection::receive(std::span<const Target> targets) {
    if (closed()) return closed_failure();
    if (role_ == Role::server && finished()) {
        if (!link_->leaving()) return Failure{Errc::connection_reset, {}, "end of stream"};
        return std::size_t{0};  // readiness follows once the broker has let the link go
    }
    // relaxed: only the reading thread cares.
    if (received_all_.load(std::memory_order_relaxed)) return std::size_t{0};
    // acquire, here and below: see set_handler.
    if (lost_.load(std::memory_order_acquire) && all_read_) return failure_;
    auto received = link_->receive(shared_from_this(), targets);
    // What came before the loss of the link can still be had.
    if (lost_.load(std::memory_order_acquire) && (!received || *received == 0)) return failure_;
    if (received) note_beginning(targets, *received);
    return received;
}

void MqttConnection::note_beginning(std::span<const Target> targets, std::size_t received) {
    std::size_t begun = begun_.load(std::memory_order_relaxed);  // relaxed: only this thread writes
    if (begun == beginning_.size() || received == 0) return;
    for (const Target target : targets) {
        const auto came = target.first(std::min(target.size(), received));
        const auto part = came.first(std::min(came.size(), beginning_.size() - begun));
        std::ranges::copy(part, beginning_.begin() + static_cast<std::ptrdiff_t>(begun));
        begun += part.size();
        received -= came.size();
    }
    begun_.store(begun, std::memory_order_release);  // release: pairs with began_with
}

bool MqttConnection::began_with(std::span<const std::byte> opening) const {
    // acquire: the octets were written before.
    const std::size_t begun = begun_.load(std::memory_order_acquire);
    return begun == beginning_.size() && std::ranges::equal(beginning_, opening);
}

void MqttConnection::finish_sending() {
    if (closed()) return;
    // acq_rel: one finisher only; who finds it finished sees what led to it.
    if (finished_.exchange(true, std::memory_order_acq_rel)) return;
    if (role_ == Role::server) link_->part(shared_from_this());
}

void MqttConnection::finish_receiving() {
    if (role_ == Role::client || closed()) return;
    received_all_.store(true, std::memory_order_relaxed);  // relaxed: as above
    link_->end_route(shared_from_this());
}

void MqttConnection::close() {
    // acq_rel: one closer only, and who finds it closed sees what led to it.
    if (closed_.exchange(true, std::memory_order_acq_rel)) return;
    // A task even on the reactor thread: the handler must not go from beneath the caller's feet. It
    // goes with the task, whether that runs or is dropped; so no share of the guard stays here.
    std::shared_ptr<void> guard(nullptr,
                                [self = shared_from_this()](void*) { self->handler_.reset(); });
    reactor_.post(
        [self = shared_from_this(), guard = std::move(guard)] { self->link_->forget(self); });
}

std::optional<Uuid> MqttConnection::announced_id() const {
    if (role_ == Role::client) return std::nullopt;
    return client();
}

void MqttConnection::tell_readable() {
    // A share for the length of the call; here and below.
    const auto handler = handler_;
    if (handler != nullptr && !closed()) handler->handle_readable();
}

void MqttConnection::tell_writable() {
    const auto handler = handler_;
    if (handler != nullptr && !closed()) handler->handle_writable();
}

void MqttConnection::tell_released(std::size_t n) {
    const auto handler = handler_;
    if (handler != nullptr && !closed()) handler->handle_released(n);
}

void MqttConnection::lose(Failure failure, bool all_read) {
    if (lost_.load(std::memory_order_acquire)) return;  // acquire: see set_handler
    failure_ = std::move(failure);
    all_read_ = all_read;
    lost_.store(true, std::memory_order_release);  // release: pairs with every acquire of lost_
    tell_lost();
}

void MqttConnection::tell_lost() {
    if (closed() || handler_ == nullptr || std::exchange(lost_told_, true)) return;
    const auto self = shared_from_this();
    const auto handler = std::exchange(handler_, nullptr);
    handler->handle_lost(failure_);
}

bool MqttConnection::finished() const {
    return finished_.load(std::memory_order_acquire);  // acquire: see finish_sending
}

bool MqttConnection::deserts() const {
    // relaxed, both: asked for after the last send and receive.
    return !finished() && spoke_.load(std::memory_order_relaxed) &&
           !received_all_.load(std::memory_order_relaxed);
}

bool MqttConnection::closed() const {
    return closed_.load(std::memory_order_acquire);  // acquire: see close
}

}  // namespace nq::detail
