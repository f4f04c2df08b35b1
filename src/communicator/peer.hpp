// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <net_queue/communicator.hpp>

#include "communicator/core.hpp"
#include "handoff/baton.hpp"
#include "handoff/completion.hpp"
#include "handoff/inbox.hpp"
#include "handoff/outbox.hpp"
#include "io/reactor.hpp"
#include "session/receive_half.hpp"
#include "session/send_half.hpp"
#include "session/session.hpp"
#include "transport/transport.hpp"

namespace nq::detail {

/// One session at work: the pure session and its halves, joined to the threads that put, to the
/// inbox, and to the connection of the moment, of which it is the handler.
///
/// Who may touch what:
/// - the receive half, the session and the timer: the reactor thread (reactor_);
/// - the send half: the holder of the send baton, a thread in `put` or the reactor thread, or a
///   thread that keeps the baton between two puts;
/// - between the two only bits on the baton, and tasks posted to the reactor.
/// Owned by the communicator's role (client, server) and by its connection; uses the Core, which
/// ends every session and stops every reactor before it goes.
/// Thread safety: each method says which thread.
class Peer final : public ConnectionHandler, public std::enable_shared_from_this<Peer> {
  public:
    /// A client's peer is not known yet: nil. Follow with start. Messages may be put, and taken
    /// back, before.
    static std::shared_ptr<Peer> make(Core& core, Session::Role role, const Uuid& id,
                                      Reactor& reactor);
    /// For make.
    Peer(Core& core, Session::Role role, const Uuid& id, Reactor& reactor);

    // Any thread.
    /// Queues a message. With `target`, only for that peer (a client that names its server).
    Ticket put(Stream&& message, const std::optional<Uuid>& target = std::nullopt);
    /// Nil until identified.
    [[nodiscard]] Uuid id() const { return completion_->peer(); }
    [[nodiscard]] PeerStats stats() const;
    /// Messages not wholly taken by the connection, and their octets.
    [[nodiscard]] std::uint64_t queued_messages() const;
    [[nodiscard]] std::uint64_t queued_bytes() const;
    [[nodiscard]] Reactor& reactor() const {
        return *reactor_.load(std::memory_order_acquire);  // pairs with the store in move_to
    }
    /// Runs `task` on the session's reactor thread, also if it moves to another before that.
    void post(std::function<void()> task);
    /// True once for each loss: the caller brings the session its next connection.
    [[nodiscard]] bool claim();
    [[nodiscard]] bool ended() const { return phase() == Phase::ended; }
    [[nodiscard]] bool lost() const { return phase() == Phase::lost; }

    // Reactor thread.
    /// Client: the session begins, without a connection; it keeps close waiting until it ends.
    void start(Core::Busy busy);
    /// Client: `connection` carries the session from now on.
    void attach(std::shared_ptr<Connection> connection);
    /// Server: so does this one, whose ini was read already. Close waits for the session until it
    /// is lost or ends. False: the session has ended meanwhile, and neither is touched.
    [[nodiscard]] bool attach_identified(std::shared_ptr<Connection> connection, Core::Busy&& busy);
    /// A claimed session leaves this reactor for another; attach follows there.
    void move_to(Reactor& reactor);
    /// The user closes: see Session::close.
    void close();
    /// See Session::end.
    void end();
    /// See Session::kill.
    void kill();
    /// A claimed session is given up: its client did not come back in time, or too many are lost.
    void expire();
    /// A peer that said fin came again before all was said to it: nobody hears the rest.
    void end_if_departed();
    [[nodiscard]] bool expired() const { return session_.reason() == Session::Reason::expired; }
    /// Client: nobody can be reached; `failure` says why. Final: trying again is of no use.
    void handle_unreachable(Failure failure, bool final);
    /// Client: there is no connection (yet, or any more); the next one will be dialled.
    [[nodiscard]] bool seeking() const {
        return session_.state() == Session::State::connecting ||
               session_.state() == Session::State::lost;
    }

    // ConnectionHandler.
    void handle_readable() override;
    void handle_writable() override;
    void handle_released(std::size_t n) override;
    void handle_lost(Failure failure) override;

  private:
    enum class Phase { connecting, open, lost, claimed, ended };
    /// Work for the holder of the send baton.
    enum Send : Baton::Work {
        k_outbox = 1,       ///< messages were put, and go out with others or after a moment
        k_urgent = 512,     ///< what is queued goes out now
        k_writable = 2,     ///< the connection takes octets again
        k_released = 4,     ///< memory was released later than taken
        k_link = 8,         ///< next_link_ changed
        k_identified = 16,  ///< client: the server is known
        k_close = 32,       ///< fin after what is queued
        k_abandon = 64,     ///< fin, forget what is queued
        k_cancel = 128,     ///< cancels_ has requests
        k_end = 256,        ///< the session is over
        k_flush = 1024,     ///< the stream of messages has stopped for now
        k_idle = 2048,      ///< and for longer
    };
    static_assert(k_idle < 1U << Baton::k_work_bits);
    struct CancelRequest {
        std::uint64_t number = 0;
        std::atomic<int> answer{-1};  ///< 0 no, 1 yes
    };

