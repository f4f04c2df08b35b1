// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include <net_queue/error.hpp>
#include <net_queue/serializer.hpp>

#include "pickle/test_support.hpp"

using namespace std::string_literals;
using namespace nq::testing;
using nq::AllowList;
using nq::PickleOptions;
using nq::Value;
using nq::ValueType;

TEST_CASE("protocol 0 reads") {
    CHECK(load("I42\n.") == Value(42));
    CHECK(load("I01\n.") == Value(true));
    CHECK(load("L-5L\n.") == Value(-5));
    CHECK(load("F-1.5\n.") == Value(-1.5));
    CHECK(load("Finf\n.").as_float() > 1e308);
    CHECK(load("S'a\\x41\\n'\n.") == Value("aA\n"));
    CHECK(load("V\\u20ac\xe9\\U0001f600\n.") == Value("\u20ac\u00e9\U0001f600"));
    CHECK(load("V\\\\u0041\n.") == Value("\\\\u0041"));
    CHECK(load("(lp0\nI1\naI2\na.") == Value::list({1, 2}));
    CHECK(load("(dp0\nI1\nI2\ns.") == Value::dict({{1, 2}}));
    CHECK(load("c_codecs\nencode\n(V\xff\nVlatin1\ntR.") == Value::bytes("\xff"));
    CHECK(load("c__builtin__\nset\n((lI1\natR.") == Value::set({1}));
}

TEST_CASE("binary protocols read") {
    CHECK(load(pickle("\x80\x02K\x05.")) == Value(5));
    CHECK(load(pickle("J\xff\xff\xff\xff.")) == Value(-1));
    CHECK(load(pickle("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.")).repr() ==
          "18446744073709551616");
    CHECK(load(pickle("\x8a\x00.")) == Value(0));
    CHECK(load(pickle("G\x3f\xf8\x00\x00\x00\x00\x00\x00.")) == Value(1.5));
    CHECK(load(pickle("\x8c\x02\xc3\xa9.")) == Value("\u00e9"));
    CHECK(load(pickle("(K\x01K\x02\x91.")) == Value::frozenset({2, 1}));
    CHECK(load(pickle("\x8f(K\x01\x90.")) == Value::set({1}));
    CHECK(load(pickle("\x96\x01\x00\x00\x00\x00\x00\x00\x00x.")) == Value::bytearray("x"));
}

TEST_CASE("lone surrogates stay what they are") {
    const std::string octets = pickle("\x8c\x03\xed\xa0\x80.");
    CHECK(load(octets).as_str() == "\xed\xa0\x80");
    CHECK(round_trip(load(octets)) == load(octets));
    CHECK(load("V\\ud800\n.") == load(octets));
}

TEST_CASE("a memo index of 2^32 - 1 costs no more than any") {
    CHECK(load(pickle("]r\xff\xff\xff\xff"
                      "0j\xff\xff\xff\xff.")) == Value::list());
    CHECK(load("Np4294967295\n0g4294967295\n.").is_none());
}

TEST_CASE("indices out of order, with holes and from 1 are found again") {
    std::string octets = "(";
    for (const char* index : {"1", "2", "300", "5000", "3", "4999", "299"}) {
        octets += "V"s + index + "\np" + index + "\n";
    }
    for (const char* index : {"5000", "300", "4999", "1", "299"}) octets += "g"s + index + "\n";
    const Value value = load(octets + "t.");
    CHECK(value.as_tuple()[7] == Value("5000"));
    CHECK(value.as_tuple()[8] == Value("300"));
    CHECK(value.as_tuple()[9] == Value("4999"));
    CHECK(value.as_tuple()[11] == Value("299"));
}

TEST_CASE("what a pickle shares is shared") {
    const Value value =
        load(pickle("](]\x94h\x00h\x00"
                    "e."));
    const auto& items = value.as_list();
    REQUIRE(items.size() == 3);
    CHECK(&items[0].as_list() == &items[2].as_list());
}

TEST_CASE("what an instance turns out to be is shared as well") {
    const Value value = load("(c__builtin__\nset\n((ltRp0\ng0\nt.");
    CHECK(value.as_tuple()[0].type() == ValueType::set);
    CHECK(&value.as_tuple()[0].as_set() == &value.as_tuple()[1].as_set());
}

TEST_CASE("loading runs nothing: a gadget is data") {
    const Value value = load("cos\nsystem\n(S'echo hacked'\ntR.");
    const nq::Object& object = value.as_object();
    CHECK(object.module() == "os");
    CHECK(object.name() == "system");
    CHECK(object.arguments == Value::tuple({"echo hacked"}));
    CHECK(load("c__builtin__\neval\n.").as_global() == nq::Global{"builtins", "eval"});
}

TEST_CASE("instances keep their recipe, items and state") {
    const Value value = load("ccollections\nOrderedDict\n)R(I1\nI2\nu(I3\nI4\ndb.");
    const nq::Object& object = value.as_object();
    CHECK(object.recipe == nq::Object::Recipe::call);
    REQUIRE(object.dict_items.size() == 1);
    CHECK(object.state == Value::dict({{3, 4}}));
    CHECK(load("(imodule\nClass\n.").as_object().recipe == nq::Object::Recipe::create);
    CHECK(load("(cm\nC\nI1\no.").as_object().arguments == Value::tuple({1}));
}

