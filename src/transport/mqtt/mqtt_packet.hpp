// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <net_queue/uuid.hpp>

/// The packets of MQTT 3.1.1 (OASIS Standard, 29 October 2014) that the transport uses, as octets.
/// Pure: no state, no input or output.
namespace nq::detail::mqtt {

// The byte grammar:
//
//     packet    = first length body        first: u8, type in the upper half, flags in the lower
//     length    = 1*4 octets               of the body: base 128, little end first, top bit: more
//     string    = size octets              size: u16, big-endian
//
// to the broker
//     CONNECT   = %x10 length string("MQTT") %x04 flags keep-alive string(client id)
//                 [string(will topic) string(will message)] [string(user)] [string(password)]
//     SUBSCRIBE = %x82 length id 1*( string(filter) %x00 )
//     PUBLISH   = %x30 length string(topic) payload
//     PINGREQ   = %xC0 %x00       DISCONNECT = %xE0 %x00
//
// from the broker
//     CONNACK   = %x20 %x02 session-present code
//     SUBACK    = %x90 length id 1*code    a code for each filter, %x80: refused
//     PUBLISH   = as above                 flags: %x01 retained, %x06 QoS, %x08 sent before
//     PINGRESP  = %xD0 %x00
//
//     topic     = ( "c2s/" / "s2c/" / "nq/gone/" / "nq/down/" ) 32 lower-case hexadecimal digits

/// What is published on a topic of ours.
enum class Channel {
    to_server,  ///< c2s/: a client's stream
    to_client,  ///< s2c/: the server's stream for a client
    gone,       ///< nq/gone/: the client's link ended without goodbye (its will)
    down,       ///< nq/down/: the server's did
};

/// A topic of ours: a channel of one peer, which is a client but for `down`.
struct Topic {
    Channel channel = Channel::to_server;
    Uuid peer;

    [[nodiscard]] std::string to_string() const;
    friend bool operator==(const Topic&, const Topic&) = default;
};
/// Only the exact form counts.
[[nodiscard]] std::optional<Topic> parse_topic(std::string_view text);

constexpr std::string_view k_all_to_server = "c2s/+";
constexpr std::string_view k_all_gone = "nq/gone/+";
constexpr std::string_view k_all_down = "nq/down/+";

/// Octets of the longest topic of ours: nq/gone/ and 32 digits.
constexpr std::size_t k_topic_max = 40;
/// Octets before the payload of a PUBLISH with a topic of ours, at most.
constexpr std::size_t k_publish_header_max = 1 + 4 + 2 + k_topic_max;
/// Octets of a payload that fits a packet whatever the topic of ours.
constexpr std::size_t k_payload_max = (std::size_t{1} << 28) - 1 - 2 - k_topic_max;
/// Octets of a string, at most.
constexpr std::size_t k_string_max = 65'535;

struct Connect {
    Uuid id;  ///< its hex form is the client id
    std::string user;
    std::string password;
    std::uint16_t keep_alive = 0;  ///< seconds
    std::optional<Topic> will;     ///< of an empty message, not retained
};

using Octets = std::vector<std::byte>;
/// REQUIRES: no string longer than k_string_max.
[[nodiscard]] Octets encode(const Connect& connect);
[[nodiscard]] Octets encode_subscribe(std::uint16_t id, std::span<const std::string_view> filters);
constexpr std::array<std::byte, 2> k_pingreq{std::byte{0xc0}, std::byte{0}};
constexpr std::array<std::byte, 2> k_disconnect{std::byte{0xe0}, std::byte{0}};

/// What goes before the payload of a PUBLISH.
struct PublishHeader {
    std::array<std::byte, k_publish_header_max> memory;
    std::size_t size = 0;
    [[nodiscard]] std::span<const std::byte> octets() const {
        return std::span(memory).first(size);
    }
};
/// REQUIRES: payload_size <= k_payload_max.
[[nodiscard]] PublishHeader encode_publish(const Topic& topic, std::size_t payload_size);

struct Connack {
    std::uint8_t code = 0;  ///< 0: accepted
    friend bool operator==(const Connack&, const Connack&) = default;
};
struct Suback {
    static constexpr std::size_t k_filters_max = 2;
    std::uint16_t id = 0;
    std::array<std::uint8_t, k_filters_max> codes{};  ///< in the order of the filters; 0x80: no
    friend bool operator==(const Suback&, const Suback&) = default;
};
struct Pingresp {
    friend bool operator==(const Pingresp&, const Pingresp&) = default;
};
/// Its payload follows.
struct Publish {
    Topic topic;
    std::size_t payload_size = 0;
    friend bool operator==(const Publish&, const Publish&) = default;
};
/// Nothing for us: a topic that is none of ours, a retained message, an acknowledgement of nothing.
struct Foreign {
    std::size_t rest = 0;  ///< octets that follow and belong to it
    friend bool operator==(const Foreign&, const Foreign&) = default;
};
/// No packet that a broker sends.
struct Malformed {
    std::string text;
    friend bool operator==(const Malformed&, const Malformed&) = default;
};
using Packet = std::variant<Connack, Suback, Pingresp, Publish, Foreign, Malformed>;

/// Octets that parse_packet needs to see of any packet, at most.
constexpr std::size_t k_look_ahead = k_publish_header_max;

/// Reads the packet at the front, a payload excepted, and takes it off; nothing: more is needed.
[[nodiscard]] std::optional<Packet> parse_packet(std::span<const std::byte>& octets);

}  // namespace nq::detail::mqtt
