// SPDX-License-Identifier: Apache-2.0
#include <net_queue/uuid.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string>
#include <unordered_set>

using nq::Uuid;

namespace {

Uuid uuid_of(const std::array<std::uint8_t, Uuid::k_size>& octets) {
    return Uuid::from_octets(std::as_bytes(std::span(octets)));
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

}  // namespace

TEST_CASE("every UUID is read back from both forms and either case") {
    CHECK(rc::check("parse", [](const std::array<std::uint8_t, Uuid::k_size>& octets) {
        const Uuid uuid = uuid_of(octets);
        RC_ASSERT(Uuid::parse(uuid.to_string()) == uuid);
        RC_ASSERT(Uuid::parse(uuid.hex()) == uuid);
        RC_ASSERT(Uuid::parse(upper(uuid.to_string())) == uuid);
        RC_ASSERT(Uuid::from_octets(uuid.octets()) == uuid);
    }));
}

TEST_CASE("one character out of place is no UUID") {
    CHECK(rc::check("a wrong character", [] {
        std::string text = *rc::gen::element(std::string(36, '0'), std::string(32, '0'));
        if (text.size() == 36) text[8] = text[13] = text[18] = text[23] = '-';
        RC_ASSERT(Uuid::parse(text).has_value());
        const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
        const char wrong = *rc::gen::suchThat<char>(
            [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) == 0 && c != '-'; });
        text[at] = wrong;
        RC_ASSERT_FALSE(Uuid::parse(text).has_value());
    }));
}

TEST_CASE("any text of another length is no UUID") {
    CHECK(rc::check("length", [](const std::string& text) {
        RC_PRE(text.size() != 32U && text.size() != 36U);
        RC_ASSERT_FALSE(Uuid::parse(text).has_value());
    }));
    CHECK_FALSE(Uuid::parse("{00112233-4455-6677-8899-aabbccddeeff}").has_value());
    CHECK_FALSE(Uuid::parse("00112233-44556677-8899-aabb-ccddeeff").has_value());
}

TEST_CASE("the text is that of RFC 9562") {
    const auto uuid = Uuid::parse("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6");
    REQUIRE(uuid.has_value());
    CHECK(uuid->to_string() == "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    CHECK(uuid->hex() == "f81d4fae7dec11d0a76500a0c91e6bf6");
    CHECK(uuid->octets()[0] == std::byte{0xf8});
    CHECK(uuid->octets()[15] == std::byte{0xf6});
}

TEST_CASE("the nil UUID is all zeroes and the default") {
    CHECK(Uuid().is_nil());
    CHECK(Uuid().to_string() == "00000000-0000-0000-0000-000000000000");
    CHECK_FALSE(Uuid::random().is_nil());
}

TEST_CASE("random UUIDs are of version 4 and differ") {
    std::set<Uuid> seen;
    std::unordered_set<Uuid> hashed;
    for (int i = 0; i < 1000; ++i) {
        const Uuid uuid = Uuid::random();
        CHECK((uuid.octets()[6] & std::byte{0xf0}) == std::byte{0x40});
        CHECK((uuid.octets()[8] & std::byte{0xc0}) == std::byte{0x80});
        seen.insert(uuid);
        hashed.insert(uuid);
    }
    CHECK(seen.size() == 1000);
    CHECK(hashed.size() == 1000);
}

TEST_CASE("order is that of the octets") {
    using Octets = std::array<std::uint8_t, Uuid::k_size>;
    CHECK(rc::check("order", [](const Octets& a, const Octets& b) {
        RC_ASSERT((uuid_of(a) < uuid_of(b)) == (a < b));
        RC_ASSERT((uuid_of(a) == uuid_of(b)) == (a == b));
        if (a == b) RC_ASSERT(std::hash<Uuid>()(uuid_of(a)) == std::hash<Uuid>()(uuid_of(b)));
    }));
}