TEST_CASE("an odd recipe of a known class stays an object") {
    CHECK(load("cuuid\nUUID\n(I1\ntR.").is_object());
    CHECK(load("cuuid\nUUID\n)\x81}(V"s + "int\nI-1\nub.").is_object());
    CHECK(load("cdatetime\ndate\n(C\x04\x07\xe4\x02\x1etR.").is_object());
    CHECK(load("cdecimal\nDecimal\n(Vone\ntR.").is_object());
    CHECK(load("c_codecs\nencode\n(Va\nVrot13\ntR.").is_object());
    CHECK(load("c__builtin__\nset\n((ltRNb."s).is_object() == false);
}

TEST_CASE("known types are recognised") {
    CHECK(load("cuuid\nUUID\n)\x81}Vint\nI5\nsb.").as_uuid().hex() == std::string(31, '0') + "5");
    CHECK(load("cdatetime\ndate\n(C\x04\x07\xe4\x02\x1dtR.").as_date() == nq::Date{2020, 2, 29});
    CHECK(load("cdecimal\nDecimal\n(V1.50\ntR.").as_decimal() == "1.50");
    CHECK(load("c__builtin__\ncomplex\n(F1\nF2\ntR.").as_complex() == std::complex<double>(1, 2));
}

TEST_CASE("an allow list names exact globals") {
    const PickleOptions options{.allow = AllowList{"uuid.UUID"}};
    const std::string state = ")\x81}Vint\nI5\nsb.";
    CHECK(load("cuuid\nUUID\n" + state, options).type() == ValueType::uuid);
    CHECK(load("\x8c\x04uuid\x8c\x04UUID\x93" + state, options).type() == ValueType::uuid);
    const std::string by_memo = pickle(
        "\x8c\x04uuid\x94"
        "0\x8c\x04UUID\x94"
        "0h\x00h\x01\x93");
    CHECK(load(by_memo + state, options).type() == ValueType::uuid);
}

TEST_CASE("what an allow list does not name is refused by its name") {
    const PickleOptions options{.allow = AllowList{"uuid.UUID", "os.path"}};
    const auto refused = [&options](const std::string& octets, const char* name) {
        CHECK_THROWS_WITH_AS(load(octets, options), doctest::Contains(name),
                             nq::SerializationError);
    };
    refused("cos\nsystem\n.", "'os.system' is not allowed");
    refused("c__builtin__\neval\n.", "'builtins.eval' is not allowed");
    refused("cuuid\nUUID.__init__.__globals__\n.", "is not allowed");
    refused("\x8c\x04uuid\x8c\x0dUUID.__init__\x93.", "'uuid.UUID.__init__' is not allowed");
    refused("\x8c\x02os\x8c\x04UUID\x93.", "'os.UUID' is not allowed");
    refused("V0\nVeval\n\x93.", "is not allowed");
    refused("(ios\nsystem\n.", "'os.system' is not allowed");
    refused("c\nuuid.UUID\n.", "is not allowed");
    CHECK_THROWS_AS(AllowList({"eval"}), nq::SerializationError);
}

TEST_CASE("an allow list can hold every known type") {
    const auto known = AllowList::known_types();
    CHECK(known.contains("uuid", "UUID"));
    CHECK(known.contains("builtins", "set"));
    CHECK_FALSE(known.contains("builtins", "eval"));
    CHECK(known.with({"a.b.C"}).contains("a.b", "C"));
    CHECK_FALSE(known.with({"a.b.C"}).contains("a", "b.C"));
}

TEST_CASE("long octets are views of the message, short ones of a long message are not") {
    const std::string payload(100'000, 'x');
    const nq::PickleSerializer serializer;
    nq::Chunk message(pickle("(B\xa0\x86\x01\x00") + payload +
                      "C\x03"
                      "abct.");
    const Value value = serializer.load(message);
    const auto inside = [&message](const nq::Chunk& chunk) {
        return chunk.data() >= message.data() && chunk.data() < message.data() + message.size();
    };
    CHECK(inside(value.as_tuple()[0].as_bytes()));
    CHECK_FALSE(inside(value.as_tuple()[1].as_bytes()));
}

TEST_CASE("a message in many chunks loads") {
    nq::Stream stream;
    for (const char octet : std::string("(lp0\nI1\naI2\na."))
        stream.write(std::string_view(&octet, 1));
    CHECK(nq::PickleSerializer().load(stream) == Value::list({1, 2}));
}

TEST_CASE("the object budget is an option") {
    const std::string octets = "(" + std::string(10'000, 'N') + "l.";
    CHECK(load(octets).size() == 10'000);
    CHECK_THROWS_WITH_AS(load(octets, {.object_budget = 100'000}),
                         doctest::Contains("object budget of 100000"), nq::SerializationError);
}

TEST_CASE("copies into known types are paid for, or the instance stays one") {
    // One list of 10,000 items made into a set again and again.
    std::string octets = "((" + std::string(10'000, 'N') + "lp0\nc__builtin__\nset\np1\n";
    for (int i = 0; i < 1000; ++i) octets += "0g1\n(g0\ntR";
    const Value value = load(octets + "t.");
    CHECK(value.as_tuple().back().is_object());
}
