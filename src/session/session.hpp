// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <net_queue/uuid.hpp>

namespace nq::detail {

/// The life of one session: which connection phase it is in, when it must end, and why it did. The
/// octets are the business of its two halves (SendHalf, ReceiveHalf); what happens to them is told
/// here, and what they have to do is asked from here (WIRE.md, Session).
///
///                 connected          lost (server), interrupted (client)
///     connecting ----------> open <----------------------> lost
///         |                   | fins exchanged,  connected   | expired (server),
///         | close, timeout    | lost (client)                | timeout (client)
///         +---------------> ended <--------------------------+
///
/// Pure: no socket, thread, clock or randomness; time is an argument. Thread safety: none; belongs
/// to the reactor thread of the session.
class Session {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Duration = std::chrono::steady_clock::duration;

    enum class Role { client, server };
    enum class State { connecting, open, lost, ended };
    enum class Reason {
        none,       ///< it has not ended
        finished,   ///< both fins were exchanged
        dismissed,  ///< client: the server sent a fin that was not asked for
        reset,      ///< the connection was lost: a client's, or a server's after the peer's fin
        no_answer,  ///< client: no connection, or no ini, within connect_timeout (of a loss)
        expired,    ///< server: lost, and not back in time
        closed,     ///< closed here while no peer was there to say goodbye to
        deadline,   ///< ended here, and the peer's fin did not come in time
    };
    struct Timeouts {
        Duration connect = std::chrono::seconds{30};  ///< client: until the server's ini, each time
        Duration expiry = std::chrono::seconds{120};  ///< server: how long a lost session is kept
        Duration fin = std::chrono::seconds{5};       ///< after end(): until the peer's fin
    };
    /// What the send half has to do now. Each is told once.
    enum class Order {
        none,
        close,    ///< fin after what is queued
        abandon,  ///< fin, and nothing else that was not begun
    };

    /// A client's session begins when it starts to dial, a server's when it accepted an ini
    /// (follow with handle_connected).
    Session(Role role, const Timeouts& timeouts, TimePoint now);

    // Commands.
    /// The user closes: a client says goodbye after what is queued; a server keeps serving until
    /// the client leaves, but not for a session that is lost.
    void close(TimePoint now);
    /// Ends a session whose peer will not: fin, then the peer's fin or the deadline.
    void end(TimePoint now);
    /// A lost session is given up before its time.
    void expire();
    /// Ends at once, whatever the peer thinks.
    void kill();

    // What happened.
    void handle_connected(TimePoint now);
    /// Client: the server's ini came.
    void handle_identified(TimePoint now);
    void handle_fin_seen(TimePoint now);
    /// The transport took our fin.
    void handle_fin_taken(TimePoint now);
    void handle_lost(TimePoint now);
    /// Lost; but a client's server, which had answered, keeps the session for it to come back.
    void handle_interrupted(TimePoint now);
    /// Client: it came back, and another server answers: says goodbye to that one.
    void handle_replaced(TimePoint now);
    /// Lost, and what comes next could not continue it: no other connection can.
    void handle_broken(TimePoint now);
    /// Client: nobody can be reached, and trying again is of no use.
    void handle_unreachable(TimePoint now);
    void handle_timeout(TimePoint now);

    // What next.
    [[nodiscard]] Order poll_order();
    /// When handle_timeout wants to be called.
    [[nodiscard]] std::optional<TimePoint> poll_timeout() const { return deadline_; }

    // Queries.
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] Reason reason() const { return reason_; }
    [[nodiscard]] bool ended() const { return state_ == State::ended; }
    [[nodiscard]] bool closing() const { return closing_; }
    [[nodiscard]] bool fin_seen() const { return fin_seen_; }

  private:
    void become_ended(Reason reason);
    void become_dismissed(TimePoint now);
    void finish_if_both_fins();
    void order(Order order);

    const Role role_;
    const Timeouts timeouts_;
    State state_ = State::connecting;
    Reason reason_ = Reason::none;
    bool closing_ = false;    ///< close was called
    bool ending_ = false;     ///< end was called, or the server dismissed us
    bool dismissed_ = false;  ///< client: the server ends it, before any close or end of ours
    bool fin_seen_ = false;
    bool fin_taken_ = false;
    Order order_ = Order::none;
    std::optional<TimePoint> deadline_;
};

}  // namespace nq::detail
