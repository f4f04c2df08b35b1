// SPDX-License-Identifier: Apache-2.0
// The API with its default serializer: pickle, data is a Value.
#include <doctest/doctest.h>

#include <type_traits>

#include "network.hpp"

namespace nq::api {

TEST_CASE("open: the defaults are a tcp client of 127.0.0.1:51966 that speaks pickle") {
    static_assert(std::is_same_v<decltype(open()), Queue>);
    static_assert(std::is_same_v<Queue::value_type, Value>);
    auto queue = open();
    CHECK((queue.communicator().purpose() == Purpose::client));
    CHECK(queue.options().netloc.to_string() == "127.0.0.1:51966");
    (void)queue.close_for(std::chrono::milliseconds(0));
}

ON_EVERY_TRANSPORT("bad use: a Value that can't be pickled throws at the put, nothing is sent") {
    auto server = network.server<PickleSerializer>();
    auto client = network.client<PickleSerializer>();
    CHECK_THROWS_AS(client.put(Value("\xff is no UTF-8")), SerializationError);
    client.put(Value("fine"));
    CHECK((hear(server) == Value("fine")));
    CHECK(stats_of(server, client.id())->received_messages == 1);
}

ON_EVERY_TRANSPORT("bad use: a message that can't be unpickled throws with its peer, and is gone") {
    auto server = network.server<PickleSerializer>();
    auto text = network.client();
    auto pickles = network.client<PickleSerializer>();
    text.put("this is no pickle");
    try {
        (void)server.get();
        FAIL_CHECK("get returned");
    } catch (const SerializationError& error) {
        CHECK((error.peer() == text.id()));
    }
    pickles.put(Value(42));
    CHECK((hear(server) == Value(42)));
    REQUIRE(meet(server, text));
    server.put(Value(1), text.id());
    CHECK_FALSE(hear(text).empty());
}

}  // namespace nq::api
