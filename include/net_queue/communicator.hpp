// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <net_queue/error.hpp>
#include <net_queue/future.hpp>
#include <net_queue/message.hpp>
#include <net_queue/options.hpp>
#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

namespace nq {

namespace detail {
class Core;
class Transport;
}  // namespace detail

/// How one peer's session stands, at the time of asking.
struct PeerStats {
    enum class State {
        connecting,  ///< client: the server has not answered yet
        open,        ///< connected
        lost,        ///< the connection is gone: it may come back, or (client) is dialled again
        ended,       ///< client: the session is over
    };
    Uuid peer;
    State state = State::connecting;
    std::uint64_t queued_messages = 0;  ///< put, and not wholly taken by the transport
    std::uint64_t queued_bytes = 0;
    std::uint64_t unread_messages = 0;  ///< received, and not got
    std::uint64_t unread_bytes = 0;
    std::uint64_t sent_messages = 0;
    std::uint64_t received_messages = 0;
    std::uint64_t received_bytes = 0;
    std::uint64_t dropped_messages = 0;  ///< by on_full and on_oversize
};

struct Stats {
    std::vector<PeerStats> peers;
    std::uint64_t strangers = 0;           ///< connections that have not identified themselves
    std::uint64_t strangers_dropped = 0;   ///< wrong octets, too slow, too many
    std::uint64_t identities_refused = 0;  ///< in use, the server's own, nil
    std::uint64_t sessions_expired = 0;
};

/// What close could not deliver.
struct CloseReport {
    /// Every peer had everything and said goodbye.
    bool clean = true;
    /// Peers (as stats() saw them last) with messages that were not sent.
    std::vector<PeerStats> undelivered;
};

/// A server or a client that moves Streams: what a Queue is a thin skin of. Made by nq::open.
///
/// Thread safety: all methods, from any thread; only move and destruction need the object alone.
class Communicator {
  public:
    using Peers = std::span<const Uuid>;

    /// Never waits for a peer: connecting goes on behind it. Throws what is wrong locally: an
    /// option out of range (std::invalid_argument), a protocol this build lacks (Error,
    /// unsupported), a key or certificate that can't be used (Error, invalid_certificate), a port
    /// in use or an address that can't be listened on (Error, with the system's code).
    Communicator(Protocol protocol, Purpose purpose, Options options = {});
    /// Over a transport of the caller's: for tests, and for transports of other projects.
    Communicator(std::shared_ptr<detail::Transport> transport, Purpose purpose, Options options);
    Communicator(Communicator&&) noexcept;
    Communicator& operator=(Communicator&&) noexcept;
    /// Closes; while an exception unwinds the stack it does not wait for anybody.
    ~Communicator();

    /// Sends a message to the peers named; to none: a client's server, or each identified client
    /// of a server, lost ones within their expiry included. Never blocks, queues without bound.
    /// All failures arrive in the future: unknown peer, closed (ConnectionAborted), gone
    /// (ConnectionReset), a message that would be read as fin (ProtocolError).
    Future put(Stream message, Peers peers = {});

    /// Waits for the first message available, or the first from the peers named. Throws
    /// ConnectionAborted after close, ConnectionReset when a client's server, or each peer named,
    /// is gone - once what it sent was handed out, and again at every call.
    Message<Stream> get(Peers peers = {});
    /// As get, without waiting: Failure would_block if nothing is there. Never throws.
    Result<Message<Stream>> try_get(Peers peers = {});
    /// As get, waiting at most so long: Failure timed_out. Never throws.
    Result<Message<Stream>> get_for(std::chrono::nanoseconds timeout, Peers peers = {});
    /// Calls `callback` once, on the callback thread, when a get of the same peers need not wait:
    /// at once if so now, at the latest by close. For event loops: another thread may take the
    /// message first, so go on with try_get, and ask again if it would block.
    void when_readable(std::function<void()> callback, Peers peers = {});

    /// A server's identified clients, lost ones included; a client's server once it answered.
    [[nodiscard]] std::vector<Uuid> peers() const;
    [[nodiscard]] Stats stats() const;
    [[nodiscard]] const Uuid& id() const;
    [[nodiscard]] Purpose purpose() const;
    /// As given, with what was left to chance filled in: id, and the port a server listens on.
    [[nodiscard]] const Options& options() const;

    /// Reads the files of options().security again, for connections made from now on. Throws an
    /// Error if they are not in order, and goes on with those read before.
    void reload_certificates();

    /// A client sends what is queued, says goodbye and waits for the server's goodbye; a server
    /// stops accepting and waits for its clients to leave. Lost sessions are not waited for.
    /// Bounded by options().close_timeout, if set. Further calls wait for the first to finish.
    void close();
    /// As close, within `timeout`: afterwards what is left is ended. Returns what was not sent.
    /// While another thread closes, that close keeps to this timeout too.
    CloseReport close_for(std::chrono::nanoseconds timeout);

  private:
    std::unique_ptr<detail::Core> core_;
    int exceptions_ = 0;  ///< in flight when this was made
};

}  // namespace nq
