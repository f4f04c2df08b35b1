// SPDX-License-Identifier: Apache-2.0
#include "transport/mqtt/mqtt_packet.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace nq::detail::mqtt {

namespace {

/// A text with octets above 127 and zeros in it.
template <std::size_t N>
Octets octets(const char (&text)[N]) {
    const auto bytes = std::as_bytes(std::span(text, N - 1));
    return {bytes.begin(), bytes.end()};
}

Octets joined(std::initializer_list<Octets> parts) {
    Octets all;
    for (const Octets& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

Octets string(std::string_view text) {
    Octets all{static_cast<std::byte>(text.size() >> 8), static_cast<std::byte>(text.size())};
    const auto bytes = std::as_bytes(std::span(text));
    all.insert(all.end(), bytes.begin(), bytes.end());
    return all;
}

/// A packet as the standard describes it, written apart from the code under test.
Octets packet(unsigned first, const Octets& body) {
    Octets all{static_cast<std::byte>(first)};
    std::size_t length = body.size();
    do {
        all.push_back(static_cast<std::byte>(length % 128 + (length >= 128 ? 128 : 0)));
        length /= 128;
    } while (length > 0);
    all.insert(all.end(), body.begin(), body.end());
    return all;
}

struct Parsed {
    std::optional<Packet> packet;
    std::size_t used = 0;
};

Parsed parse(std::span<const std::byte> input) {
    auto rest = input;
    auto packet = parse_packet(rest);
    return {std::move(packet), input.size() - rest.size()};
}

template <class T>
T parse_as(const Octets& input) {
    const auto parsed = parse(input);
    REQUIRE(parsed.packet.has_value());
    REQUIRE(std::holds_alternative<T>(*parsed.packet));
    return std::get<T>(*parsed.packet);
}

/// Whole packets, of which the parser says the same whatever follows, and of whose beginnings it
/// says that it needs more.
void require_parsed(const Octets& input, std::size_t header, const Packet& expected) {
    for (std::size_t n = 0; n < header; ++n) {
        const auto early = parse(std::span(input).first(n));
        RC_ASSERT(!early.packet.has_value());
        RC_ASSERT(early.used == 0U);
    }
    for (std::size_t n = header; n <= std::min(input.size(), header + 3); ++n) {
        const auto parsed = parse(std::span(input).first(n));
        RC_ASSERT(parsed.packet == std::optional(expected));
        RC_ASSERT(parsed.used == header);
    }
    RC_ASSERT(header <= k_look_ahead);
}

Uuid any_uuid() {
    std::array<std::byte, Uuid::k_size> bytes;
    for (std::byte& byte : bytes) byte = std::byte{*rc::gen::arbitrary<std::uint8_t>()};
    return Uuid(bytes);
}

const Uuid k_id = *Uuid::parse("00112233445566778899aabbccddeeff");
constexpr std::string_view k_hex = "00112233445566778899aabbccddeeff";

}  // namespace

TEST_CASE("topics: four channels, in exactly one form") {
    for (const auto& [channel, text] : {std::pair{Channel::to_server, "c2s/"},
                                        {Channel::to_client, "s2c/"},
                                        {Channel::gone, "nq/gone/"},
                                        {Channel::down, "nq/down/"}}) {
        const Topic topic{channel, k_id};
        CHECK(topic.to_string() == std::string(text) + std::string(k_hex));
        CHECK((parse_topic(topic.to_string()) == std::optional(topic)));
        CHECK(topic.to_string().size() <= k_topic_max);
    }
    const std::string hex(k_hex);
    for (const std::string& wrong :
         {std::string(), std::string("c2s"), std::string("c2s/"), "c2s/" + hex.substr(1),
          "c2s/" + hex + "0", "c2s/" + hex + "/", "C2S/" + hex, "c2s/" + hex.substr(0, 31) + "F",
          "c2s/{" + hex.substr(2) + "}", "c2s/" + k_id.to_string(), "c2s//" + hex.substr(1),
          "/c2s/" + hex, "s2c/" + hex.substr(0, 31) + "g", "nq/gone" + hex,
          "nq/gone/" + hex.substr(1) + "\n", "c2s/" + hex.substr(0, 31) + std::string(1, '\0')}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_topic(wrong).has_value());
    }
}

TEST_CASE("CONNECT: as the standard has it") {
    CHECK((
        encode(Connect{.id = k_id, .user = "", .password = "", .keep_alive = 0x1234, .will = {}}) ==
        packet(0x10, joined({octets("\0\4MQTT\4\x02\x12\x34"), string(k_hex)}))));
    CHECK((encode(Connect{.id = k_id,
                          .user = "us",
                          .password = "pw",
                          .keep_alive = 30,
                          .will = Topic{Channel::gone, k_id}}) ==
           packet(0x10, joined({octets("\0\4MQTT\4\xc6\0\x1e"), string(k_hex),
                                string("nq/gone/" + std::string(k_hex)), string(""), string("us"),
                                string("pw")}))));
    // A password alone is not allowed: an empty name goes with it.
    CHECK((encode(Connect{.id = k_id, .user = "", .password = "pw", .keep_alive = 0, .will = {}}) ==
           packet(0x10, joined({octets("\0\4MQTT\4\xc2\0\0"), string(k_hex), string(""),
                                string("pw")}))));
}

TEST_CASE("SUBSCRIBE, PINGREQ, DISCONNECT: as the standard has them") {
    const std::array<std::string_view, 2> filters{k_all_to_server, k_all_gone};
    CHECK((encode_subscribe(7, filters) ==
           packet(0x82, joined({octets("\0\7"), string("c2s/+"), octets("\0"), string("nq/gone/+"),
                                octets("\0")}))));
    CHECK((Octets(k_pingreq.begin(), k_pingreq.end()) == octets("\xc0\0")));
    CHECK((Octets(k_disconnect.begin(), k_disconnect.end()) == octets("\xe0\0")));
}

TEST_CASE("PUBLISH: what was encoded is parsed, however it is cut") {
    rc::check([] {
        const auto channel =
            *rc::gen::element(Channel::to_server, Channel::to_client, Channel::gone, Channel::down);
        const Topic topic{channel, any_uuid()};
        const auto bits = *rc::gen::inRange(0, 29);
        const auto size = std::min<std::size_t>(
            *rc::gen::inRange<std::size_t>(0, std::size_t{1} << bits), k_payload_max);
        const PublishHeader header = encode_publish(topic, size);
        Octets input(header.octets().begin(), header.octets().end());
        input.insert(input.end(), std::min<std::size_t>(size, 10), std::byte{0xff});
        require_parsed(input, header.size, Publish{topic, size});
    });
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{127 - 38}, std::size_t{128 - 38}, std::size_t{16'383 - 38},
          std::size_t{16'384 - 38}, k_payload_max}) {
        const Topic topic{Channel::to_server, k_id};
        const PublishHeader header = encode_publish(topic, size);
        CHECK((parse(header.octets()).packet == std::optional<Packet>(Publish{topic, size})));
        CHECK(header.size <= k_publish_header_max);
    }
}

TEST_CASE("answers of a broker, however they are cut") {
    rc::check([] {
        const auto code = *rc::gen::arbitrary<std::uint8_t>();
        const auto low = *rc::gen::arbitrary<std::uint8_t>();
        const Octets connack = packet(0x20, {std::byte{0}, std::byte{code}});
        require_parsed(connack, connack.size(), Connack{code});
        const Octets one = packet(0x90, {std::byte{1}, std::byte{low}, std::byte{code}});
        const auto id = static_cast<std::uint16_t>(256 + low);
        require_parsed(one, one.size(), Suback{id, {code, 0}});
        const Octets two =
            packet(0x90, {std::byte{1}, std::byte{low}, std::byte{0}, std::byte{code}});
        require_parsed(two, two.size(), Suback{id, {0, code}});
        const Octets pong = packet(0xd0, {});
        require_parsed(pong, pong.size(), Pingresp{});
    });
}

TEST_CASE("what is not for us is skipped without being held") {
    rc::check([] {
        const auto size = *rc::gen::inRange<std::size_t>(0, 100);
        const Octets body(size, std::byte{'x'});
        // Topics that are none of ours, of any length.
        const auto topic = *rc::gen::container<std::string>(rc::gen::inRange<char>('a', 'f'));
        const Octets foreign = packet(0x30, joined({string(topic), body}));
        const auto parsed = parse(foreign);
        RC_ASSERT(parsed.packet.has_value());
        RC_ASSERT(std::holds_alternative<Foreign>(*parsed.packet));
        RC_ASSERT(parsed.used + std::get<Foreign>(*parsed.packet).rest == foreign.size());
    });
    const Octets text =
        joined({string(Topic{Channel::to_server, k_id}.to_string()), octets("abc")});
    for (const unsigned flags : {0x1U, 0x2U, 0x4U, 0x3U, 0x9U}) {  // retained, or not QoS 0
        CAPTURE(flags);
        CHECK(parse_as<Foreign>(packet(0x30 | flags, text)).rest == text.size());
    }
    CHECK(parse_as<Foreign>(packet(0x40, octets("\0\1"))).rest == 2);
    CHECK((parse_as<Publish>(packet(0x38, text)) == Publish{{Channel::to_server, k_id}, 3}));
    // Of a huge one the beginning is enough.
    CHECK(parse_as<Foreign>(octets("\x30\xff\xff\xff\x7f\xff\xff")).rest == (1U << 28) - 1);
}

TEST_CASE("what no broker sends is malformed") {
    for (const Octets& wrong :
         {octets("HTTP/1.1 400 Bad Request\r\n"), octets("\x00\x00"), octets("\xf0\x00"),
          octets("\x10\x00"), octets("\x82\x00"), octets("\xc0\x00"), octets("\xe0\x00"),
          octets("\x21\x02\0\0"), octets("\x20\x03\0\0\0"), octets("\xd0\x01\0"),
          octets("\x90\x02\0\1"), octets("\x90\x05\0\1\0\0\0"), octets("\x36\x02\0\0"),
          octets("\x30\x01\0"), octets("\x30\x04\0\x05"), octets("\x30\xff\xff\xff\xff\x01")}) {
        CAPTURE(std::to_integer<int>(wrong[0]));
        CHECK_FALSE(parse_as<Malformed>(wrong).text.empty());
    }
}

TEST_CASE("any octets: a packet, none, or not yet; never beyond what is there") {
    rc::check([] {
        const auto numbers = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
        const auto input = std::as_bytes(std::span(numbers));
        const auto parsed = parse(input);
        RC_ASSERT(parsed.used <= input.size());
        RC_ASSERT(parsed.packet.has_value() || parsed.used == 0U);
        RC_ASSERT(parsed.packet.has_value() || input.size() < k_look_ahead);
    });
}

}  // namespace nq::detail::mqtt
