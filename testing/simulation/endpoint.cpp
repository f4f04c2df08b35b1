// SPDX-License-Identifier: Apache-2.0
#include "testing/simulation/endpoint.hpp"

#include <algorithm>
#include <utility>

#include "buffer/limits.hpp"

namespace nq::testing {

namespace {

using detail::Session;

/// All worlds share their memory, as all sessions of a communicator do.
std::shared_ptr<detail::BufferPool> shared_pool() {
    static const auto pool = detail::BufferPool::create(detail::limits::k_retained_bytes);
    return pool;
}

}  // namespace

Endpoint::Endpoint(std::uint64_t id, Role role, const Uuid& self, const Uuid& peer,
                   const EndpointOptions& options, TimePoint now)
    : id_(id),
      role_(role),
      options_(options),
      session_(role, options.timeouts, now),
      send_(self, options.send, shared_pool()),
      receive_(options.receive, shared_pool()),
      sent_(self, options.send),
      heard_(peer, options.receive) {
    // A server's session begins with an ini that somebody else has read.
    if (role_ == Role::server) {
        send_.handle_identified(peer);
        sent_.identified(peer);
    }
}

void Endpoint::put(std::string text, std::optional<Uuid> target, std::size_t cuts, TimePoint now) {
    const std::uint64_t size = text.size();
    messages_.push_back(std::make_unique<Message>(messages_.size(), std::move(text), size));
    Message& message = *messages_.back();
    message.target = target;
    send_.put(message.lend(cuts), target);
    sent_.put(message);
    settle(now);
}

bool Endpoint::cancel(std::uint64_t number, TimePoint now) {
    const bool cancelled = send_.cancel(number);
    require(cancelled == sent_.cancel(number), "cancel: if no octet of it was offered");
    if (cancelled) messages_[number]->complete(Message::Future::cancelled);
    settle(now);
    return cancelled;
}

void Endpoint::close(TimePoint now) {
    close_called_ = true;
    session_.close(now);
    settle(now);
}

void Endpoint::end(TimePoint now) {
    if (!end_at_) end_at_ = now;
    session_.end(now);
    require(ended() || session_.poll_timeout().has_value(), "an end has a deadline");
    settle(now);
}

void Endpoint::connected(Pipe& out, Pipe& in, TimePoint now) {
    out_ = &out;
    in_ = &in;
    session_.handle_connected(now);
    send_.handle_connected();
    sent_.connected(out);
    receive_.handle_connected(role_ == Role::server ? std::optional(heard_.peer()) : std::nullopt);
    heard_.connected(in);
    lost_at_.reset();
    settle(now);
}

void Endpoint::unreachable(TimePoint now) {
    session_.handle_unreachable(now);
    settle(now);
}

std::size_t Endpoint::transmit(std::size_t n, TimePoint now) {
    const auto chunks = send_.poll_transmit();
    n = std::min(n, sent_.offered(chunks));
    if (n > 0) {
        sent_.taken(chunks, n);
        out_->take(chunks, n);
        send_.handle_taken(n);
    }
    settle(now);
    return n;
}

std::size_t Endpoint::release(std::size_t n, TimePoint now) {
    n = static_cast<std::size_t>(std::min<std::uint64_t>(n, out_->unreleased()));
    out_->release(n);
    sent_.released(n);
    send_.handle_released(n);
    complete_futures();
    settle(now);
    return n;
}

std::size_t Endpoint::receive(std::size_t n, std::size_t events, TimePoint now) {
    Pipe& in = *in_;
    const std::uint64_t before = in.arrived() + heard_.told_count();
    if (unpolled_) poll(events, now);
    if (!unpolled_ && !ended() && n > 0 && in.readable() > 0) {
        std::size_t got = 0;
        for (const detail::ReceiveHalf::Target& target : receive_.targets()) {
            const std::size_t part = std::min(n - got, target.size());
            got += in.read(target.first(part));
        }
        require(got > 0, "there is room for octets");
        receive_.handle_received(got);
        poll(events, now);
    }
    settle(now);
    return static_cast<std::size_t>(in.arrived() + heard_.told_count() - before);
}

void Endpoint::poll(std::size_t events, TimePoint now) {
    unpolled_ = true;
    for (; events > 0 && !ended(); --events) {
        detail::Batch run;
        receive_.poll_messages(run, events - 1, SIZE_MAX);
        events -= run.size();
        while (!run.empty()) heard_.told(detail::Received{run.pop()});
        const auto event = receive_.poll_event();
        if (!event) {
            unpolled_ = false;
            return heard_.check_nothing_missing();
        }
        heard_.told(*event);
        handle(*event, now);
    }
}

void Endpoint::handle(const detail::ReceiveEvent& event, TimePoint now) {
    if (const auto* ini = std::get_if<detail::Identified>(&event)) {
        session_.handle_identified(now);
        send_.handle_identified(ini->peer);
        sent_.identified(ini->peer);
    } else if (std::holds_alternative<detail::Finished>(event)) {
        unasked_fin_ = role_ == Role::client && !close_called_ && !end_at_;
        session_.handle_fin_seen(now);
    } else if (std::holds_alternative<detail::Violation>(event)) {
        violated_ = true;
    }
    settle(now);
}

void Endpoint::idle(TimePoint now) {
    if (unpolled_) return;
    receive_.handle_idle();
    require(receive_.held_memory() <= heard_.memory_bound(true), "memory of an idle session");
    settle(now);
}

void Endpoint::lost(TimePoint now) {
    if (unpolled_) poll(SIZE_MAX, now);
    if (ended()) return;
    lost_at_ = now;
    heard_.lost();
    receive_.handle_lost();
    send_.handle_lost();
    sent_.lost();
    unpolled_ = false;
    hang_up(now);
    session_.handle_lost(now);
    const bool kept = role_ == Role::server && !heard_.fin_heard() && !close_called_ && !end_at_;
    require(kept == (session_.state() == State::lost), "a server keeps a session that was lost");
    settle(now);
}

// What was taken still arrives; nothing is read any more.
void Endpoint::hang_up(TimePoint now) {
    std::exchange(out_, nullptr)->finish(now);
    std::exchange(in_, nullptr)->cut(0, now);
}

void Endpoint::timeout(TimePoint now) {
    session_.handle_timeout(now);
    const auto due = session_.poll_timeout();
    require(!due || *due > now, "a timeout that was handled is not due again");
    settle(now);
}

void Endpoint::settle(TimePoint now) {
    if (ended_seen_) return;
    obey(session_.poll_order());
    if (send_.fin_taken() && !fin_told_ && !ended()) {
        fin_told_ = true;
        session_.handle_fin_taken(now);
    }
    complete_futures();
    sent_.check(send_);
    require(receive_.held_memory() <= heard_.memory_bound(false), "memory within its bound");
    check_session();
    if (!ended()) return;
    ended_seen_ = true;
    check_reason(now);
    if (out_ != nullptr) {
        release(SIZE_MAX, now);
        hang_up(now);
    }
    for (const auto& message : messages_) {
        if (message->future() != Message::Future::pending) continue;
        message->complete(Message::Future::failed);
    }
}

void Endpoint::obey(Session::Order order) {
    if (order == Session::Order::none) return;
    require(++orders_ <= 2, "an order is told once");
    const bool abandon = order == Session::Order::abandon;
    require(abandon || role_ == Role::server || close_called_, "a client closes when told to");
    require(!abandon || end_at_ || unasked_fin_, "nothing is abandoned without need");
    require(abandon || !unasked_fin_, "who is dismissed abandons its queue");
    if (abandon) {
        send_.abandon();
        sent_.abandon(send_.accepted());
    } else {
        send_.close();
        sent_.close();
    }
}

void Endpoint::complete_futures() {
    while (const auto number = send_.poll_refused()) {
        require(sent_.poll_refused() == number, "refused: what is for somebody else");
        messages_[*number]->complete(Message::Future::refused);
    }
    require(!sent_.poll_refused(), "what is for somebody else is refused");
    require(send_.released() <= messages_.size(), "released is more than was put");
    for (; completed_ < send_.released(); ++completed_) {
        Message& message = *messages_[completed_];
        const bool withdrawn = message.future() == Message::Future::cancelled ||
                               message.future() == Message::Future::refused;
        if (!withdrawn) message.complete(Message::Future::done);
    }
}

void Endpoint::check_session() const {
    if (session_.state() == State::lost) {
        require(lost_at_.has_value(), "lost without a loss");
        require(session_.poll_timeout() == *lost_at_ + options_.timeouts.expiry,
                "a lost session expires in its time");
    }
    require(!ended() || !session_.poll_timeout(), "an ended session waits for nothing");
}

void Endpoint::check_reason(TimePoint now) const {
    bool right = false;
    switch (session_.reason()) {
        case Reason::none: break;
        case Reason::finished: right = heard_.fin_heard() && sent_.fin_taken(); break;
        case Reason::dismissed: right = unasked_fin_; break;
        case Reason::reset: right = lost_at_.has_value(); break;
        case Reason::no_answer: right = role_ == Role::client && !heard_.identified(); break;
        case Reason::expired:
            right = lost_at_ && now >= *lost_at_ + options_.timeouts.expiry;
            break;
        case Reason::closed: right = close_called_ || end_at_; break;
        case Reason::deadline: right = end_at_ && now >= *end_at_ + options_.timeouts.fin; break;
    }
    require(right, "a session ends for the reason it gives");
}

}  // namespace nq::testing
