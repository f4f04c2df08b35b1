// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <net_queue/error.hpp>
#include <net_queue/value.hpp>

using nq::Value;
using nq::ValueType;

namespace {

constexpr std::size_t k_deep = 1'000'000;

/// [[[...]]], that many lists.
Value nested(std::size_t depth) {
    Value value = Value::list();
    for (std::size_t i = 1; i < depth; ++i) value = Value::list({std::move(value)});
    return value;
}

/// One list in two places of a list, in two places of a list, ...: 2^depth ways down.
Value bomb(std::size_t depth) {
    Value value = Value::list({1});
    for (std::size_t i = 0; i < depth; ++i) value = Value::list({value, value});
    return value;
}

}  // namespace

TEST_CASE("a value knows its type and gives its content back") {
    CHECK(Value().is_none());
    CHECK(Value(nullptr).is_none());
    CHECK(Value(true).as_bool());
    CHECK(Value(42).as_int() == 42);
    CHECK(Value(1.5).as_float() == 1.5);
    CHECK(Value("Hello").as_str() == "Hello");
    CHECK(Value(std::string(100, 'x')).as_str() == std::string(100, 'x'));
    CHECK(Value::bytes("ab").as_bytes().text() == "ab");
    CHECK(Value::list({1, "two", 3.0}).as_list()[1].as_str() == "two");
    CHECK(Value::tuple({1}).size() == 1);
    CHECK(Value::set({1, 2}).as_set().size() == 2);
    CHECK(Value(nq::Uuid()).type() == ValueType::uuid);
    CHECK(Value::decimal("1.50").as_decimal() == "1.50");
    CHECK(Value(nq::Global{"builtins", "int"}).as_global().name == "int");
}

TEST_CASE("asking for another type is an error that names both") {
    CHECK_THROWS_WITH_AS((void)Value::list({1}).as_str(),
                         doctest::Contains("the value is a list, not a str"),
                         nq::SerializationError);
    CHECK_THROWS_AS((void)Value(true).as_int(), nq::SerializationError);
    CHECK_THROWS_AS((void)Value(1).size(), nq::SerializationError);
    CHECK_THROWS_AS((void)Value::decimal("one"), nq::SerializationError);
}

TEST_CASE("a dict is looked up by key; of equal keys the last one counts") {
    const Value dict = Value::dict({{"a", 1}, {2, "b"}, {"a", 3}});
    CHECK(dict.at("a").as_int() == 3);
    CHECK(dict.at(2).as_str() == "b");
    CHECK(dict.find("c") == nullptr);
    CHECK_THROWS_AS((void)dict.at("c"), nq::SerializationError);
}

TEST_CASE("ints beyond 64 bits keep every digit") {
    CHECK(Value(std::numeric_limits<std::uint64_t>::max()).repr() == "18446744073709551615");
    CHECK(Value(std::numeric_limits<std::int64_t>::min()).as_int() == INT64_MIN);
    const auto big = nq::BigInt::parse("-123456789012345678901234567890");
    REQUIRE(big.has_value());
    CHECK(big->to_string() == "-123456789012345678901234567890");
    CHECK(big->is_negative());
    CHECK_FALSE(big->to_int64().has_value());
    CHECK_THROWS_AS((void)Value(*big).as_int(), nq::SerializationError);
    CHECK(Value(*nq::BigInt::parse("7")) == Value(7));
    CHECK(Value(-1).as_big_int().to_string() == "-1");
    CHECK_FALSE(nq::BigInt::parse("").has_value());
    CHECK_FALSE(nq::BigInt::parse("1_0").has_value());
    CHECK_FALSE(nq::BigInt::parse(std::string(4301, '1')).has_value());
    CHECK(nq::BigInt::parse(std::string(4300, '9'))->to_string() == std::string(4300, '9'));
}

TEST_CASE("ints at every border of an octet survive their octets") {
    for (int bits = 1; bits < 300; ++bits) {
        for (const int sign : {0, 0xff}) {
            std::vector<std::byte> octets(static_cast<std::size_t>(bits / 8 + 1),
                                          static_cast<std::byte>(sign));
            octets.back() = static_cast<std::byte>(1 << (bits % 8));
            const nq::BigInt big(octets);
            const auto again = nq::BigInt::parse(big.to_string());
            REQUIRE(again.has_value());
            CHECK(*again == big);
        }
    }
}

