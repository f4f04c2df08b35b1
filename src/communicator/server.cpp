// SPDX-License-Identifier: Apache-2.0
#include "communicator/server.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/farewell.hpp"
#include "communicator/peer.hpp"
#include "communicator/stranger.hpp"
#include "session/frame.hpp"

namespace nq::detail {

Server::Server(std::shared_ptr<Transport> transport, Options options)
    : Core(std::move(transport), std::move(options)) {
    auto listener = transport_->listen(
        workers_.reactors(), options_.netloc,
        [this](std::shared_ptr<Connection> connection) { accept(std::move(connection)); },
        [this](LogLevel level, std::string text) { log(level, std::move(text)); });
    if (!listener) raise(listener.error());
    listener_ = *std::move(listener);
    options_.netloc = listener_->location();
    workers_.start();
    // Clients may come as soon as this returns, or the broker is not there, and the log says so.
    (void)listener_->wait_listening(limits::k_listen_patience);
}

Server::~Server() { shut_down(); }

Session::Timeouts Server::timeouts() const {
    return {
        .connect = {}, .expiry = bounded(options_.session_expiry), .fin = limits::k_fin_timeout};
}

void Server::accept(std::shared_ptr<Connection> connection) {
    drop_strangers(limits::k_strangers_max - 1);
    std::shared_ptr<Stranger> stranger;
    {
        const std::lock_guard lock(mutex_);
        const std::uint64_t number = next_stranger_++;
        stranger = std::make_shared<Stranger>(*this, number, std::move(connection));
        strangers_.emplace(number, stranger);
    }
    stranger->start(bounded(options_.handshake_timeout));
}

// The oldest go first: who means well has said its ini long ago.
void Server::drop_strangers(std::size_t keep) {
    std::vector<std::shared_ptr<Stranger>> dropped;
    {
        const std::lock_guard lock(mutex_);
        while (strangers_.size() > keep) {
            if (auto stranger = strangers_.begin()->second.lock()) {
                dropped.push_back(std::move(stranger));
            }
            strangers_.erase(strangers_.begin());
        }
    }
    const char* const reason = keep == 0 ? "the server is closing" : "too many are unidentified";
    for (const auto& stranger : dropped) {
        stranger->reactor().post([stranger, reason] { stranger->drop(reason); });
    }
}

std::size_t Server::strangers() const {
    const std::lock_guard lock(mutex_);
    return std::max<std::size_t>(strangers_.size(), 1);  // one that is dropped may still ask
}

void Server::forget(std::uint64_t stranger, const std::string& reason) {
    {
        const std::lock_guard lock(mutex_);
        strangers_.erase(stranger);
        if (!reason.empty()) ++strangers_dropped_;
    }
    if (!reason.empty()) log(LogLevel::warning, "stranger dropped: " + reason);
}

void Server::identify(const Uuid& uuid, std::shared_ptr<Connection> connection) {
    // Busy before it is admitted: a close that begins meanwhile waits for who was admitted.
    const auto busy = std::make_shared<Busy>(*this);
    if (lossy()) end_departed(uuid);
    auto [verdict, peer, reason, before] = admit(uuid, connection->reactor());
    switch (verdict) {
        case Verdict::refused: return turn_away(uuid, std::move(connection), reason);
        case Verdict::fresh:
            if (before == nullptr) return begin(peer, connection, busy);
            // It may be taking its leave just now, on another reactor: first that, then this.
            return before->post([this, peer = peer, connection, busy] {
                peer->post([this, peer, connection, busy] { begin(peer, connection, busy); });
            });
        case Verdict::resumed:
            announce(options_.events.ini, uuid);
            return resume(peer, connection, busy);
    }
}

void Server::refuse(const Uuid& uuid, std::shared_ptr<Connection> connection) {
    {
        const std::lock_guard lock(mutex_);
        ++identities_refused_;
    }
    turn_away(uuid, std::move(connection), "it is not authorized");
}

void Server::turn_away(const Uuid& uuid, std::shared_ptr<Connection> connection,
                       const std::string& reason) {
    log(LogLevel::warning,
        "id " + uuid.to_string() + " refused to " + connection->peer_name() + ": " + reason);
    // A topic is nobody's alone: what is said there reaches who uses the id rightly.
    if (lossy()) return connection->close();
    if (connection->refuse("id " + uuid.to_string() + ": " + reason)) return;
    part(std::move(connection), uuid);
}

// An old client leaves a broker right after its fin, without waiting for ours, and may be back at
// once. All connections of a broker live on one reactor: this one.
void Server::end_departed(const Uuid& uuid) {
    std::shared_ptr<Peer> known;
    {
        const std::lock_guard lock(mutex_);
        const auto found = registry_.find(uuid);
        if (found != registry_.end()) known = found->second;
    }
    if (known != nullptr && !known->ended()) known->end_if_departed();
}

void Server::begin(const std::shared_ptr<Peer>& peer, const std::shared_ptr<Connection>& connection,
                   const std::shared_ptr<Busy>& busy) {
    announce(options_.events.ini, peer->id());
    peer->start(Busy());
    attach(peer, connection, busy);
}

// A session that was lost on another reactor first moves to the one of its new connection.
void Server::resume(const std::shared_ptr<Peer>& peer,
                    const std::shared_ptr<Connection>& connection,
                    const std::shared_ptr<Busy>& busy) {
    Reactor& reactor = connection->reactor();
    if (&peer->reactor() == &reactor) return attach(peer, connection, busy);
    peer->post([this, peer, &reactor, connection, busy] {
        peer->move_to(reactor);
        peer->post([this, peer, connection, busy] { attach(peer, connection, busy); });
    });
}

void Server::attach(const std::shared_ptr<Peer>& peer,
                    const std::shared_ptr<Connection>& connection,
                    const std::shared_ptr<Busy>& busy) {
    // A session that close ended a moment ago: its client hears a goodbye all the same.
    if (!peer->attach_identified(connection, std::move(*busy))) part(connection, peer->id());
}

Server::Admission Server::admit(const Uuid& uuid, Reactor& reactor) {
    const std::lock_guard lock(mutex_);
    const auto refuse = [this](const char* reason) {
        ++identities_refused_;
        return Admission{Verdict::refused, nullptr, reason, nullptr};
    };
    if (closing()) return refuse("the server is closing");
    if (uuid.is_nil()) return refuse("the nil UUID is nobody's");
    if (uuid == id()) return refuse("it is the server's own");
    std::shared_ptr<Peer>& known = registry_[uuid];
    if (known != nullptr && !known->ended()) {
        if (!known->claim()) return refuse("it is in use");
        return {Verdict::resumed, known, "", nullptr};
    }
    auto before = std::exchange(known, Peer::make(*this, Session::Role::server, uuid, reactor));
    return {Verdict::fresh, known, "", std::move(before)};
}

// Ends a connection that carries no session (any more) without cutting it.
void Server::part(std::shared_ptr<Connection> connection, std::optional<Uuid> refused) {
    Stream words;
    if (refused) {
        // Our ini and fin: an old client that reads them leaves cleanly.
        const IdentityFrame frame = encode_identity(id());
        words.write(frame);
        words.write(frame);
    }
    const Duration timeout = refused ? limits::k_fin_timeout : limits::k_linger_timeout;
    const auto farewell = std::make_shared<Farewell>(std::move(connection), std::move(words),
                                                     refused, pool_, std::make_shared<Busy>(*this));
    {
        std::unique_lock lock(mutex_);
        if (killed_) {
            lock.unlock();
            return farewell->finish();
        }
        if (farewells_.size() == farewells_.capacity()) {  // not each time: there may be many
            std::erase_if(farewells_, [](const auto& other) { return other.expired(); });
        }
        farewells_.push_back(farewell);
    }
    farewell->start(timeout);
}

void Server::handle_peer_lost(Peer& peer) {
    std::shared_ptr<Peer> oldest;
    {
        const std::lock_guard lock(mutex_);
        lost_.push_back(peer.weak_from_this());
        if (lost_.size() <= options_.lost_sessions) return;
        // A session counts once, however often it was lost: where it stands last.
        std::unordered_set<const Peer*> seen;
        for (auto it = lost_.end(); it != lost_.begin();) {
            const auto other = (--it)->lock();
            const bool lost = other != nullptr && other->lost();
            if (!lost || !seen.insert(other.get()).second) it = lost_.erase(it);
        }
        if (lost_.size() <= options_.lost_sessions) return;
        oldest = lost_.front().lock();
        lost_.pop_front();
    }
    if (oldest == nullptr || !oldest->claim()) return;
    log(LogLevel::warning, "too many lost sessions: " + oldest->id().to_string() + " is given up");
    oldest->reactor().post([oldest] { oldest->expire(); });
}

void Server::handle_ended(Peer& peer, const Failure& failure,
                          std::shared_ptr<Connection> connection) {
    log(LogLevel::info, "session of " + peer.id().to_string() + " ended: " + failure.text);
    {
        const std::lock_guard lock(mutex_);
        const auto known = registry_.find(peer.id());
        if (known != registry_.end() && known->second.get() == &peer) registry_.erase(known);
        if (peer.expired()) ++sessions_expired_;
    }
    announce(options_.events.fin, peer.id());
    if (connection != nullptr) part(std::move(connection), std::nullopt);
}

std::vector<std::shared_ptr<Peer>> Server::sessions() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Peer>> sessions;
    sessions.reserve(registry_.size());
    for (const auto& [uuid, peer] : registry_) {
        if (peer != nullptr) sessions.push_back(peer);
    }
    return sessions;
}

