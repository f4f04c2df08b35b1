// SPDX-License-Identifier: Apache-2.0
#include "session/frame.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "testing/octets.hpp"

using nq::Uuid;
using nq::detail::decode_header;
using nq::detail::encode_header;
using nq::detail::encode_identity;
using nq::detail::IdentityReader;
using nq::testing::identity;
using nq::testing::text_of;
using nq::testing::uuid_of;
using Status = IdentityReader::Status;

namespace {

/// The octets land in the reader, as many as it has space for; returns how many.
std::size_t feed(IdentityReader& reader, std::string_view octets) {
    const auto space = reader.space();
    const std::size_t n = std::min(space.size(), octets.size());
    std::memcpy(space.data(), octets.data(), n);
    reader.handle_received(n);
    return n;
}

}  // namespace

TEST_CASE("a header is the size as eight octets, the highest first") {
    CHECK(text_of(encode_header(0)) == std::string_view("\0\0\0\0\0\0\0\0", 8));
    CHECK(text_of(encode_header(16)) == std::string_view("\0\0\0\0\0\0\0\x10", 8));
    CHECK(text_of(encode_header(0x0102030405060708)) == "\1\2\3\4\5\6\7\10");
    CHECK(decode_header(encode_header(UINT64_MAX)) == UINT64_MAX);
}

TEST_CASE("every header decodes to the size it was made of") {
    CHECK(rc::check("encode, decode", [](std::uint64_t size) {
        RC_ASSERT(decode_header(encode_header(size)) == size);
    }));
}

TEST_CASE("an ini is a frame of 16 octets with the sender's UUID") {
    const Uuid uuid = *Uuid::parse("00112233-4455-6677-8899-aabbccddeeff");
    const std::string_view expected(
        "\0\0\0\0\0\0\0\x10\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 24);
    CHECK(text_of(encode_identity(uuid)) == expected);
}

TEST_CASE("a stranger's ini is read wherever it is cut, and not an octet more") {
    const std::string octets = identity(uuid_of(7)) + "first message";
    for (std::size_t cut = 0; cut <= 24; ++cut) {
        IdentityReader reader;
        CHECK(feed(reader, std::string_view(octets).substr(0, cut)) == cut);
        CHECK(reader.status() == (cut == 24 ? Status::complete : Status::incomplete));
        CHECK(text_of(reader.received()) == octets.substr(0, cut));
        feed(reader, std::string_view(octets).substr(cut));
        REQUIRE(reader.status() == Status::complete);
        CHECK(reader.space().empty());
        CHECK(reader.uuid() == uuid_of(7));
    }
}

TEST_CASE("a stranger is refused at the first wrong octet") {
    const std::string right = identity(uuid_of(7));
    for (std::size_t wrong = 0; wrong < 8; ++wrong) {
        std::string octets = right;
        octets[wrong] = static_cast<char>(octets[wrong] ^ 1);
        IdentityReader reader;
        for (std::size_t i = 0; i < octets.size(); ++i) {
            feed(reader, std::string_view(octets).substr(i, 1));
            CHECK((reader.status() == Status::invalid) == (i >= wrong));
        }
    }
}

TEST_CASE("who speaks HTTP or TLS is refused with what came") {
    IdentityReader reader;
    feed(reader, "GET / HTTP/1.1\r\n");
    CHECK(reader.status() == Status::invalid);
    CHECK(text_of(reader.received()) == "GET / HTTP/1.1\r\n");
    IdentityReader second;
    feed(second, "\x16\x03\x01");
    CHECK(second.status() == Status::invalid);
}