    // The sending side; peer_send.cpp, which alone uses what is inline. Holder of the send baton,
    // except put_as_keeper, put_beside_holder and signal_send; pass, accept and may_wait by its
    // keeper inside as well.
    void put_as_holder(Baton::Count number, Stream&& message, const std::optional<Uuid>& target,
                       Baton::Work work);
    inline void put_as_keeper(Baton::Count number, Stream&& message, Baton::Work work);
    inline void pass(Baton::Count number, Stream&& message, const std::optional<Uuid>& target);
    std::optional<std::uint64_t> put_beside_holder(Stream&& message,
                                                   const std::optional<Uuid>& target,
                                                   Baton::Work work);
    void signal_send(Baton::Work work, bool here);
    void run_send(Baton::Work work = 0, bool puts = false);
    void do_send_work(Baton::Work work);
    [[nodiscard]] inline bool may_wait(Baton::Work work);
    void relink();
    void drain_outbox();
    void tell_refused();
    inline void accept(Stream&& message, const std::optional<Uuid>& target);
    void abandon();
    void answer_cancels();
    [[nodiscard]] bool transmit();
    inline void account_queued();
    void account_sent();
    [[nodiscard]] Failure departure() const;
    void finish_sending_side();
    bool cancel(std::uint64_t number);
    // Reactor thread.
    void look_after_stream();
    void look_after_memory();

    // The receiving side; reactor thread.
    void pump();
    void take_turn();
    [[nodiscard]] bool deliver_events();
    void handle_event(Identified event);
    void handle_event(Received event);
    void handle_event(Oversized event);
    void handle_event(Finished event);
    void handle_event(Violation event);
    void flush();
    struct Room {
        std::uint64_t messages = UINT64_MAX;
        std::uint64_t octets = UINT64_MAX;
        [[nodiscard]] bool none() const { return messages == 0 || octets == 0; }
    };
    [[nodiscard]] Room room() const;
    [[nodiscard]] bool take_messages(const Room& left);
    void count_received(std::uint64_t messages, std::uint64_t octets);
    [[nodiscard]] bool pause();
    void drop_received();
    void drop_connection(Failure failure);
    void handle_send_failed(const std::shared_ptr<Connection>& connection, Failure failure);

    // The session; reactor thread.
    void link(std::shared_ptr<Connection> connection);
    void settle();
    void arm_timer();
    void finish();
    [[nodiscard]] Failure make_end_failure() const;
    [[nodiscard]] Phase phase() const {
        return phase_.load(std::memory_order_acquire);  // pairs with the stores in peer.cpp
    }

    // Constant after construction.
    Core& core_;
    const Session::Role role_;
    const CompletionShare completion_;

    // Shared.
    std::atomic<Reactor*> reactor_;
    std::atomic<Phase> phase_{Phase::connecting};
    Baton send_baton_;  ///< and the messages' numbers
    Outbox outbox_{send_baton_};
    Queue<std::shared_ptr<CancelRequest>> cancels_;
    std::atomic<bool> stream_watched_{false};  ///< look_after_stream will come
    std::atomic<bool> stream_stalls_{false};   ///< the next put sends what waits
    std::atomic<std::uint64_t> released_pending_{0};
    std::atomic<std::uint64_t> queued_bytes_{0};  ///< beyond the outbox
    std::atomic<std::uint64_t> sent_messages_{0};
    std::atomic<std::uint64_t> received_messages_{0};
    std::atomic<std::uint64_t> received_bytes_{0};
    std::atomic<std::uint64_t> dropped_messages_{0};
    std::atomic<std::uint64_t> answered_{0};  ///< received_messages_ when the last put was made
    mutable std::mutex link_mutex_;           // guards the three below
    std::shared_ptr<Connection> next_link_;
    std::shared_ptr<Inbox::Lane> shared_lane_;
    Failure end_failure_;  ///< without a code: not ended

    // Belong to the holder of the send baton.
    SendHalf sender_;
    std::shared_ptr<Connection> link_;
    bool link_failed_ = false;
    bool link_full_ = false;       ///< handle_writable will come
    bool memory_watched_ = false;  ///< look_after_memory will come
    std::chrono::steady_clock::time_point last_sent_;
    bool close_wanted_ = false;
    bool abandoned_ = false;
    bool fin_reported_ = false;
    std::uint64_t abandoned_bytes_ = 0;

    // Belong to the reactor thread.
    Core::Busy busy_;
    Session session_;
    ReceiveHalf receiver_;
    std::shared_ptr<Connection> connection_;
    std::shared_ptr<Inbox::Lane> lane_;
    Batch batch_;
    bool paused_ = false;
    const Reactor* turn_at_ = nullptr;  ///< the reactor on which a turn of this peer waits
    bool draining_ = false;  ///< the connection failed: the rest of its octets is read, room or not
    bool finished_ = false;
    std::optional<Failure> last_failure_;
    std::optional<Uuid> replaced_by_;  ///< client: it came back, and found another server
    Reactor::Timer timer_;
    Reactor::Timer stream_timer_;
    Reactor::Timer memory_timer_;
    std::uint64_t seen_sent_ = 0;  ///< when the stream was last looked after
    std::uint64_t seen_put_ = 0;
    std::uint64_t seen_put_by_memory_ = 0;
};

}  // namespace nq::detail
