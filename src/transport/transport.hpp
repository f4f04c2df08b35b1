// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include <net_queue/error.hpp>
#include <net_queue/options.hpp>
#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>

#include "io/reactor.hpp"

namespace nq::detail {

/// The layer above a connection. All calls come on the connection's reactor thread, except
/// handle_released, which may come on any; none comes from within a call to the connection.
class ConnectionHandler {
  public:
    virtual ~ConnectionHandler() = default;
    /// `receive` may yield something again. May come without need; try and see.
    virtual void handle_readable() = 0;
    /// `send` may take something again. May come without need.
    virtual void handle_writable() = 0;
    /// The memory of n more octets that `send` took is free. Does not come for octets still held
    /// when the connection is lost or closed: their Chunks go when the transport is done with them.
    virtual void handle_released(std::size_t n) = 0;
    /// The connection failed: reset, dead peer, broken network. Called at most once, and nothing
    /// follows. Comes also after a Failure that send or receive returned (the end of the stream
    /// excepted), unless the connection was closed by then. What was received before it can still
    /// be received.
    ///
    /// A peer that only finished sending is no loss: `receive` tells, after everything before it;
    /// whoever does not read learns of it when reading again, or here once the peer is gone.
    virtual void handle_lost(Failure failure) = 0;
};

/// One socket, one stream of a broker, one call: two streams of octets with a peer. It moves octets
/// and reports events; it knows nothing of messages.
///
/// Shared by the reactor that watches it and the session it carries: it is closed before its
/// reactor goes, or stays watched until then. The handler is held until it is lost or closed, so a
/// handler that holds its connection makes a circle that `close` opens.
/// Thread safety: one thread at a time sends, one receives (they may differ); set_handler on the
/// reactor thread; close, finish_sending and the queries from any thread.
class Connection {
  public:
    using Target = std::span<std::byte>;

    /// What became of octets offered to `send`: released <= taken.
    struct Sent {
        std::size_t taken = 0;     ///< more may be offered
        std::size_t released = 0;  ///< of these the memory is free already
    };

    virtual ~Connection() = default;

    /// From now on `handler` is told, another one before it no longer. Whoever sets it tries
    /// receive and send once itself: readiness is reported only after a call that did less than it
    /// was asked to. A failure that came before any handler is told to the first.
    virtual void set_handler(std::shared_ptr<ConnectionHandler> handler) = 0;

    /// Offers octets; takes a prefix. Less than all: not now, handle_writable follows. Or it is
    /// what may have gone out before the connection failed: handle_lost follows, and the next call
    /// returns the Failure. Never blocks.
    virtual Result<Sent> send(std::span<const Chunk> chunks) = 0;

    /// Fills the targets one after the other; returns how many octets came. Less than there was
    /// room for: no more now, handle_readable follows (for the end of the stream as well). The end
    /// of the stream is a Failure (connection_reset, text "end of stream"), every time. Never
    /// blocks. REQUIRES: the targets are not all empty.
    virtual Result<std::size_t> receive(std::span<const Target> targets) = 0;

    /// Nothing more will be sent: the peer sees the end of the stream after what was taken.
    /// Receiving goes on.
    virtual void finish_sending() = 0;

    /// The peer said that it has finished: octets that still come are not of this connection, and
    /// may begin another. Reactor thread.
    virtual void finish_receiving() {}

    /// Ends it at once, for both directions; what was taken still goes out if the peer reads it.
    /// Nothing is told afterwards (a call under way may finish); send and receive return Failures
    /// (connection_aborted). Harmless if it is lost or closed already.
    virtual void close() = 0;

    /// Closes it and tells the peer beneath the stream that it may not have the identity it claims,
    /// where the protocol has a way to. False: it has none, and nothing was done. Reactor thread.
    [[nodiscard]] virtual bool refuse(const std::string& reason) {
        (void)reason;
        return false;
    }

    /// Lost: the peer keeps the session for another connection to continue, so whoever dialled this
    /// one may dial again.
    [[nodiscard]] virtual bool may_come_back() const { return false; }
    /// Lost: so many of the octets taken, the last ones, have certainly not reached the peer whole.
    /// None of them was reported released.
    [[nodiscard]] virtual std::size_t unwritten() const { return 0; }

