// SPDX-License-Identifier: Apache-2.0
// The sending side of a Peer: from put to the connection.
#include <algorithm>
#include <new>
#include <thread>
#include <utility>

#include "buffer/limits.hpp"
#include "communicator/core.hpp"
#include "communicator/peer.hpp"

namespace nq::detail {

Ticket Peer::put(Stream&& message, const std::optional<Uuid>& target) {
    const std::uint64_t size = message.size();
    if (role_ == Session::Role::server && phase() == Phase::lost &&
        queued_bytes() + size > core_.options().lost_bytes) {
        return core_.refused({make_error_code(Errc::queue_full), id(),
                              "the queue for lost client " + id().to_string() + " is full (" +
                                  std::to_string(core_.options().lost_bytes) + " octets)"});
    }
    // A put that answers something goes out at once, and so does one that fills a block by itself.
    // One that follows another is part of a stream. relaxed, all three: a guess.
    Baton::Work work = k_outbox;
    const std::uint64_t received = received_messages_.load(std::memory_order_relaxed);
    if (answered_.load(std::memory_order_relaxed) != received) {
        answered_.store(received, std::memory_order_relaxed);  // relaxed: as above
        work |= k_urgent;
    }
    if (size >= limits::k_block_size) work |= k_urgent;
    // Not with a target, which may be refused: nobody else's memory is given back inside.
    if (const auto number = target ? std::nullopt : send_baton_.enter_kept()) {
        put_as_keeper(*number, std::move(message), work);
        return Ticket{completion_, *number};
    }
    if (const auto number = send_baton_.try_hold_and_count()) {
        put_as_holder(*number, std::move(message), target, work);
        return Ticket{completion_, *number};
    }
    const auto number = put_beside_holder(std::move(message), target, work);
    if (!number) return core_.refused(departure());
    return Ticket{completion_, *number};
}

void Peer::put_as_holder(Baton::Count number, Stream&& message, const std::optional<Uuid>& target,
                         Baton::Work work) {
    try {
        pass(number, std::move(message), target);
    } catch (const std::bad_alloc&) {
        // It has its number and no place: the session can't go on without it.
        post([this] { kill(); });
        run_send();
        throw;
    }
    run_send(work, true);
}

// In a stream of small messages, all but those that fill a block.
inline void Peer::put_as_keeper(Baton::Count number, Stream&& message, Baton::Work work) {
    bool waits = false;
    try {
        pass(number, std::move(message), std::nullopt);
        waits = may_wait(work);
        account_queued();
    } catch (...) {
        send_baton_.leave_kept();
        post([this] { kill(); });  // as above
        throw;
    }
    send_baton_.leave_kept();
    // Urgent by now: may_wait has taken note of what speaks against waiting, and would not again.
    if (!waits && send_baton_.raise(work | k_urgent)) run_send(0, true);
}

inline void Peer::pass(Baton::Count number, Stream&& message, const std::optional<Uuid>& target) {
    outbox_.pass(number, std::move(message), target,
                 [this](Stream&& next, const std::optional<Uuid>& its_target) {
                     accept(std::move(next), its_target);
                 });
}

std::optional<std::uint64_t> Peer::put_beside_holder(Stream&& message,
                                                     const std::optional<Uuid>& target,
                                                     Baton::Work work) {
    const auto number = outbox_.push(std::move(message), target);
    if (!number) return number;
    // seq_cst, after the push: either this sees that nobody looks after the stream any more, or
    // the look, which says so before it drains, finds the message.
    const bool watched = stream_watched_.load(std::memory_order_seq_cst);
    if (!watched || work != k_outbox) signal_send(work, true);
    return number;
}

// Why nothing can be put any more: the session is over, or about to be.
Failure Peer::departure() const {
    const std::lock_guard lock(link_mutex_);
    if (end_failure_.code) return end_failure_;
    const bool client = role_ == Session::Role::client;
    return {make_error_code(Errc::connection_reset), id(),
            "put: " + (client ? "the server" : "client " + id().to_string()) + " is leaving"};
}

// Raises work for the holder of the send baton. Whoever gets the baton by that does the work:
// `here`, or on the reactor thread.
void Peer::signal_send(Baton::Work work, bool here) {
    if (!send_baton_.raise(work)) return;
    if (here) return run_send();
    reactor().post([self = shared_from_this()] { self->run_send(); });
}

// Goes on until nothing is raised any more. `work` is what the holder wants done by itself. In a
// stream of small messages a thread that puts may keep the baton, as long as the stream is looked
// after.
void Peer::run_send(Baton::Work work, bool puts) {
    if (work == 0) work = send_baton_.take();
    for (;;) {
        do_send_work(work);
        const bool more = !may_wait(work) && transmit();
        account_queued();
        if (more) {
            // More could go out, but others have their turn first; the baton goes along.
            reactor().post([self = shared_from_this()] { self->run_send(k_urgent); });
            return;
        }
        if (sender_.holds_memory() && !std::exchange(memory_watched_, true)) {
            post([this] { look_after_memory(); });
        }
        // relaxed: only a holder changes it to false.
        const bool keeps = puts && stream_watched_.load(std::memory_order_relaxed);
        if (keeps ? send_baton_.keep(outbox_.drained()) : send_baton_.release()) return;
        work = send_baton_.take();
    }
}

// Small messages go out by the block, as many of them at once as are staged ahead: each call wakes
// the receiver. The first one after a pause does not wait for others; those that follow it do,
// until they are as many or the reactor, which looks after them, says so.
inline bool Peer::may_wait(Baton::Work work) {
    if (work != k_outbox || link_ == nullptr) return false;
    const std::uint64_t waiting = sender_.accepted() - sender_.taken();
    if (sender_.queued_bytes() + waiting * k_header_size >= limits::k_staged_copy_max ||
        waiting >= limits::k_waiting_messages) {
        return false;
    }
    // relaxed, all three: what the holder of the baton writes, and a hint.
    if (stream_watched_.load(std::memory_order_relaxed)) {
        if (!stream_stalls_.load(std::memory_order_relaxed)) return true;
        stream_stalls_.store(false, std::memory_order_relaxed);
        return false;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - last_sent_ > limits::k_pause) {
        last_sent_ = now;
        return false;
    }
    stream_watched_.store(true, std::memory_order_relaxed);  // relaxed: as above
    post([this] {
        signal_send(k_urgent, true);  // the end of a short burst
        look_after_stream();
    });
    return true;
}

// A stream that has stopped: the reactor sends what is left. One that flows, but too thin to be
// sent by its puts: the next one sends what waits, so that two threads don't get in each other's
// way.
void Peer::look_after_stream() {
    if (finished_) return;
    // relaxed: a change seen late is seen by the next look.
    const std::uint64_t sent = sent_messages_.load(std::memory_order_relaxed);
    const std::uint64_t put = send_baton_.count();
    const bool stalls = std::exchange(seen_sent_, sent) == sent;
    if (std::exchange(seen_put_, put) == put) return signal_send(k_flush, true);
    if (stalls) stream_stalls_.store(true, std::memory_order_relaxed);  // relaxed: a hint
    stream_timer_ = reactor().call_after(limits::k_stream_look, [this] { look_after_stream(); });
}

// What a burst of messages took is given back when nothing was put for a while.
void Peer::look_after_memory() {
    if (finished_) return;
    const std::uint64_t put = send_baton_.count();
    if (std::exchange(seen_put_by_memory_, put) == put) return signal_send(k_idle, true);
    memory_timer_ = reactor().call_after(limits::k_memory_look, [this] { look_after_memory(); });
}

void Peer::do_send_work(Baton::Work work) {
    constexpr Baton::Work k_plain = k_outbox | k_urgent;
    if ((work & ~k_plain) == 0 && !close_wanted_) {  // nearly always
        drain_outbox();
        if (sender_.has_refused()) tell_refused();
        return;
    }
    if ((work & k_released) != 0) {
        // acquire: pairs with handle_released.
        const auto n = released_pending_.exchange(0, std::memory_order_acquire);
        // A release that raced with the loss of its connection was counted with the loss.
        sender_.handle_released(std::min<std::size_t>(n, sender_.unreleased_octets()));
    }
    if ((work & k_link) != 0) relink();
    if ((work & k_writable) != 0) link_full_ = false;
    if ((work & (k_idle | k_link)) != 0) {
        memory_watched_ = false;
        sender_.handle_idle();
    }
    // seq_cst: before draining; see put_beside_holder.
    if ((work & (k_flush | k_link | k_end)) != 0) {
        stream_watched_.store(false, std::memory_order_seq_cst);
    }
    drain_outbox();
    if ((work & k_identified) != 0) sender_.handle_identified(id());
    tell_refused();
    if ((work & k_cancel) != 0) answer_cancels();
    if ((work & k_abandon) != 0) abandon();
    if ((work & k_close) != 0) close_wanted_ = true;
    // Fin comes after every message that has a number, also those of threads still pushing.
    if (close_wanted_ && outbox_.drained() == send_baton_.seal()) sender_.close();
    if ((work & k_end) != 0) finish_sending_side();
}

// Before the refused messages count as released: their futures would be done.
void Peer::tell_refused() {
    while (const auto number = sender_.poll_refused()) {
        completion_->refuse(
            *number, {make_error_code(Errc::unknown_peer), id(),
                      "put: the peer named is not the server, which is " + id().to_string()});
    }
}

void Peer::relink() {
    std::shared_ptr<Connection> next;
    {
        const std::lock_guard lock(link_mutex_);
        next = next_link_;
    }
    if (next == link_) return;
    if (link_ != nullptr) sender_.handle_lost(link_->unwritten());
    link_ = std::move(next);
    link_failed_ = link_full_ = fin_reported_ = false;
    // A client that comes back may find another server than before.
    const bool back = role_ == Session::Role::client && !id().is_nil();
    if (link_ != nullptr) sender_.handle_connected(back);
}

void Peer::drain_outbox() {
    outbox_.drain([this](Stream&& message, const std::optional<Uuid>& target) {
        accept(std::move(message), target);
    });
}

inline void Peer::accept(Stream&& message, const std::optional<Uuid>& target) {
    if (abandoned_) {
        abandoned_bytes_ += message.size();
    } else {
        sender_.put(std::move(message), target);
    }
}

void Peer::abandon() {
    abandoned_ = true;
    const std::uint64_t before = sender_.queued_bytes();
    sender_.abandon();
    abandoned_bytes_ += before - sender_.queued_bytes();
}

// Offers octets to the connection; true: it would take more, but this turn is over.
bool Peer::transmit() {
    std::size_t turn = 0;
    bool more = false;
    while (link_ != nullptr && !link_failed_ && !link_full_) {
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
        sender_.handle_taken(sent->taken, sent->released);
        link_full_ = sent->taken < offered;
        turn += sent->taken;
        if (turn >= limits::k_turn_bytes) {
            more = true;
            break;
        }
    }
    account_sent();
    // A server's goodbye may end the session, and its futures must not be done while the transport
    // still reads the memory. A client's is answered only once it has arrived.
    const bool settled = role_ == Session::Role::client || sender_.unreleased_octets() == 0;
    if (sender_.fin_taken() && settled && !fin_reported_) {
        fin_reported_ = true;
        post([this] {
            session_.handle_fin_taken(reactor().now());
            settle();
        });
    }
    return more;
}

inline void Peer::account_queued() {
    // relaxed: for people, and a bound that need not be exact.
    queued_bytes_.store(sender_.queued_bytes() + abandoned_bytes_, std::memory_order_relaxed);
}

void Peer::account_sent() {
    sent_messages_.store(sender_.taken(), std::memory_order_release);  // see queued_messages
    completion_->publish(sender_.released());
}

std::uint64_t Peer::queued_messages() const {
    // acquire, and first: what it counts was accepted before, and is seen to be.
    const std::uint64_t sent = sent_messages_.load(std::memory_order_acquire);
    return send_baton_.count() - sent;
}

std::uint64_t Peer::queued_bytes() const {
    // relaxed: reported to people.
    return queued_bytes_.load(std::memory_order_relaxed) + outbox_.octets();
}

void Peer::finish_sending_side() {
    link_.reset();
    sender_.handle_lost();
    abandon();
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
