// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>

/// The words and the bounds of the gRPC transport (WIRE.md, gRPC), each bound with its derivation.
namespace nq::detail::limits {

/// The one method. What else is called here is UNIMPLEMENTED.
constexpr char k_grpc_method[] = "/grpc/comm";
/// Metadata of a call: "1" asks for one full-duplex stream instead of rounds, or grants it.
constexpr char k_grpc_stream_key[] = "nq-stream";
/// Metadata of a call: the own UUID, 32 lower-case hexadecimal digits.
constexpr char k_grpc_id_key[] = "nq-id";

/// The longest gRPC message received: an old peer sends up to 16 MiB.
constexpr std::size_t k_grpc_receive_max = std::size_t{64} << 20;

/// The longest gRPC message sent to a peer that is old, or not known yet: what 2.1 receives.
constexpr std::size_t k_grpc_old_receive_max = std::size_t{4} << 20;

/// The longest gRPC message sent within a stream: the receiver copies it while the next one comes,
/// and finds it in its cache (measured from 256 KiB to 4 MiB).
constexpr std::size_t k_grpc_stream_message_max = std::size_t{1} << 20;

/// The shortest gRPC message that fills its frames: with a smaller transport_size a call may still
/// have so many octets on their way.
constexpr std::size_t k_grpc_unreleased_min = std::size_t{256} << 10;

/// Octets one end says in a round, about: the other hands them on once the round has ended, and
/// whoever puts faster than they travel would never end it.
constexpr std::size_t k_grpc_round_max = std::size_t{16} << 20;

/// Pauses between empty rounds, doubling: what an old client does in get.
constexpr std::chrono::microseconds k_grpc_poll_min{977};  // 2^-10 s
constexpr std::chrono::milliseconds k_grpc_poll_max{500};

/// Octets of a call that gRPC receives ahead of the message being read (which it gives the room it
/// needs): the next one has begun when it is asked for, and a round trip of 100 ms still allows
/// 10 MB/s. Left to its own estimate (the BDP probe) gRPC took 200 MB beside a slow reader, at less
/// speed.
constexpr std::size_t k_grpc_window = std::size_t{1} << 20;

/// Keep-alive pings go out after so much silence, and are answered within the rest of the 45 s in
/// which a dead peer is found (io/limits.hpp). More than two of a client's in a row without octets
/// in between would be held against it by servers of any kind, so its gRPC sends no third, and an
/// idle stream between two of ours carries an empty message as often.
constexpr std::chrono::seconds k_grpc_ping_after{25};
constexpr std::chrono::seconds k_grpc_ping_answer{20};

/// How long octets of a closed connection may still be on their way, and its call open: what a
/// handshake may take, too.
constexpr std::chrono::seconds k_grpc_flush{10};

/// The same once the whole transport goes: what a server waits for a client that has said fin.
constexpr std::chrono::seconds k_grpc_last_flush{1};

/// How long a new HTTP/2 connection may take for its handshakes, and then to its first call.
constexpr std::chrono::seconds k_grpc_first_call{10};

/// HTTP/2 connections that have made no call yet; the oldest goes first, as with strangers.
constexpr std::size_t k_grpc_callless_max = 1'024;

/// While a dial waits for an answer: how often to look whether the channel stands already.
constexpr std::chrono::milliseconds k_grpc_dial_look_min{1};
constexpr std::chrono::milliseconds k_grpc_dial_look_max{64};

/// A time as gRPC's channel arguments have it.
constexpr int in_ms(std::chrono::milliseconds duration) {
    return static_cast<int>(duration.count());
}

}  // namespace nq::detail::limits
