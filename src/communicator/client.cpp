// SPDX-License-Identifier: Apache-2.0
#include "communicator/client.hpp"

#include <algorithm>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/peer.hpp"

namespace nq::detail {

Client::Client(std::shared_ptr<Transport> transport, Options options)
    : Core(std::move(transport), std::move(options)),
      server_(Peer::make(*this, Session::Role::client, Uuid(), workers_.first())),
      pause_(limits::k_backoff_min) {
    // Busy from now on: a close that comes before the reactor's first task waits as well.
    workers_.first().post([this, busy = std::make_shared<Busy>(*this)] {
        server_->start(std::move(*busy));
        dial();
    });
    workers_.start();
}

// Reached without close only where the constructor of a derived object threw: there is none.
Client::~Client() { shut_down(); }

Session::Timeouts Client::timeouts() const {
    return {
        .connect = bounded(options_.connect_timeout), .expiry = {}, .fin = limits::k_fin_timeout};
}

void Client::dial() {
    if (server_->ended()) return;
    dial_ = transport_->dial(
        workers_.first(), options_.netloc,
        [this](Result<std::shared_ptr<Connection>> result) { handle_dialed(std::move(result)); });
}

void Client::handle_dialed(Result<std::shared_ptr<Connection>> result) {
    dial_.reset();
    if (result) return server_->attach(*std::move(result));
    const bool final = is_final(result.error());
    // A client that closes with nothing to say need not wait for a server to say it to.
    const bool in_vain = closing() && server_->queued_messages() == 0;
    server_->handle_unreachable(result.error(), final || in_vain);
    if (!server_->ended()) dial_later();
}

void Client::dial_later() {
    retry_ = workers_.first().call_after(pause_, [this] { dial(); });
    pause_ = std::min<Duration>(pause_ * 2, limits::k_backoff_max);
}

Future Client::put_each(Stream&& message, Peers peers) {
    if (peers.empty()) return Future([&] { return server_->put(std::move(message)); });
    Tickets tickets;
    const Uuid known = server_->id();
    for (const Uuid& peer : peers) {
        if (!known.is_nil() && peer != known) {
            tickets.add(refused({make_error_code(Errc::unknown_peer), peer,
                                 "put: " + peer.to_string() + " is not the server, which is " +
                                     known.to_string()}));
        } else {
            tickets.add(server_->put(Stream(message), peer));
        }
    }
    return future_of(std::move(tickets));
}

std::vector<Uuid> Client::peers() const {
    const Uuid id = server_->id();
    if (id.is_nil() || server_->ended()) return {};
    return {id};
}

Stats Client::stats() const {
    Stats stats;
    stats.peers.push_back(server_->stats());
    return stats;
}

void Client::handle_identified(Peer& peer) {
    pause_ = limits::k_backoff_min;
    retry_.cancel();  // one that closes gave the attempt a moment: it was enough
    announce(options_.events.ini, peer.id());
}

void Client::handle_ended(Peer& peer, const Failure& failure,
                          std::shared_ptr<Connection> connection) {
    dial_.reset();
    retry_.cancel();
    // The server's fin was the last thing to read, so nothing unread can turn this into a reset.
    if (connection != nullptr) {
        connection->finish_sending();  // so a broker knows, too, that this was a goodbye
        connection->close();
    }
    if (!peer.id().is_nil()) announce(options_.events.fin, peer.id());
    log(LogLevel::info, "session ended: " + failure.text);
    inbox_.close(failure);
}

void Client::begin_close() {
    workers_.first().post([this] {
        server_->close();
        if (!server_->seeking() || server_->stats().queued_messages > 0) return;
        // Nothing to say: gives up between two attempts at once; an attempt under way may have
        // reached the server, which should hear a goodbye, so it gets a moment.
        retry_ = workers_.first().call_after(
            dial_ == nullptr ? Duration::zero() : Duration(limits::k_linger_timeout), [this] {
                server_->handle_unreachable(
                    {make_error_code(Errc::connection_aborted), Uuid(), "closed"}, true);
            });
    });
}

void Client::end_all() {
    workers_.first().post([this] { server_->end(); });
}

void Client::kill_all() {
    workers_.first().post([this] { server_->kill(); });
}

}  // namespace nq::detail
