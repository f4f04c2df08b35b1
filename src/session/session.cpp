// SPDX-License-Identifier: Apache-2.0
#include "session/session.hpp"

#include <utility>

#include "session/planted.hpp"

namespace nq::detail {

Session::Session(Role role, const Timeouts& timeouts, TimePoint now)
    : role_(role), timeouts_(timeouts) {
    if (role_ == Role::client) deadline_ = now + timeouts_.connect;
}

void Session::close(TimePoint) {
    if (closing_ || ended()) return;
    closing_ = true;
    if (role_ == Role::client) {
        // While it connects, what is queued still has its chance, until connect_timeout.
        if (!ending_) order(Order::close);
    } else if (state_ == State::lost) {
        become_ended(Reason::closed);
    }
}

void Session::end(TimePoint now) {
    if (ending_ || ended()) return;
    ending_ = true;
    if (state_ != State::open) return become_ended(Reason::closed);
    order(Order::abandon);
    if (!planted(Bug::end_without_deadline)) deadline_ = now + timeouts_.fin;
}

void Session::expire() {
    if (state_ == State::lost) become_ended(Reason::expired);
}

void Session::kill() {
    if (!ended()) become_ended(Reason::deadline);
}

void Session::handle_connected(TimePoint) {
    if (ended()) return;
    state_ = State::open;
    fin_taken_ = false;
    if (role_ == Role::server && !planted(Bug::deadline_of_lost_kept)) deadline_.reset();
}

void Session::handle_identified(TimePoint) {
    if (ended()) return;
    if (!ending_ && !planted(Bug::connect_deadline_kept)) deadline_.reset();
}

void Session::handle_fin_seen(TimePoint now) {
    if (ended() || fin_seen_) return;
    fin_seen_ = true;
    if (role_ == Role::server) {
        if (!ending_ && !planted(Bug::server_ignores_fin)) order(Order::close);
    } else if (!closing_ && !ending_) {
        become_dismissed(now);  // nobody asked for it: the server reads only for our fin
    }
    finish_if_both_fins();
}

void Session::become_dismissed(TimePoint now) {
    ending_ = dismissed_ = true;
    order(planted(Bug::dismissed_sends_queue) ? Order::close : Order::abandon);
    deadline_ = now + timeouts_.fin;
}

void Session::handle_fin_taken(TimePoint) {
    if (ended()) return;
    fin_taken_ = true;
    finish_if_both_fins();
}

void Session::finish_if_both_fins() {
    const bool one_is_enough = planted(Bug::ends_before_peers_fin);
    if ((!fin_seen_ && !one_is_enough) || !fin_taken_) return;
    become_ended(dismissed_ ? Reason::dismissed : Reason::finished);
}

void Session::handle_lost(TimePoint now) {
    if (ended()) return;
    // One fin without the other is not a clean end: what was queued behind the missing one may be
    // missing too.
    if (role_ == Role::client) return become_ended(dismissed_ ? Reason::dismissed : Reason::reset);
    // Who said fin does not come back; who is being dismissed, or is not awaited, need not.
    if (fin_seen_) return become_ended(Reason::reset);
    if (ending_ || closing_) return become_ended(Reason::closed);
    if (planted(Bug::lost_session_dropped)) return become_ended(Reason::reset);
    state_ = State::lost;
    if (planted(Bug::never_expires)) return;
    deadline_ = planted(Bug::expires_at_once) ? now : now + timeouts_.expiry;
}

void Session::handle_interrupted(TimePoint now) {
    // After one fin there is nothing to come back for.
    if (role_ == Role::server || ending_ || fin_seen_) return handle_lost(now);
    if (ended()) return;
    state_ = State::lost;
    // One that is lost again before its server answered has no more time for it.
    if (!deadline_) deadline_ = now + timeouts_.connect;
}

void Session::handle_replaced(TimePoint now) {
    if (!ended() && !ending_) become_dismissed(now);
}

void Session::handle_broken(TimePoint now) {
    handle_lost(now);
    if (!ended()) become_ended(Reason::reset);
}

void Session::handle_unreachable(TimePoint) {
    if (!ended()) become_ended(Reason::no_answer);
}

void Session::handle_timeout(TimePoint now) {
    if (ended() || !deadline_ || now < *deadline_) return;
    if (ending_) return become_ended(dismissed_ ? Reason::dismissed : Reason::deadline);
    if (role_ == Role::client) return become_ended(Reason::no_answer);
    if (state_ == State::lost) become_ended(Reason::expired);
}

Session::Order Session::poll_order() {
    return planted(Bug::order_told_twice) ? order_ : std::exchange(order_, Order::none);
}

// Abandoning includes closing, so the stronger order stays.
void Session::order(Order order) {
    if (order_ != Order::abandon) order_ = order;
}

void Session::become_ended(Reason reason) {
    state_ = State::ended;
    reason_ = reason;
    deadline_.reset();
}

}  // namespace nq::detail
