// SPDX-License-Identifier: Apache-2.0
// The receiving side of a Peer: from the connection to the inbox.
#include <algorithm>
#include <new>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/core.hpp"
#include "communicator/peer.hpp"

namespace nq::detail {

// Receives until there is nothing, or there is no room, or others should have their turn.
void Peer::pump() {
    const auto self = shared_from_this();
    std::size_t turn = 0;
    const auto enough = [this, &turn] {
        const bool go_on = turn > 0 && turn < limits::k_turn_bytes && receiver_.midway_in_large();
        return reactor().round_over() && !go_on;
    };
    try {
        while (deliver_events() && connection_ != nullptr) {
            if (enough() && !draining_) return take_turn();
            const auto targets = receiver_.targets();
            std::size_t offered = 0;
            for (const auto& target : targets) offered += target.size();
            const auto received = connection_->receive(targets);
            if (!received) return drop_connection(received.error());
            receiver_.handle_received(*received);
            turn += *received;
            reactor().count_work(*received);
            if (*received < offered) {  // handle_readable follows
                if (deliver_events()) receiver_.handle_idle();
                return;
            }
        }
    } catch (const std::bad_alloc&) {
        drop_connection({make_error_code(Errc::connection_reset), id(),
                         "no memory for a message of " + id().to_string()});
    }
}

void Peer::take_turn() {
    if (turn_at_ == &reactor()) return;
    reactor().take_turn([self = shared_from_this(), &reactor = reactor()] {
        if (&self->reactor() != &reactor) return;  // it has moved, and left its turn behind
        self->turn_at_ = nullptr;
        self->handle_readable();
    });
    turn_at_ = &reactor();
}

// Hands on what the octets so far mean. False: stop receiving.
bool Peer::deliver_events() {
    for (;;) {
        const Room left = room();
        if (left.none() && pause()) return false;
        if (take_messages(left)) continue;
        auto event = receiver_.poll_event();
        if (!event) break;
        std::visit([this](auto&& what) { handle_event(std::forward<decltype(what)>(what)); },
                   *std::move(event));
    }
    flush();
    return true;
}

// How much more may wait unread.
Peer::Room Peer::room() const {
    if (lane_ == nullptr || draining_ || core_.closing()) return {};
    const ConnectionOptions& options = core_.options().connection;
    const auto rest = [](std::uint64_t bound, std::uint64_t used) {
        return bound - std::min(bound, used);
    };
    return {rest(options.queue_size, lane_->unread_messages() + batch_.size()),
            rest(options.receive_bytes, lane_->unread_bytes() + batch_.octets())};
}

// The messages that came whole in one block, as far as there is room. False: there are none.
bool Peer::take_messages(const Room& left) {
    if (lane_ == nullptr || replaced_by_) return false;
    const std::size_t before = batch_.size();
    const std::uint64_t octets_before = batch_.octets();
    receiver_.poll_messages(batch_, left.messages, left.octets);
    count_received(batch_.size() - before, batch_.octets() - octets_before);
    return batch_.size() > before;
}

void Peer::count_received(std::uint64_t messages, std::uint64_t octets) {
    reactor().count_work(messages * limits::k_message_work);
    // relaxed: for people, and for the guess in put; nobody else writes them.
    constexpr auto k_relaxed = std::memory_order_relaxed;
    received_messages_.store(received_messages_.load(k_relaxed) + messages, k_relaxed);
    received_bytes_.store(received_bytes_.load(k_relaxed) + octets, k_relaxed);
}

// Stops receiving until a getter makes room, if that is what the user wants.
bool Peer::pause() {
    const ConnectionOptions& options = core_.options().connection;
    // A stream that is not read through a broker would be lost there, and others held up.
    if (options.on_full != OnFull::block || core_.lossy()) return false;
    flush();
    auto resume = [weak = weak_from_this()] {
        const auto peer = weak.lock();
        if (peer == nullptr) return;
        peer->post([peer] {
            if (!std::exchange(peer->paused_, false)) return;
            peer->pump();
        });
    };
    return paused_ = core_.inbox().pause(lane_, options.queue_size, options.receive_bytes,
                                         std::move(resume));
}

void Peer::handle_event(Identified event) {
    if (event.peer.is_nil()) return handle_event(Violation{"the nil UUID is nobody's"});
    if (lane_ != nullptr && event.peer != id()) {
        replaced_by_ = event.peer;
        session_.handle_replaced(reactor().now());
        return settle();
    }
    if (lane_ == nullptr) {
        completion_->set_peer(event.peer);
        lane_ = core_.inbox().open_lane(event.peer);
        const std::lock_guard lock(link_mutex_);
        shared_lane_ = lane_;
    }
    session_.handle_identified(reactor().now());
    if (role_ == Session::Role::client) {
        signal_send(k_identified, true);
        core_.handle_identified(*this);
        settle();
    }
}

void Peer::handle_event(Received event) {
    if (event.message.size() > BufferPool::k_largest) core_.look_after_pool();
    if (replaced_by_) return;  // it is not whom the user talks to
    count_received(1, event.message.size());
    // Not `block`, or the flow would have stopped before this message was made. One message may
    // need the room of many.
    while (room().none()) {
        const bool oldest = core_.options().connection.on_full == OnFull::drop_oldest;
        flush();
        if (oldest && !core_.inbox().drop_oldest(lane_)) break;     // a getter was faster
        dropped_messages_.fetch_add(1, std::memory_order_relaxed);  // relaxed: for people
        core_.log(LogLevel::warning, "queue of " + id().to_string() + " is full: the " +
                                         (oldest ? "oldest" : "newest") + " message was dropped");
        if (!oldest) return;
    }
    batch_.push(std::move(event.message));
}

void Peer::handle_event(Oversized event) {
    dropped_messages_.fetch_add(1, std::memory_order_relaxed);  // relaxed: for people
    core_.log(LogLevel::warning, "a message of " + std::to_string(event.size) + " octets from " +
                                     id().to_string() + " was refused: message_size is " +
                                     std::to_string(core_.options().connection.message_size));
}

void Peer::handle_event(Finished) {
    flush();
    if (connection_ != nullptr) connection_->finish_receiving();
    session_.handle_fin_seen(reactor().now());
    settle();
}

void Peer::handle_event(Violation event) {
    const std::string name = connection_ != nullptr ? connection_->peer_name() : id().to_string();
    // Where octets may be lost unseen the peer is not to blame.
    const bool lossy = core_.lossy();
    const std::string text = (lossy ? "broken stream of " : "protocol error of ") + name + ": " +
                             event.text + (lossy ? "; the broker dropped octets" : "");
    core_.log(LogLevel::error, text);
    if (connection_ == nullptr) return;
    drop_connection(
        {make_error_code(lossy ? Errc::stream_broken : Errc::protocol_error), id(), text});
}

// What is held of a message that will not be whole goes back to the pool, which keeps it a while.
void Peer::drop_received() {
    if (receiver_.held_memory() > BufferPool::k_largest) core_.look_after_pool();
    receiver_.handle_lost();
}

void Peer::flush() {
    if (batch_.empty()) return;
    const std::size_t count = batch_.size();
    core_.inbox().deliver(lane_, std::exchange(batch_, {}));
    if (count > 1) batch_.reserve(count);  // the next system call brings about as many
}

}  // namespace nq::detail
