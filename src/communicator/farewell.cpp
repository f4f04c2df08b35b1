// SPDX-License-Identifier: Apache-2.0
#include "communicator/farewell.hpp"

#include <array>
#include <utility>
#include <variant>

namespace nq::detail {

namespace {

// No message is held: of the few octets that are not refused at once, none are kept.
constexpr ReceiveOptions k_refuse_all{
    .merge = true, .message_size = Uuid::k_size, .on_oversize = OnOversize::refuse};

}  // namespace

Farewell::Farewell(std::shared_ptr<Connection> connection, Stream words, std::optional<Uuid> peer,
                   std::shared_ptr<BufferPool> pool, std::shared_ptr<void> busy)
    : connection_(std::move(connection)),
      words_(std::move(words)),
      receiver_(k_refuse_all, std::move(pool)),
      fin_seen_(!peer.has_value()),
      busy_(std::move(busy)) {
    if (peer) receiver_.handle_connected(peer);
}

void Farewell::start(Duration timeout) {
    deadline_ = connection_->reactor().call_after(timeout, [this] { finish(); });
    const auto self = shared_from_this();
    connection_->set_handler(self);
    handle_writable();
    handle_readable();
}

void Farewell::handle_writable() {
    while (connection_ != nullptr && !words_.empty()) {
        const std::array<Chunk, 1> chunks{words_.peek_chunk()};
        const auto sent = connection_->send(chunks);
        if (!sent) return finish();
        if (sent->taken == 0) return;
        words_.skip(sent->taken);
    }
    leave_if_done();
}

// Half closed before its fin an old peer would take it for a loss, so this waits for it.
void Farewell::leave_if_done() {
    if (connection_ == nullptr || left_ || !fin_seen_ || !words_.empty()) return;
    left_ = true;
    connection_->finish_sending();
}

// What the peer still says is of no use; only its fin is, and its end.
void Farewell::handle_readable() {
    const auto self = shared_from_this();
    while (connection_ != nullptr) {
        while (const auto event = receiver_.poll_event()) {
            if (std::holds_alternative<Finished>(*event)) fin_seen_ = true;
        }
        leave_if_done();
        const auto received = connection_->receive(receiver_.targets());
        if (!received) return finish();
        if (*received == 0) return receiver_.handle_idle();
        receiver_.handle_received(*received);
        Reactor& reactor = connection_->reactor();
        reactor.count_work(*received);
        if (reactor.round_over()) return reactor.take_turn([self] { self->handle_readable(); });
    }
}

void Farewell::finish() {
    if (connection_ == nullptr) return;
    const auto self = shared_from_this();
    deadline_.cancel();
    std::exchange(connection_, nullptr)->close();
    busy_.reset();
}

}  // namespace nq::detail
