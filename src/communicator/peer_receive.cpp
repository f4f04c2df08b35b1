// SPDX-License-Identifier: Apache-2.0
// The receiving side of a Peer: from the connection to the inbox.
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
    try {
        while (deliver_events() && connection_ != nullptr) {
            if (turn >= limits::k_turn_bytes) {
                reactor().post([self] { self->handle_readable(); });
                return;
            }
            const auto targets = receiver_.targets();
            std::size_t offered = 0;
            for (const auto& target : targets) offered += target.size();
            const auto received = connection_->receive(targets);
            if (!received) return drop_connection(received.error());
            receiver_.handle_received(*received);
            turn += *received;
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

// Hands on what the octets so far mean. False: stop receiving.
bool Peer::deliver_events() {
    for (;;) {
        if (full() && pause()) return false;
        auto event = receiver_.poll_event();
        if (!event) break;
        std::visit([this](auto&& what) { handle_event(std::forward<decltype(what)>(what)); },
                   *std::move(event));
    }
    flush();
    return true;
}

bool Peer::full() const {
    if (lane_ == nullptr || draining_ || core_.closing()) return false;
    const ConnectionOptions& options = core_.options().connection;
    return lane_->unread_messages() + batch_.size() >= options.queue_size ||
           lane_->unread_bytes() + batch_bytes_ >= options.receive_bytes;
}

// Stops receiving until a getter makes room, if that is what the user wants.
bool Peer::pause() {
    const ConnectionOptions& options = core_.options().connection;
    if (options.on_full != OnFull::block) return false;
    flush();
    paused_ = true;
    auto resume = [weak = weak_from_this()] {
        const auto peer = weak.lock();
        if (peer == nullptr) return;
        peer->reactor().post([peer] {
            if (!std::exchange(peer->paused_, false)) return;
            peer->pump();
        });
    };
    if (lane_->pause(options.queue_size, options.receive_bytes, std::move(resume))) return true;
    paused_ = false;
    return false;
}

void Peer::handle_event(Identified event) {
    if (event.peer.is_nil()) return handle_event(Violation{"the nil UUID is nobody's"});
    completion_->set_peer(event.peer);
    lane_ = core_.inbox().open_lane(event.peer);
    {
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
    // relaxed: for people, and for the guess in put.
    received_messages_.fetch_add(1, std::memory_order_relaxed);
    received_bytes_.fetch_add(event.message.size(), std::memory_order_relaxed);
    // Not `block`, or full() would have stopped the flow before this message was made. One message
    // may need the room of many.
    while (full()) {
        const bool oldest = core_.options().connection.on_full == OnFull::drop_oldest;
        flush();
        if (oldest && !core_.inbox().drop_oldest(lane_)) break;     // a getter was faster
        dropped_messages_.fetch_add(1, std::memory_order_relaxed);  // relaxed: for people
        core_.log(LogLevel::warning, "queue of " + id().to_string() + " is full: the " +
                                         (oldest ? "oldest" : "newest") + " message was dropped");
        if (!oldest) return;
    }
    batch_bytes_ += event.message.size();
    batch_.push_back(std::move(event.message));
}

void Peer::handle_event(Oversized event) {
    dropped_messages_.fetch_add(1, std::memory_order_relaxed);  // relaxed: for people
    core_.log(LogLevel::warning, "a message of " + std::to_string(event.size) + " octets from " +
                                     id().to_string() + " was refused: message_size is " +
                                     std::to_string(core_.options().connection.message_size));
}

void Peer::handle_event(Finished) {
    flush();
    session_.handle_fin_seen(reactor().now());
    settle();
}

void Peer::handle_event(Violation event) {
    const std::string name = connection_ != nullptr ? connection_->peer_name() : id().to_string();
    core_.log(LogLevel::error, "protocol error of " + name + ": " + event.text);
    if (connection_ == nullptr) return;
    drop_connection({make_error_code(Errc::protocol_error), id(),
                     "protocol error of " + name + ": " + event.text});
}

void Peer::flush() {
    if (batch_.empty()) return;
    batch_bytes_ = 0;
    core_.inbox().deliver(lane_, std::exchange(batch_, {}));
}

}  // namespace nq::detail
