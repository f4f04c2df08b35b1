// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_packet.hpp"

#include <cassert>
#include <cstring>
#include <utility>

namespace nq::detail::mqtt {

namespace {

constexpr std::array<std::pair<Channel, std::string_view>, 4> k_prefixes{{
    {Channel::to_server, "c2s/"},
    {Channel::to_client, "s2c/"},
    {Channel::gone, "nq/gone/"},
    {Channel::down, "nq/down/"},
}};
constexpr std::size_t k_hex_size = 2 * Uuid::k_size;

std::string_view prefix_of(Channel channel) {
    return k_prefixes[static_cast<std::size_t>(channel)].second;
}

std::string_view text_of(std::span<const std::byte> octets) {
    return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

// Writing.

void put_u8(Octets& out, unsigned value) { out.push_back(static_cast<std::byte>(value)); }

void put_u16(Octets& out, std::size_t value) {
    put_u8(out, static_cast<unsigned>(value >> 8 & 0xff));
    put_u8(out, static_cast<unsigned>(value & 0xff));
}

void put_string(Octets& out, std::string_view text) {
    assert(text.size() <= k_string_max);
    put_u16(out, text.size());
    const auto octets = std::as_bytes(std::span(text));
    out.insert(out.end(), octets.begin(), octets.end());
}

void put_length(Octets& out, std::size_t length) {
    assert(length < std::size_t{1} << 28);
    do {
        const bool more = length >= 128;
        put_u8(out, static_cast<unsigned>(length % 128) | (more ? 128U : 0U));
        length /= 128;
    } while (length > 0);
}

Octets packet(unsigned first, const Octets& body) {
    Octets out;
    put_u8(out, first);
    put_length(out, body.size());
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

// Reading.

/// The first octet and the length of a packet, and the part of its body that came.
struct Head {
    unsigned first = 0;
    std::size_t length = 0;
    std::span<const std::byte> body;
};

unsigned at(std::span<const std::byte> octets, std::size_t i) {
    return std::to_integer<unsigned>(octets[i]);
}

Packet malformed(std::string text) { return Malformed{std::move(text)}; }

Packet wrong_length(const char* name, const Head& head) {
    return malformed(std::string("a ") + name + " of " + std::to_string(head.length) + " octets");
}

/// What is left of the body of a packet that is not looked at any further.
Packet foreign(std::span<const std::byte>& octets, const Head& head) {
    octets = head.body;
    return Foreign{head.length};
}

std::optional<Packet> parse_connack(std::span<const std::byte>& octets, const Head& head) {
    if (head.length != 2) return wrong_length("CONNACK", head);
    if (head.body.size() < 2) return std::nullopt;
    octets = head.body.subspan(2);
    return Connack{static_cast<std::uint8_t>(at(head.body, 1))};
}

std::optional<Packet> parse_suback(std::span<const std::byte>& octets, const Head& head) {
    if (head.length < 3 || head.length > 2 + Suback::k_filters_max) {
        return wrong_length("SUBACK", head);
    }
    if (head.body.size() < head.length) return std::nullopt;
    Suback suback;
    suback.id = static_cast<std::uint16_t>(at(head.body, 0) << 8 | at(head.body, 1));
    for (std::size_t i = 2; i < head.length; ++i) {
        suback.codes[i - 2] = static_cast<std::uint8_t>(at(head.body, i));
    }
    octets = head.body.subspan(head.length);
    return suback;
}

std::optional<Packet> parse_publish(std::span<const std::byte>& octets, const Head& head) {
    constexpr unsigned k_retained = 0x01;
    constexpr unsigned k_qos = 0x06;
    if ((head.first & k_qos) == k_qos) return malformed("a PUBLISH of QoS 3");
    if (head.length < 2) return wrong_length("PUBLISH", head);
    // We subscribe with QoS 0; a retained message is older than our subscription.
    if ((head.first & (k_retained | k_qos)) != 0) return foreign(octets, head);
    if (head.body.size() < 2) return std::nullopt;
    const std::size_t topic_size = at(head.body, 0) << 8 | at(head.body, 1);
    if (2 + topic_size > head.length) return malformed("a PUBLISH that ends in its topic");
    if (topic_size > k_topic_max) return foreign(octets, head);
    if (head.body.size() < 2 + topic_size) return std::nullopt;
    const auto topic = parse_topic(text_of(head.body.subspan(2, topic_size)));
    if (!topic) return foreign(octets, head);
    octets = head.body.subspan(2 + topic_size);
    return Publish{*topic, head.length - 2 - topic_size};
}

}  // namespace

std::string Topic::to_string() const { return std::string(prefix_of(channel)) + peer.hex(); }

std::optional<Topic> parse_topic(std::string_view text) {
    for (const auto& [channel, prefix] : k_prefixes) {
        if (text.size() != prefix.size() + k_hex_size || !text.starts_with(prefix)) continue;
        const std::string_view hex = text.substr(prefix.size());
        const auto peer = Uuid::parse(hex);
        // Upper case is another topic.
        if (!peer || peer->hex() != hex) return std::nullopt;
        return Topic{channel, *peer};
    }
    return std::nullopt;
}

Octets encode(const Connect& connect) {
    constexpr unsigned k_clean_session = 0x02;
    constexpr unsigned k_will = 0x04;
    constexpr unsigned k_password = 0x40;
    constexpr unsigned k_user = 0x80;
    // A password without a user name is not allowed; a name may be empty.
    const bool user = !connect.user.empty() || !connect.password.empty();
    const bool password = !connect.password.empty();
    Octets body;
    put_string(body, "MQTT");
    put_u8(body, 4);
    put_u8(body, k_clean_session | (connect.will ? k_will : 0) | (password ? k_password : 0) |
                     (user ? k_user : 0));
    put_u16(body, connect.keep_alive);
    put_string(body, connect.id.hex());
    if (connect.will) {
        put_string(body, connect.will->to_string());
        put_string(body, "");
    }
    if (user) put_string(body, connect.user);
    if (password) put_string(body, connect.password);
    return packet(0x10, body);
}

Octets encode_subscribe(std::uint16_t id, std::span<const std::string_view> filters) {
    Octets body;
    put_u16(body, id);
    for (const std::string_view filter : filters) {
        put_string(body, filter);
        put_u8(body, 0);  // QoS 0
    }
    return packet(0x82, body);
}

PublishHeader encode_publish(const Topic& topic, std::size_t payload_size) {
    assert(payload_size <= k_payload_max);
    const std::string text = topic.to_string();
    Octets octets;
    octets.reserve(k_publish_header_max);
    put_u8(octets, 0x30);
    put_length(octets, 2 + text.size() + payload_size);
    put_string(octets, text);
    PublishHeader header;
    header.size = octets.size();
    std::memcpy(header.memory.data(), octets.data(), octets.size());
    return header;
}

std::optional<Packet> parse_packet(std::span<const std::byte>& octets) {
    Head head;
    std::size_t used = 1;
    for (bool more = true; more; ++used) {
        if (used > 4) return malformed("a length of more than 4 octets");
        if (octets.size() <= used) return std::nullopt;
        head.length |= std::size_t{at(octets, used) & 127U} << 7 * (used - 1);
        more = (at(octets, used) & 128U) != 0;
    }
    head.first = at(octets, 0);
    head.body = octets.subspan(used);
    switch (head.first) {
        case 0x20: return parse_connack(octets, head);
        case 0x90: return parse_suback(octets, head);
        case 0xd0:
            if (head.length != 0) return wrong_length("PINGRESP", head);
            octets = head.body;
            return Pingresp{};
        case 0x40:  // PUBACK
        case 0x50:  // PUBREC
        case 0x62:  // PUBREL
        case 0x70:  // PUBCOMP
        case 0xb0:  // UNSUBACK
            return foreign(octets, head);
        default: break;
    }
    if ((head.first & 0xf0U) == 0x30) return parse_publish(octets, head);
    return malformed("a packet that begins with octet " + std::to_string(head.first));
}

}  // namespace nq::detail::mqtt