TEST_CASE("equality is of type and content, without order in sets and dicts") {
    CHECK(Value(1) != Value(1.0));
    CHECK(Value(1) != Value(true));
    CHECK(Value(NAN) == Value(NAN));
    CHECK(Value(0.0) == Value(-0.0));
    CHECK(Value::list({1, 2}) != Value::list({2, 1}));
    CHECK(Value::list({1}) != Value::tuple({1}));
    CHECK(Value::set({1, "a", nullptr}) == Value::set({nullptr, 1, "a", 1}));
    CHECK(Value::dict({{1, 2}, {3, 4}}) == Value::dict({{3, 4}, {1, 2}}));
    CHECK(Value::dict({{1, 2}}) != Value::dict({{2, 1}}));
    CHECK(Value(nq::Object("m", "C")) != Value(nq::Object("m", "D")));
}

TEST_CASE("where list items end and dict items begin counts") {
    nq::Object lists("m", "C"), dicts("m", "C");
    lists.list_items = {1, 2};
    dicts.dict_items = {{1, 2}};
    CHECK(Value(lists) != Value(dicts));
}

TEST_CASE("a copy shares, as a second name does in Python") {
    const Value list = Value::list({1});
    const Value twice = Value::list({list, list});
    CHECK(&twice.as_list()[0].as_list() == &twice.as_list()[1].as_list());
}

TEST_CASE("a million levels are freed, compared and printed without recursion") {
    const Value a = nested(k_deep), b = nested(k_deep);
    CHECK(a == b);
    CHECK(a != nested(k_deep - 1));
    CHECK(a.repr(100).size() <= 110);
    Value mixed;
    for (std::size_t i = 0; i < k_deep; ++i) {
        nq::Object object("m", "C", Value::tuple({std::move(mixed)}));
        object.dict_items = {{1, Value::dict({{Value::tuple({2}), 3}})}};
        mixed = std::move(object);
    }
}

TEST_CASE("2^200 ways down cost what they store") {
    CHECK(bomb(200) == bomb(200));
    CHECK(bomb(200) != bomb(199));
    CHECK(bomb(200).repr(1000).size() <= 1003);
}

TEST_CASE("shares dropped by two threads at once are freed") {
    for (int i = 0; i < 200; ++i) {
        Value value = nested(1000);
        std::thread other([copy = value]() mutable { copy = Value(); });
        value = Value();
        other.join();
    }
}

TEST_CASE("values print as Python prints them") {
    CHECK(Value::list({1, -2.0, "a'b", nullptr, true}).repr() == "[1, -2.0, \"a'b\", None, True]");
    CHECK(Value::tuple({1}).repr() == "(1,)");
    CHECK(Value::dict({{"k", Value::set()}}).repr() == "{'k': set()}");
    CHECK(Value::bytes(nq::Chunk(std::string("\x00\xff\n", 3))).repr() == "b'\\x00\\xff\\n'");
    CHECK(Value(std::complex<double>(1, -2)).repr() == "(1.0-2.0j)");
    CHECK(Value(nq::Date{2024, 2, 29}).repr() == "datetime.date(2024, 2, 29)");
    CHECK(Value(std::string(1000, 'x')).repr(10).size() < 20);
    CHECK(Value(nq::Object("m", "C", Value::tuple({1}), "s")).repr() == "<m.C (1,), state 's'>");
}

TEST_CASE("arrays are typed views") {
    const Value array = nq::Array::of<double>({1.0, 2.0, 3.0, 4.0}, {{2, 2}});
    CHECK(array.as_array().dtype == "<f8");
    CHECK(array.as_array().size() == 4);
    CHECK(array.as_span<double>()[3] == 4.0);
    CHECK_THROWS_AS((void)array.as_span<float>(), nq::SerializationError);
    CHECK_THROWS_AS(Value(nq::Array::of<double>({1.0}, {{2}})), nq::SerializationError);
    const nq::Array unknown{"<f3", {}, false, "abc"}, vast{"|u1", {SIZE_MAX, 2}, false, {}};
    CHECK_THROWS_AS((void)Value(unknown), nq::SerializationError);
    CHECK_THROWS_AS((void)vast.size(), nq::SerializationError);
}
