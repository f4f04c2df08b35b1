// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <net_queue/error.hpp>
#include <net_queue/serializer.hpp>

#include "pickle/test_support.hpp"

using namespace nq::testing;
using nq::Value;

TEST_CASE("small pickles are what CPython would write, frames and unused memo entries apart") {
    CHECK(dump(nullptr) == pickle("\x80\x05N."));
    CHECK(dump(300) == pickle("\x80\x05M\x2c\x01."));
    CHECK(dump("abc") == pickle("\x80\x05\x8c\x03"
                                "abc."));
    CHECK(dump(Value::list({1, 2})) == pickle("\x80\x05](K\x01K\x02"
                                              "e."));
    CHECK(dump(Value::tuple({1})) == pickle("\x80\x05K\x01\x85."));
}

TEST_CASE("every type survives a round trip") {
    const nq::TimeZone zone{{-1, 75'600, 0}, "X"};
    const std::vector<Value> values = {nullptr,
                                       true,
                                       false,
                                       0,
                                       -1,
                                       255,
                                       256,
                                       65'536,
                                       INT64_MIN,
                                       INT64_MAX,
                                       UINT64_MAX,
                                       *nq::BigInt::parse("-" + std::string(4000, '7')),
                                       0.5,
                                       "",
                                       "text",
                                       std::string(70'000, 'x'),
                                       Value::bytes(""),
                                       Value::bytes(nq::Chunk(std::string(70'000, '\xff'))),
                                       Value::bytearray("abc"),
                                       Value::list(),
                                       Value::tuple(),
                                       Value::tuple({1, 2, 3, 4}),
                                       Value::dict({{"k", Value::list({1})}}),
                                       Value::set(),
                                       Value::set({1, "a"}),
                                       Value::frozenset({1}),
                                       std::complex<double>(1, -2),
                                       nq::Uuid::random(),
                                       nq::Uuid(),
                                       nq::Date{2024, 2, 29},
                                       nq::Time{23, 59, 59, true, 999'999, zone},
                                       nq::DateTime{{1, 1, 1}, {0, 0, 0, true, 1, nq::TimeZone{}}},
                                       nq::TimeDelta{-5, 1, 2},
                                       zone,
                                       Value::decimal("-1.50"),
                                       nq::Array::of<std::int32_t>({1, 2, 3}),
                                       Value::scalar({"<M8[25us]", {}, false, "12345678"}),
                                       nq::Array{">f4", {1, 0}, true, {}},
                                       nq::Global{"builtins", "int"},
                                       nq::Object("m", "Outer.Inner", Value::tuple({1}), "state")};
    for (const Value& value : values) {
        CAPTURE(value.repr(100));
        CHECK(round_trip(value) == value);
    }
    CHECK(round_trip(Value::list(values)) == Value::list(values));
}

TEST_CASE("objects of every recipe survive a round trip") {
    nq::Object object("m", "C", Value::tuple({1}), Value::dict({{"s", 1}}));
    object.list_items = {1, 2};
    object.dict_items = {{1, 2}, {3, 4}};
    CHECK(round_trip(object) == Value(object));
    object.recipe = nq::Object::Recipe::create_keywords;
    object.keywords = Value::dict({{"k", 1}});
    CHECK(round_trip(object) == Value(object));
    object.keywords = {};
    CHECK_THROWS_AS(dump(object), nq::SerializationError);
    object.recipe = nq::Object::Recipe::bare;
    CHECK_THROWS_AS(dump(object), nq::SerializationError);
    object.arguments = Value::tuple();
    CHECK(round_trip(object) == Value(object));
    nq::Object called("", "", Value::tuple({2}));
    called.callable = object;
    CHECK(round_trip(called) == Value(called));
}

TEST_CASE("lists around a batch's length survive") {
    for (const int length : {0, 1, 999, 1000, 1001, 2000, 2001}) {
        std::vector<Value> items;
        std::vector<Value::Pair> pairs;
        for (int i = 0; i < length; ++i) {
            items.emplace_back(i);
            pairs.emplace_back(i, i);
        }
        CHECK(round_trip(Value::list(items)) == Value::list(items));
        CHECK(round_trip(Value::set(items)) == Value::set(items));
        CHECK(round_trip(Value::dict(pairs)) == Value::dict(pairs));
    }
}

TEST_CASE("shared containers are written once") {
    Value value = Value::list({1});
    for (int i = 0; i < 100; ++i) value = Value::list({value, value});
    CHECK(dump(value).size() < 1500);
    const Value again = round_trip(value);
    CHECK(again == value);
    CHECK(&again.as_list()[0].as_list() == &again.as_list()[1].as_list());
}

TEST_CASE("a hundred thousand levels are written and read without recursion") {
    Value value = Value::list();
    for (int i = 0; i < 100'000; ++i) value = Value::list({std::move(value)});
    CHECK(round_trip(value) == value);
}

TEST_CASE("64 KiB and more are shared, not copied") {
    const nq::Chunk payload(std::string(std::size_t{64} << 10, 'x'));
    const nq::Stream stream = nq::PickleSerializer().dump(
        Value::list({Value::bytes(payload), Value::bytearray(payload)}));
    int shared = 0;
    for (std::size_t i = 0; i < stream.chunk_count(); ++i) {
        shared += stream.chunk(i).data() == payload.data();
    }
    CHECK(shared == 2);
}

TEST_CASE("the items of a large array lie aligned, and are read where they lie") {
    std::vector<double> items(10'000, 1.5);
    const Value array = nq::Array::of(items);
    const nq::Stream stream = nq::PickleSerializer().dump(Value::list({"x", array}));
    const nq::Chunk message = stream.to_chunk();
    const Value again = nq::PickleSerializer().load(message);
    const auto span = again.as_list()[1].as_span<double>();
    CHECK(span.size() == items.size());
    CHECK(span[9'999] == 1.5);
    if (reinterpret_cast<std::uintptr_t>(message.data()) % 16 == 0) {
        const auto* const at = reinterpret_cast<const std::byte*>(span.data());
        CHECK(at > message.data());
        CHECK(at < message.data() + message.size());
    }
}

TEST_CASE("an array that lies askew is read aligned") {
    for (std::size_t skew = 0; skew < 16; ++skew) {
        const std::string octets =
            dump(Value::list({std::string(skew, 'x'), nq::Array::of<double>({1.5})}));
        CHECK(load(octets).as_list()[1].as_span<double>()[0] == 1.5);
    }
}

TEST_CASE("what pickle can't express is refused") {
    CHECK_THROWS_AS(dump("\xff"), nq::SerializationError);
    CHECK_THROWS_AS(dump("\xc0\x80"), nq::SerializationError);
    CHECK_THROWS_AS(dump(nq::Global{"m", std::string(256, 'x')}), nq::SerializationError);
    CHECK_THROWS_AS(dump(nq::Object("m", "C", Value::list())), nq::SerializationError);
}