    [[nodiscard]] virtual Reactor& reactor() const = 0;
    /// The peer's address, for people.
    [[nodiscard]] virtual const std::string& peer_name() const = 0;
    /// Whose connection this is where something beneath the stream says so: an MQTT topic, the
    /// metadata of a call. An ini that says another id is refused.
    [[nodiscard]] virtual std::optional<Uuid> announced_id() const { return std::nullopt; }
    /// What the peer showed and was verified; a client's, to a server that demanded one.
    [[nodiscard]] virtual std::optional<Certificate> peer_certificate() const {
        return std::nullopt;
    }

  protected:
    /// What send and receive return after close.
    [[nodiscard]] Failure closed_failure() const {
        return {Errc::connection_aborted,
                {},
                "the connection with " + peer_name() + " was closed here"};
    }
};

/// Stops listening when destroyed; a connection on its way to another reactor may still be handed
/// over meanwhile. Belongs to the thread of the first reactor it was given.
class Listener {
  public:
    virtual ~Listener() = default;
    /// Where it listens, with the port the system picked.
    [[nodiscard]] virtual NetworkLocation location() const = 0;
    /// Can peers come? Where a broker stands between: waits for it, at most so long and no longer
    /// than a first attempt to reach the broker takes. From a thread that runs no reactor.
    [[nodiscard]] virtual bool wait_listening(std::chrono::milliseconds) const { return true; }
};

/// An attempt to connect; abandoned when destroyed. Belongs to its reactor thread.
class Dial {
  public:
    virtual ~Dial() = default;
};

using AcceptHandler = std::function<void(std::shared_ptr<Connection>)>;
using DialHandler = std::function<void(Result<std::shared_ptr<Connection>>)>;
/// What the library has to say about strangers and shortages; see LogHook.
using TransportLog = std::function<void(LogLevel, std::string text)>;

/// A dial failed, and would fail again; see Transport::dial.
[[nodiscard]] inline bool is_final(const Failure& failure) {
    return failure.code == Errc::unknown_peer || failure.code == Errc::untrusted;
}

/// What a dial that failed is told as; `why` ends the text.
[[nodiscard]] inline Failure dial_failure(std::error_code code, const NetworkLocation& location,
                                          const std::string& why) {
    return {code, {}, "cannot connect to " + location.to_string() + ": " + why};
}

/// Makes connections of one protocol.
class Transport {
  public:
    virtual ~Transport() = default;

    /// Listens at once, or says why not (address, reason, what to do; the code is the system's
    /// where there is one, as std::errc::address_in_use). `accept` is called on the reactor thread
    /// of each new connection; connections go round the reactors in turn. A host that is a name is
    /// looked up here, which may block. REQUIRES: called on the first reactor's thread or before it
    /// runs.
    virtual Result<std::unique_ptr<Listener>> listen(std::span<Reactor* const> reactors,
                                                     const NetworkLocation& location,
                                                     AcceptHandler accept, TransportLog log) = 0;

    /// Resolves the name and connects, once, without blocking. `done` is called once on the
    /// reactor's thread, never from within this call, unless the Dial is destroyed before (which it
    /// may be in `done`). Failures: unknown_peer (no such name) and untrusted (TLS) if trying again
    /// is of no use, connection_reset if it may be (refused, no answer). Called on the reactor
    /// thread.
    virtual std::unique_ptr<Dial> dial(Reactor& reactor, const NetworkLocation& location,
                                       DialHandler done) = 0;

    /// A broker stands between: octets may be lost unseen, if they are not taken off it at once,
    /// and an interrupted stream can't be continued. Who reads drops rather than waits.
    [[nodiscard]] virtual bool lossy() const { return false; }
    /// Octets come on threads of its own: a reactor that looks for them before it sleeps takes time
    /// from these, and finds nothing.
    [[nodiscard]] virtual bool has_threads() const { return false; }

    /// Reads the certificate files again, for connections from now on; a Failure, and those read
    /// before stay, if they are not in order. Any thread.
    virtual Result<void> reload_certificates() {
        return Failure{Errc::unsupported, {}, "this transport has no certificates to read again"};
    }
};

}  // namespace nq::detail
