// SPDX-License-Identifier: Apache-2.0
#include "communicator/peer.hpp"

#include <chrono>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/core.hpp"

namespace nq::detail {

namespace {

SendOptions send_options(const ConnectionOptions& options) {
    return {.merge = options.put_merge,
            .efficient_size = options.efficient_size,
            .transport_size = options.transport_size};
}

ReceiveOptions receive_options(const ConnectionOptions& options, bool lossy) {
    ReceiveOptions receive{.merge = options.get_merge,
                           .message_size = options.message_size,
                           .on_oversize = options.on_oversize};
    if (lossy) receive.frame_size = limits::k_plausible_frame;
    return receive;
}

}  // namespace

Peer::Peer(Core& core, Session::Role role, const Uuid& id, Reactor& reactor)
    : core_(core),
      role_(role),
      completion_(std::make_unique<Completion>(id, core.role(), core.callbacks())),
      reactor_(&reactor),
      sender_(core.id(), send_options(core.options().connection), core.pool()),
      session_(role, core.timeouts(), std::chrono::steady_clock::now()),
      receiver_(receive_options(core.options().connection, core.lossy()), core.pool()) {}

std::shared_ptr<Peer> Peer::make(Core& core, Session::Role role, const Uuid& id, Reactor& reactor) {
    auto peer = std::make_shared<Peer>(core, role, id, reactor);
    peer->completion_->set_cancel([weak = std::weak_ptr(peer)](std::uint64_t number) {
        const auto living = weak.lock();
        return living != nullptr && living->cancel(number);
    });
    return peer;
}

void Peer::start(Core::Busy busy) {
    busy_ = std::move(busy);
    arm_timer();
}

bool Peer::claim() {
    Phase lost = Phase::lost;
    // acq_rel: the claimer sees what the reactor thread left behind, and is seen by it.
    return phase_.compare_exchange_strong(lost, Phase::claimed, std::memory_order_acq_rel);
}

void Peer::attach(std::shared_ptr<Connection> connection) {
    if (session_.ended()) return connection->close();
    receiver_.handle_connected(std::nullopt);
    link(std::move(connection));
}

bool Peer::attach_identified(std::shared_ptr<Connection> connection, Core::Busy&& busy) {
    if (session_.ended()) return false;
    busy_ = std::move(busy);
    if (lane_ == nullptr) handle_event(Identified{id()});
    receiver_.handle_connected(id());
    link(std::move(connection));
    return true;
}

// The connection carries the session, both ways.
void Peer::link(std::shared_ptr<Connection> connection) {
    const auto self = shared_from_this();
    phase_.store(Phase::open, std::memory_order_release);  // for claim and stats
    session_.handle_connected(reactor().now());
    draining_ = false;
    connection_ = connection;
    {
        const std::lock_guard lock(link_mutex_);
        next_link_ = std::move(connection);
    }
    connection_->set_handler(shared_from_this());
    if (core_.closing()) session_.close(reactor().now());
    signal_send(k_link, true);
    settle();
    pump();
}

void Peer::post(std::function<void()> task) {
    reactor().post([self = shared_from_this(), task = std::move(task)] {
        if (self->reactor().on_reactor_thread()) return task();
        self->post(task);
    });
}

void Peer::move_to(Reactor& reactor) {
    timer_.cancel();
    stream_timer_.cancel();
    memory_timer_.cancel();
    // release: pairs with the load in reactor().
    reactor_.store(&reactor, std::memory_order_release);
}

void Peer::close() {
    session_.close(reactor().now());
    settle();
    // Closing lifts the bound on what may wait unread: the peer's goodbye is behind it.
    if (!finished_ && paused_) {
        core_.inbox().unpause(lane_);
        paused_ = false;
        pump();
    }
}

void Peer::expire() {
    session_.expire();
    settle();
}

void Peer::end_if_departed() {
    if (!session_.fin_seen()) return;
    session_.handle_broken(reactor().now());
    settle();
}

void Peer::kill() {
    session_.kill();
    settle();
}

void Peer::end() {
    session_.end(reactor().now());
    settle();
}

void Peer::handle_unreachable(Failure failure, bool final) {
    last_failure_ = std::move(failure);
    if (!final) return;
    session_.handle_unreachable(reactor().now());
    settle();
}

void Peer::handle_readable() {
    if (!paused_) pump();
}

void Peer::handle_writable() { signal_send(k_writable, true); }

void Peer::handle_released(std::size_t n) {
    // release: the holder that reads the count sees that the memory is no longer read.
    released_pending_.fetch_add(n, std::memory_order_release);
    signal_send(k_released, false);
}

// What came before the end still counts: it is read even if there is no room, for the kernel holds
// no more than its buffer of it, and the session must not hang until somebody gets.
void Peer::handle_lost(Failure failure) {
    if (connection_ == nullptr) return;
    draining_ = true;
    if (std::exchange(paused_, false)) core_.inbox().unpause(lane_);
    pump();
    if (connection_ != nullptr) drop_connection(std::move(failure));
}

void Peer::handle_send_failed(const std::shared_ptr<Connection>& connection, Failure failure) {
    // Another connection may have come meanwhile; and what the peer sent before it left counts.
    if (connection == connection_) handle_lost(std::move(failure));
}

void Peer::drop_connection(Failure failure) {
    flush();
    drop_received();
    // A server that never answered need not be one that keeps sessions.
    const bool may_come_back = connection_->may_come_back() && !id().is_nil();
    connection_->close();
    connection_.reset();
    {
        const std::lock_guard lock(link_mutex_);
        next_link_.reset();
    }
    last_failure_ = std::move(failure);
    last_failure_->peer = id();
    signal_send(k_link, true);
    if (last_failure_->code == Errc::stream_broken) {
        session_.handle_broken(reactor().now());
    } else if (may_come_back) {
        session_.handle_interrupted(reactor().now());
    } else {
        session_.handle_lost(reactor().now());
    }
    if (session_.state() == Session::State::lost) {
        arm_timer();
        // A client that closes comes back to say what is queued.
        if (role_ == Session::Role::server) busy_ = Core::Busy();
        phase_.store(Phase::lost, std::memory_order_release);  // for claim and stats
        return core_.handle_peer_lost(*this);
    }
    settle();
}

// Carries out what the session asks for after something happened to it.
void Peer::settle() {
    if (finished_) return;
    switch (session_.poll_order()) {
        case Session::Order::none: break;
        case Session::Order::close:
            send_baton_.seal();
            signal_send(k_close, true);
            break;
        case Session::Order::abandon:
            send_baton_.seal();
            signal_send(k_abandon, true);
            break;
    }
    if (session_.ended()) {
        finish();
    } else {
        arm_timer();
    }
}

void Peer::arm_timer() {
    const auto deadline = session_.poll_timeout();
    if (!deadline) return timer_.cancel();
    timer_ = reactor().call_at(*deadline, [this] {
        // A lost session that was claimed a moment ago is somebody else's already.
        if (session_.state() == Session::State::lost && !claim()) return;
        session_.handle_timeout(reactor().now());
        settle();
    });
}

// The session is over: tells everybody who may wait for it, once.
void Peer::finish() {
    if (finished_) return;
    finished_ = true;
    const auto self = shared_from_this();
    const Failure failure = make_end_failure();
    timer_.cancel();
    stream_timer_.cancel();
    memory_timer_.cancel();
    flush();
    const auto connection = std::exchange(connection_, nullptr);
    {
        const std::lock_guard lock(link_mutex_);
        next_link_.reset();
        end_failure_ = failure;
    }
    phase_.store(Phase::ended, std::memory_order_release);  // for claim, put and stats
    send_baton_.seal();
    // A client has one session: what it could not deliver is reported whenever it closes.
    if (queued_messages() > 0 && (core_.closing() || role_ == Session::Role::client)) {
        core_.note_unsent(stats());
    }
    signal_send(k_end, true);
    if (lane_ != nullptr) {
        core_.inbox().unpause(lane_);
        core_.inbox().close_lane(lane_, failure);
    }
    drop_received();
    const bool said_goodbye = session_.reason() == Session::Reason::finished;
    core_.handle_ended(*this, failure, said_goodbye ? connection : nullptr);
    if (connection != nullptr && !said_goodbye) connection->close();
    busy_ = Core::Busy();
}

Failure Peer::make_end_failure() const {
    const bool client = role_ == Session::Role::client;
    const std::string who = client ? "the server" : "client " + id().to_string();
    const std::string why = last_failure_ ? ": " + last_failure_->text : "";
    const auto reset = [this](std::string text) {
        return Failure{make_error_code(Errc::connection_reset), id(), std::move(text)};
    };
    const auto failed_with = [this](Errc code) {
        return last_failure_ && last_failure_->code == code;
    };
    if (failed_with(Errc::protocol_error)) return *last_failure_;
    // One that breaks after all was said is a clean end.
    const bool ended_here = session_.reason() != Session::Reason::reset;
    if (failed_with(Errc::stream_broken) && !ended_here) return *last_failure_;
    switch (session_.reason()) {
        case Session::Reason::finished:
            if (client) break;
            return reset(who + " has left");
        case Session::Reason::dismissed:
            if (replaced_by_) {
                return reset("the connection to the server was lost, and another server (" +
                             replaced_by_->to_string() + ") is in its place");
            }
            return reset("ended by the server, or this id (" + core_.id().to_string() +
                         ") is in use there");
        case Session::Reason::reset: return reset("the connection to " + who + " was lost" + why);
        case Session::Reason::no_answer:
            if (failed_with(Errc::untrusted)) {
                return {make_error_code(Errc::untrusted), id(), last_failure_->text};
            }
            if (!id().is_nil()) {
                return reset("the connection to " + who +
                             " was lost, and it did not answer again in time" + why);
            }
            return reset("no server answered at " + core_.options().netloc.to_string() +
                         " in time" + why);
        case Session::Reason::expired:
            return reset(who + " was lost and did not come back in time" + why);
        case Session::Reason::none:
        case Session::Reason::closed:
        case Session::Reason::deadline: break;
    }
    return {make_error_code(Errc::connection_aborted), id(), "closed"};
}

PeerStats Peer::stats() const {
    PeerStats stats;
    stats.peer = id();
    switch (phase()) {
        case Phase::connecting: stats.state = PeerStats::State::connecting; break;
        case Phase::open: stats.state = PeerStats::State::open; break;
        case Phase::lost:
        case Phase::claimed: stats.state = PeerStats::State::lost; break;
        case Phase::ended: stats.state = PeerStats::State::ended; break;
    }
    stats.queued_messages = queued_messages();
    stats.queued_bytes = queued_bytes();
    stats.sent_messages = sent_messages_;
    stats.received_messages = received_messages_;
    stats.received_bytes = received_bytes_;
    stats.dropped_messages = dropped_messages_;
    const std::lock_guard lock(link_mutex_);
    if (shared_lane_ != nullptr) {
        stats.unread_messages = shared_lane_->unread_messages();
        stats.unread_bytes = shared_lane_->unread_bytes();
    }
    return stats;
}

}  // namespace nq::detail