Future Server::put_each(Stream&& message, Peers peers) {
    Tickets tickets;
    // The last one, who is nearly always the only one, needs no copy.
    const auto share = [&message](bool last) { return last ? std::move(message) : message; };
    if (peers.empty()) {
        const auto all = sessions();
        for (const auto& peer : all) {
            if (!peer->ended()) tickets.add(peer->put(share(&peer == &all.back())));
        }
        return future_of(std::move(tickets));
    }
    for (const Uuid& uuid : peers) {
        std::shared_ptr<Peer> peer;
        {
            const std::lock_guard lock(mutex_);
            const auto known = registry_.find(uuid);
            if (known != registry_.end()) peer = known->second;
        }
        if (peer != nullptr) {
            tickets.add(peer->put(share(&uuid == &peers.back())));
        } else {
            tickets.add(refused({make_error_code(Errc::unknown_peer), uuid,
                                 "put: no client " + uuid.to_string() + " is known here"}));
        }
    }
    return future_of(std::move(tickets));
}

std::vector<Uuid> Server::peers() const {
    std::vector<Uuid> ids;
    for (const auto& peer : sessions()) {
        if (!peer->ended()) ids.push_back(peer->id());
    }
    return ids;
}

Stats Server::stats() const {
    Stats stats;
    for (const auto& peer : sessions()) stats.peers.push_back(peer->stats());
    const std::lock_guard lock(mutex_);
    stats.strangers = strangers_.size();
    stats.strangers_dropped = strangers_dropped_;
    stats.identities_refused = identities_refused_;
    stats.sessions_expired = sessions_expired_;
    return stats;
}

void Server::begin_close() {
    // Close waits until the first reactor has stopped accepting.
    workers_.first().post([this, busy = std::make_shared<Busy>(*this)] {
        listener_.reset();
        drop_strangers(0);
    });
    // From here on admit refuses: it takes the lock after closing was set.
    for (const auto& peer : sessions()) {
        peer->post([peer] { peer->close(); });
    }
}

void Server::end_all() {
    for (const auto& peer : sessions()) {
        peer->post([peer] { peer->end(); });
    }
}

void Server::kill_all() {
    for (const auto& peer : sessions()) {
        peer->post([peer] { peer->kill(); });
    }
    std::vector<std::weak_ptr<Farewell>> farewells;
    {
        const std::lock_guard lock(mutex_);
        killed_ = true;
        farewells.swap(farewells_);
    }
    // Every connection is closed before its reactor goes (transport/README.md).
    for (const auto& weak : farewells) {
        if (const auto farewell = weak.lock()) {
            farewell->reactor().post([farewell] { farewell->finish(); });
        }
    }
}

}  // namespace nq::detail
