// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <net_queue/uuid.hpp>

namespace nq {

enum class Protocol { tcp, mqtt, grpc };
enum class Purpose { server, client };

[[nodiscard]] std::string_view to_string(Protocol protocol);
[[nodiscard]] std::string_view to_string(Purpose purpose);

/// Where to listen (server) or connect (client); on MQTT the broker, for both.
struct NetworkLocation {
    std::string host = "127.0.0.1";
    /// A server may give 0: the system picks a free port, `Queue::options()` tells which.
    std::uint16_t port = 51966;

    /// host:port, with brackets around an IPv6 address.
    [[nodiscard]] std::string to_string() const;
    friend bool operator==(const NetworkLocation&, const NetworkLocation&) = default;
};

/// What becomes of a received message longer than message_size.
enum class OnOversize {
    split,   ///< delivered in pieces of message_size, the last one shorter
    refuse,  ///< not held, not delivered; counted as a drop and told to the log; the session goes
             ///< on
};

/// What happens when a peer's unread messages reach queue_size or receive_bytes.
enum class OnFull {
    block,        ///< stop reading from that peer until there is room (MQTT: drop_newest)
    drop_newest,  ///< the message that just arrived is dropped and counted
    drop_oldest,  ///< unread ones are dropped, oldest first, and counted
};

struct ConnectionOptions {
    /// Receive each message into one contiguous block; false: chunks as they came reach `load`.
    bool get_merge = true;
    /// Coalesce small chunks into one block before sending; false: each is sent where it is.
    bool put_merge = true;
    /// Octets. Chunks at least this long are sent as they are, never copied.
    std::size_t efficient_size = std::size_t{64} << 10;
    /// Octets. The largest unit handed to the transport (a write, an MQTT or gRPC payload).
    std::size_t transport_size = std::size_t{4} << 20;
    /// Received messages held unread per peer.
    std::size_t queue_size = std::size_t{1} << 30;
    /// Octets, at least 16. The largest message delivered in one piece.
    std::size_t message_size = std::size_t{1} << 40;
    OnOversize on_oversize = OnOversize::split;
    /// With `block`, two peers that both wait for their futures before they get can wait for each
    /// other for ever: get from one thread while you put from another, or do not wait.
    OnFull on_full = OnFull::block;
    /// Octets of unread messages held per session. The message being received does not count;
    /// close lifts the bound.
    std::size_t receive_bytes = std::size_t{64} << 20;
};

/// Encrypts what passes (TLS 1.2 or newer). Paths of PEM files.
///
/// Server: its `key`, and its `certificate` with the chain that vouches for it. Client: in
/// `certificate` those it trusts, empty for the system's; the server's must be made out to the host
/// name or address in netloc. On MQTT both ends are clients, of the broker.
struct SecurityOptions {
    std::filesystem::path key = {};
    std::filesystem::path certificate = {};
    /// Server: demands a certificate of every client, vouched for by one in this file.
    std::filesystem::path client_authority = {};
    /// Client: its own, for a server (or broker) that demands one; both or neither.
    std::filesystem::path client_key = {};
    std::filesystem::path client_certificate = {};
};

/// What a peer showed to prove who it is, after it was verified.
struct Certificate {
    std::string subject;             ///< as RFC 2253 writes it: CN=alice,O=Example
    std::vector<std::string> names;  ///< host names and addresses (subjectAltName)
    std::string pem;                 ///< all of it
};

/// Server: may this peer have this identity? Called on the callback thread, before anything is
/// delivered from the peer or sent to it; false, or an exception, refuses. The certificate is
/// absent where none was shown: without client_authority, and on MQTT, where it is the broker's
/// business.
using AuthorizeHook = std::function<bool(const Uuid& id, const std::optional<Certificate>& shown,
                                         std::string_view address)>;

/// What is between us and an MQTT broker.
struct BrokerOptions {
    std::string user = {};
    std::string password = {};
    /// Octets. The largest payload published, transport_size if that is less: brokers move small
    /// ones faster, and refuse large ones.
    std::size_t payload_size = std::size_t{40} << 10;
    /// A broker silent for one and a half times this is lost; 0: never asked for a sign of life.
    std::chrono::seconds keep_alive = std::chrono::seconds{30};
};

/// Called on the callback thread with the peer's id. What they throw is logged.
struct EventOptions {
    /// A peer identified itself, for the first time or on a new connection.
    std::function<void(const Uuid&)> ini = {};
    /// A peer's session ended: cleanly, or lost and expired.
    std::function<void(const Uuid&)> fin = {};
};

enum class LogLevel { debug, info, warning, error };

/// Receives what a library that never prints would print. Called on the callback thread.
using LogHook =
    std::function<void(LogLevel level, std::string_view category, std::string_view text)>;

/// Everything `open` takes. Aggregates with the defaults of WIRE.md; set what you need:
///   nq::open(nq::Protocol::tcp, nq::Purpose::server, {.netloc = {.port = 4000}})
struct Options {
    /// The own identity; absent: a random one, new for each communicator.
    std::optional<Uuid> id = std::nullopt;
    NetworkLocation netloc = {};
    ConnectionOptions connection = {};
    std::optional<SecurityOptions> security = std::nullopt;
    /// Threads that serve connections; at least 1.
    unsigned workers = 1;
    /// How long a thread that waits for the network keeps looking before it sleeps, if what it
    /// waited for the last time came as soon; 0: it sleeps at once. An answer is there several
    /// times as fast, and the processor, though others may have it meanwhile, never rests while
    /// messages come at shorter intervals.
    std::chrono::microseconds busy_poll = std::chrono::microseconds{100};
    /// Client: how long the server may take to answer, from `open` (gRPC: or a loss) on, at most.
    std::chrono::milliseconds connect_timeout = std::chrono::seconds{30};
    /// Server: how long a lost session is kept for its client to come back.
    std::chrono::milliseconds session_expiry = std::chrono::seconds{120};
    /// Server: lost sessions kept at most; the oldest goes first.
    std::size_t lost_sessions = 10'000;
    /// Server: octets queued at most for each lost session; a put beyond fails with queue_full.
    std::size_t lost_bytes = std::size_t{16} << 20;
    /// Server: how long a connection may take to identify itself.
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds{10};
    /// How long close (and the destructor) waits for peers; absent: as long as they live.
    std::optional<std::chrono::milliseconds> close_timeout = std::nullopt;
    BrokerOptions broker = {};
    AuthorizeHook authorize = {};
    EventOptions events = {};
    LogHook log = {};
};

}  // namespace nq
