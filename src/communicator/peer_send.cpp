// SPDX-License-Identifier: Apache-2.0
// The sending side of a Peer: from put to the connection.
#include <algorithm>
#include <thread>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/core.hpp"
#include "communicator/peer.hpp"

namespace nq::detail {

Ticket Peer::put(Stream message, std::optional<Uuid> target) {
    const std::uint64_t size = message.size();
    const auto refuse = [this](Failure failure) {
        return Ticket{completion_, 0, std::make_shared<const Failure>(std::move(failure))};
    };
    // relaxed, here and below: the counters bound and report, they order nothing.
    if (phase() == Phase::lost &&
        queued_bytes_.load(std::memory_order_relaxed) + size > core_.options().lost_bytes) {
        return refuse({make_error_code(Errc::queue_full), id(),
                       "the queue for lost client " + id().to_string() + " is full (" +
                           std::to_string(core_.options().lost_bytes) + " octets)"});
    }
    queued_messages_.fetch_add(1, std::memory_order_relaxed);
    queued_bytes_.fetch_add(size, std::memory_order_relaxed);
    const auto number = outbox_.push(std::move(message), target);
    if (!number) {
        queued_messages_.fetch_sub(1, std::memory_order_relaxed);
        queued_bytes_.fetch_sub(size, std::memory_order_relaxed);
        return refuse({make_error_code(Errc::connection_reset), id(),
                       "put: " + id().to_string() + " has left or is leaving"});
    }
    // A put that answers something goes out at once, from this thread. One that follows another is
    // part of a stream, and a stream is faster when the reactor sends many at a time.
    const std::uint64_t received = received_messages_.load(std::memory_order_relaxed);
    const bool answers = answered_.exchange(received, std::memory_order_relaxed) != received;
    signal_send(k_outbox, answers || phase() == Phase::ended);
    return Ticket{completion_, *number, nullptr};
}

// Raises work for the holder of the send baton. Whoever gets the baton by that does the work:
// `here`, or on the reactor thread.
void Peer::signal_send(Baton::Work work, bool here) {
    if (!send_baton_.raise(work)) return;
    if (here) return run_send();
    reactor().post([self = shared_from_this()] { self->run_send(); });
}

void Peer::run_send() {
    do {
        do_send_work(send_baton_.take());
        if (transmit()) {
            // More could go out, but others have their turn first; the baton goes along.
            reactor().post([self = shared_from_this()] { self->run_send(); });
            return;
        }
    } while (!send_baton_.release());
}

void Peer::do_send_work(Baton::Work work) {
    if ((work & k_released) != 0) {
        // acquire: pairs with handle_released.
        const auto n = released_pending_.exchange(0, std::memory_order_acquire);
        // A release that raced with the loss of its connection was counted with the loss.
        sender_.handle_released(std::min<std::size_t>(n, sender_.unreleased_octets()));
    }
    if ((work & k_link) != 0) relink();
    drain_outbox();
    if ((work & k_identified) != 0) sender_.handle_identified(id());
    while (const auto number = sender_.poll_refused()) {
        completion_->refuse(
            *number, {make_error_code(Errc::unknown_peer), id(),
                      "put: the peer named is not the server, which is " + id().to_string()});
    }
    if ((work & k_cancel) != 0) answer_cancels();
    if ((work & k_abandon) != 0) {
        abandoned_ = true;
        sender_.abandon();
    }
    if ((work & k_close) != 0) close_wanted_ = true;
    // Fin comes after every message that has a number, also those of threads still pushing.
    if (close_wanted_ && outbox_.drained() == outbox_.close()) sender_.close();
    if ((work & k_end) != 0) finish_sending_side();
}

void Peer::relink() {
    std::shared_ptr<Connection> next;
    {
        const std::lock_guard lock(link_mutex_);
        next = next_link_;
    }
    if (next == link_) return;
    if (link_ != nullptr) sender_.handle_lost();
    link_ = std::move(next);
    link_failed_ = fin_reported_ = false;
    if (link_ != nullptr) sender_.handle_connected();
}

void Peer::drain_outbox() {
    outbox_.drain([this](Stream&& message, const std::optional<Uuid>& target) {
        drained_bytes_ += message.size();
        if (!abandoned_) sender_.put(std::move(message), target);
    });
}

// Offers octets to the connection; true: it would take more, but this turn is over.
bool Peer::transmit() {
    std::size_t turn = 0;
    bool more = false;
    while (link_ != nullptr && !link_failed_) {
        const auto chunks = sender_.poll_transmit();
        if (chunks.empty()) break;
        std::size_t offered = 0;
        for (const Chunk& chunk : chunks) offered += chunk.size();
        const auto sent = link_->send(chunks);
        if (!sent) {
            link_failed_ = true;
            post([this, link = link_, failure = sent.error()] {
                handle_send_failed(link, failure);
            });
            break;
        }
        sender_.handle_taken(sent->taken);
        sender_.handle_released(sent->released);
        if (sent->taken < offered) break;  // handle_writable follows
        turn += sent->taken;
        if (turn >= limits::k_turn_bytes) {
            more = true;
            break;
        }
    }
    account_sent();
    if (sender_.fin_taken() && !fin_reported_) {
        fin_reported_ = true;
        post([this] {
            session_.handle_fin_taken(reactor().now());
            settle();
        });
    }
    return more;
}

void Peer::account_sent() {
    const std::uint64_t taken = sender_.taken();
    // relaxed: reported to people, and compared with bounds that need not be exact.
    if (taken != accounted_messages_) {
        sent_messages_.store(taken, std::memory_order_relaxed);
        queued_messages_.fetch_sub(taken - accounted_messages_, std::memory_order_relaxed);
        accounted_messages_ = taken;
    }
    const std::uint64_t gone = drained_bytes_ - sender_.queued_bytes();
    // relaxed: as above.
    queued_bytes_.fetch_sub(gone - accounted_bytes_, std::memory_order_relaxed);
    accounted_bytes_ = gone;
    completion_->publish(sender_.released());
}

void Peer::finish_sending_side() {
    link_.reset();
    abandoned_ = true;
    sender_.handle_lost();
    sender_.abandon();
    account_sent();
    Failure failure;
    {
        const std::lock_guard lock(link_mutex_);
        failure = end_failure_;
    }
    completion_->fail(std::move(failure));
}

bool Peer::cancel(std::uint64_t number) {
    const auto request = std::make_shared<CancelRequest>();
    request->number = number;
    cancels_.push(request);
    signal_send(k_cancel, true);
    // The holder of the baton answers within its turn; once the session has ended, nobody may.
    // acquire: what the holder did to the queue came before its answer.
    while (request->answer.load(std::memory_order_acquire) < 0) {
        const auto outcome = completion_->poll(number);
        // One that completes as cancelled does so just before the answer.
        if (outcome && (*outcome || outcome->error().code != Errc::cancelled)) return false;
        std::this_thread::yield();
    }
    return request->answer.load(std::memory_order_relaxed) == 1;  // relaxed: seen above
}

void Peer::answer_cancels() {
    auto requests = cancels_.take_all();
    while (!requests.empty()) {
        const auto request = requests.pop();
        const bool taken_back = sender_.cancel(request->number);
        if (taken_back) {
            completion_->refuse(request->number, {make_error_code(Errc::cancelled), id(),
                                                  "put: cancelled before it was sent"});
        }
        // release: pairs with the load in cancel.
        request->answer.store(taken_back ? 1 : 0, std::memory_order_release);
    }
}

}  // namespace nq::detail
