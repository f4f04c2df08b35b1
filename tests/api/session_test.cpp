// SPDX-License-Identifier: Apache-2.0
// WIRE.md, Session, line by line, and the options about sessions, as a user of the API sees them.
// What goes over the wire is looked at in wire_test.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <thread>

#include "network.hpp"

namespace nq::api {

namespace {

using std::chrono::milliseconds;

[[nodiscard]] bool becomes_lost(const TextQueue& server, const Uuid& peer) {
    return eventually([&server, &peer] { return is_lost(server, peer); });
}

/// A client that came, was known, and lost its connection.
Uuid lose_a_client(Network& network, TextQueue& server) {
    auto client = network.client();
    const Uuid id = client.id();
    REQUIRE(meet(server, client));
    network.tap().lose_connections();
    REQUIRE(becomes_lost(server, id));
    return id;
}

}  // namespace

ON_EVERY_TRANSPORT("start: both sides say who they are; events.ini tells, once each") {
    Diary at_server;
    Diary at_client;
    auto server = network.server({.events = at_server.events()});
    auto client = network.client({.events = at_client.events()});
    CHECK(at_server.tells("ini " + client.id().to_string()));
    CHECK(at_client.tells("ini " + server.id().to_string()));
    CHECK(meet(server, client));
    CHECK(at_server.count("") == 1);
    CHECK(at_client.count("") == 1);
}

ON_EVERY_TRANSPORT("start: a client's messages may follow its ini at once") {
    Tap& tap = network.tap();
    auto server = network.server();
    tap.allow(Tap::Side::server, 0);
    auto client = network.client();
    CHECK(done(client.put("before you answered")));
    CHECK(hear(server) == "before you answered");
    CHECK(client.peers().empty());
    tap.allow(Tap::Side::server, Tap::k_unlimited);
    CHECK(meet(server, client));
}

ON_EVERY_TRANSPORT(
    "stop: a client that closes sends what is queued, then leaves; events.fin tells") {
    Diary at_server;
    Diary at_client;
    auto server = network.server({.events = at_server.events()});
    auto client = network.client({.events = at_client.events()});
    for (int i = 0; i < 1000; ++i) client.put(std::to_string(i));
    client.close();
    CHECK(at_client.tells("fin " + server.id().to_string()));
    CHECK(at_server.tells("fin " + client.id().to_string()));
    CHECK(server.peers().empty());
    for (int i = 0; i < 1000; ++i) REQUIRE(hear(server) == std::to_string(i));
    CHECK((server.try_get().error().code == Errc::would_block));
}

ON_EVERY_TRANSPORT(
    "stop: the client reads on; the server sends what it has queued, then its own fin") {
    Tap& tap = network.tap();
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    tap.allow(Tap::Side::server, 0);
    for (int i = 0; i < 100; ++i) server.put(std::to_string(i));
    const Future last = server.put("that was all");
    client.put("goodbye");
    std::jthread closing([&client] { client.close(); });
    CHECK(hear(server) == "goodbye");
    CHECK_FALSE(last.ready());
    tap.allow(Tap::Side::server, Tap::k_unlimited);
    closing.join();
    CHECK(done(last));
    for (int i = 0; i < 100; ++i) CHECK(hear(client) == std::to_string(i));
    CHECK(hear(client) == "that was all");
    CHECK_THROWS_AS((void)client.get(), ConnectionAborted);
}

ON_EVERY_TRANSPORT("stop: messages received before a clean leave are still readable after it") {
    auto server = network.server();
    Uuid id;
    {
        auto client = network.client();
        id = client.id();
        client.put("remember me");
        client.put("and this");
    }
    REQUIRE(eventually([&server] { return server.peers().empty(); }));
    CHECK(server.get(id).data == "remember me");
    CHECK(server.get().data == "and this");
}

ON_EVERY_TRANSPORT("stop: a client that left may come again, as anybody") {
    const Uuid id = Uuid::random();
    auto server = network.server();
    for (int i = 0; i < 5; ++i) {
        auto client = network.client({.id = id});
        client.put(std::to_string(i));
        CHECK(hear(server) == std::to_string(i));
        REQUIRE(meet(server, client));
        server.put(std::to_string(-i), id);
        CHECK(hear(client) == std::to_string(-i));
        client.close();
        REQUIRE(eventually([&server] { return server.peers().empty(); }));
    }
}

ON_EVERY_TRANSPORT("stop: a put to a client that left fails, unknown or reset") {
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    client.close();
    REQUIRE(eventually([&server] { return server.peers().empty(); }));
    const auto code = failure_of(server.put("too late", client.id()));
    CHECK((code == Errc::unknown_peer || code == Errc::connection_reset));
}

ON_EVERY_TRANSPORT("a server's close stops accepting, and waits for its clients to leave") {
    Tap& tap = network.tap();
    Diary diary;
    auto server = network.server();
    std::optional<TextQueue> client = network.client();
    REQUIRE(meet(server, *client));
    std::jthread closing([&server, diary] {
        server.close();
        diary.note("closed");
    });
    REQUIRE(eventually([&server] {
        return failure_of(server.put("", Uuid::random())) == Errc::connection_aborted;
    }));
    // While it waits, who is there goes on talking, and who comes is not let in.
    auto late = network.client({.connect_timeout = milliseconds(300)});
    CHECK_THROWS_AS((void)late.get(), ConnectionReset);
    client->put("one more thing");
    CHECK(hear(server) == "one more thing");
    CHECK(diary.count("closed") == 0);
    CHECK(tap.dials() >= 2);
    client.reset();
    CHECK(diary.tells("closed"));
}

ON_EVERY_TRANSPORT("a server's close does not wait for lost sessions") {
    Diary diary;
    network.tap();
    auto server = network.server({.events = diary.events()});
    const Uuid id = lose_a_client(network, server);
    const Future future = server.put("never");
    server.close();
    CHECK(future.ready());
    CHECK_FALSE(future.result().has_value());
    CHECK(diary.count("fin " + id.to_string()) == 1);
}

ON_EVERY_TRANSPORT("loss: the server keeps the session, and what was received stays readable") {
    Diary diary;
    Tap& tap = network.tap();
    auto server = network.server({.events = diary.events()});
    auto client = network.client();
    client.put("one");
    client.put("two");
    REQUIRE(eventually([&] {
        const auto stats = stats_of(server, client.id());
        return stats && stats->unread_messages == 2;
    }));
    tap.lose_connections();
    REQUIRE(becomes_lost(server, client.id()));
    CHECK((server.peers() == std::vector{client.id()}));
    CHECK(server.get(client.id()).data == "one");
    CHECK(server.get().data == "two");
    const std::vector<Uuid> peers{client.id()};
    CHECK((server.try_get(peers).error().code == Errc::would_block));
    CHECK(diary.count("fin") == 0);
}

ON_EVERY_TRANSPORT("return: a client that comes back under its UUID finds what was queued for it") {
    Diary diary;
    network.tap();
    auto server = network.server({.events = diary.events()});
    const Uuid id = lose_a_client(network, server);
    std::vector<Future> futures;
    for (int i = 0; i < 100; ++i) futures.push_back(server.put(std::to_string(i), id));
    CHECK(stats_of(server, id)->queued_messages == 100);
    auto back = network.client({.id = id});
    for (int i = 0; i < 100; ++i) CHECK(hear(back) == std::to_string(i));
    for (const Future& future : futures) CHECK(done(future));
    back.put("thank you");
    CHECK(server.get(id).data == "thank you");
    CHECK(diary.tells("ini " + id.to_string(), 2));
    CHECK(diary.count("fin") == 0);
    CHECK(server.stats().peers.size() == 1);
}

ON_EVERY_TRANSPORT("return: as often as need be") {
    Tap& tap = network.tap();
    auto server = network.server();
    const Uuid id = lose_a_client(network, server);
    for (int i = 0; i < 10; ++i) {
        server.put(std::to_string(i), id);
        auto back = network.client({.id = id});
        REQUIRE(hear(back) == std::to_string(i));
        back.put(std::to_string(-i));
        REQUIRE(hear(server) == std::to_string(-i));
        tap.lose_connections();
        REQUIRE(becomes_lost(server, id));
    }
}

ON_EVERY_TRANSPORT_BUT_MQTT(
    "return: a frame cut off by the loss is sent again whole, one sent whole is not",
    "a broker does not tell a client that it was dropped") {
    Tap& tap = network.tap();
    auto server = network.server();
    const Uuid id = Uuid::random();
    const std::string large = pattern(300'000);
    Future cut;
    {
        auto client = network.client({.id = id});
        REQUIRE(meet(server, client));
        server.put("whole", id);
        CHECK(hear(client) == "whole");
        tap.lose_after(Tap::Side::server, 100'000);
        cut = server.put(large, id);
        server.put("after it", id);
        CHECK_THROWS_AS((void)client.get(), ConnectionReset);
        REQUIRE(becomes_lost(server, id));
        CHECK_FALSE(cut.ready());
    }
    tap.allow(Tap::Side::server, Tap::k_unlimited);
    auto back = network.client({.id = id});
    CHECK((hear(back) == large));
    CHECK(hear(back) == "after it");
    CHECK(done(cut));
    CHECK((back.try_get().error().code == Errc::would_block));
}

ON_EVERY_TRANSPORT("return: a loss is seen and a return accepted though the server does not read") {
    Tap& tap = network.tap();
    auto server = network.server({.connection = {.receive_bytes = 1000}});
    const Uuid id = Uuid::random();
    {
        auto client = network.client({.id = id});
        for (int i = 0; i < 100; ++i) client.put(pattern(1000));
        REQUIRE(eventually([&] {
            const auto stats = stats_of(server, id);
            return stats && stats->unread_messages > 0;
        }));
        tap.lose_connections();
        REQUIRE(becomes_lost(server, id));
    }
    server.put("welcome back", id);
    auto back = network.client({.id = id});
    CHECK(hear(back) == "welcome back");
    CHECK((hear(server) == pattern(1000)));
    // The rest must be read too, before the goodbye of the one who is back.
    while (server.try_get()) {
    }
}

ON_EVERY_TRANSPORT("loss: a frame that was cut off is dropped by the receiver") {
    Tap& tap = network.tap();
    auto server = network.server();
    const Uuid id = Uuid::random();
    {
        auto client = network.client({.id = id});
        client.put("whole");
        CHECK(hear(server) == "whole");
        tap.lose_after(Tap::Side::client, 100'000);
        CHECK((failure_of(client.put(pattern(300'000))) == Errc::connection_reset));
        REQUIRE(becomes_lost(server, id));
    }
    tap.allow(Tap::Side::client, Tap::k_unlimited);
    auto back = network.client({.id = id});
    back.put("a new beginning");
    CHECK(hear(server) == "a new beginning");
}

ON_EVERY_TRANSPORT_BUT_MQTT(
    "one live connection per UUID: a second one is refused, the first is unharmed",
    "an id is a name at the broker, which ends the first one's link") {
    Diary diary;
    auto server = network.server({.log = diary.log()});
    auto first = network.client();
    REQUIRE(meet(server, first));
    auto second = network.client({.id = first.id()});
    second.put("I am the first");
    try {
        (void)second.get();
        FAIL_CHECK("get returned");
    } catch (const ConnectionReset& error) {
        // By a fin that was not asked for, or beneath the stream.
        const char* const how =
            network.wire == Wire::grpc ? "refused there" : "ended by the server";
        CHECK(std::string(error.what()).find(how) != std::string::npos);
        CHECK(std::string(error.what()).find("in use") != std::string::npos);
    }
    CHECK(diary.tells("refused"));
    CHECK(server.stats().identities_refused == 1);
    CHECK((server.try_get().error().code == Errc::would_block));
    first.put("no, I am");
    CHECK(hear(server) == "no, I am");
    server.put("so you are");
    CHECK(hear(first) == "so you are");
    second.close();
}

ON_EVERY_TRANSPORT_BUT_MQTT("one live connection per UUID: the server's own is refused",
                            "an id is a name at the broker, which ends the server's link") {
    auto server = network.server();
    auto impostor = network.client({.id = server.id()});
    CHECK_THROWS_AS((void)impostor.get(), ConnectionReset);
    CHECK(server.stats().identities_refused == 1);
    CHECK(server.peers().empty());
    impostor.close();
    auto client = network.client();
    client.put("the server still listens");
    CHECK(hear(server) == "the server still listens");
}

ON_EVERY_TRANSPORT("session_expiry: a lost session is given up after it, not before") {
    Diary diary;
    network.tap();
    auto server = network.server({.session_expiry = milliseconds(1000), .events = diary.events()});
    const Uuid id = lose_a_client(network, server);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(diary.tells("fin " + id.to_string()));
    CHECK((std::chrono::steady_clock::now() - begin < k_patience));
    CHECK(server.peers().empty());
    CHECK(server.stats().sessions_expired == 1);
    CHECK((failure_of(server.put("too late", id)) == Errc::unknown_peer));
    // Under its id it begins anew.
    auto client = network.client({.id = id});
    client.put("who are you?");
    CHECK(hear(server) == "who are you?");
}

ON_EVERY_TRANSPORT("lost_sessions: beyond it the oldest lost session goes first") {
    Diary diary;
    network.tap();
    auto server = network.server({.lost_sessions = 2, .events = diary.events()});
    const Uuid first = lose_a_client(network, server);
    const Uuid second = lose_a_client(network, server);
    CHECK(diary.count("fin") == 0);
    const Uuid third = lose_a_client(network, server);
    CHECK(diary.tells("fin " + first.to_string()));
    CHECK(is_lost(server, second));
    CHECK(is_lost(server, third));
    CHECK(server.stats().sessions_expired == 1);
}

ON_EVERY_TRANSPORT("lost_sessions: a session counts once, however often it was lost") {
    Tap& tap = network.tap();
    auto server = network.server({.lost_sessions = 2});
    const Uuid id = lose_a_client(network, server);
    for (int i = 0; i < 5; ++i) {
        server.put(std::to_string(i), id);
        auto back = network.client({.id = id});
        REQUIRE(hear(back) == std::to_string(i));
        tap.lose_connections();
        REQUIRE(becomes_lost(server, id));
    }
    CHECK(server.stats().sessions_expired == 0);
}

ON_EVERY_TRANSPORT("lost_bytes: a put beyond fails with queue_full, what was queued stays") {
    network.tap();
    auto server = network.server({.lost_bytes = 1000});
    const Uuid id = lose_a_client(network, server);
    const Future fits = server.put(std::string(600, 'a'), id);
    const Future does_not = server.put(std::string(401, 'b'), id);
    const Future fills = server.put(std::string(400, 'c'), id);
    CHECK((failure_of(does_not) == Errc::queue_full));
    CHECK_THROWS_AS(does_not.get(), ConnectionError);
    auto back = network.client({.id = id});
    CHECK((hear(back) == std::string(600, 'a')));
    CHECK((hear(back) == std::string(400, 'c')));
    CHECK(done(fits));
    CHECK(done(fills));
}

ON_EVERY_TRANSPORT_BUT_MQTT(
    "handshake_timeout: who does not say its ini in time is dropped, and told of",
    "a broker does not tell a client that it was dropped") {
    Diary diary;
    Tap& tap = network.tap();
    auto server = network.server({.handshake_timeout = milliseconds(100), .log = diary.log()});
    tap.allow(Tap::Side::client, 23);
    auto slow = network.client();
    CHECK(diary.tells("no ini in time"));
    CHECK_THROWS_AS((void)slow.get(), ConnectionReset);
    CHECK(server.stats().strangers_dropped == 1);
    CHECK(server.stats().strangers == 0);
    CHECK(server.peers().empty());
}

ON_EVERY_TRANSPORT_BUT_MQTT("workers: sessions are spread over them, and all talk to all",
                            "one link is served by one thread") {
    Tap& tap = network.tap();
    auto server = network.server({.workers = 3});
    std::vector<TextQueue> clients;
    for (int i = 0; i < 9; ++i) clients.push_back(network.client());
    for (auto& client : clients) REQUIRE(meet(server, client));
    const auto reactors = tap.accepted_by();
    CHECK(std::set(reactors.begin(), reactors.end()).size() == 3);
    for (auto& client : clients) client.put("from " + client.id().to_string());
    for (auto& client : clients) {
        CHECK(server.get(client.id()).data == "from " + client.id().to_string());
    }
    const Future all = server.put("to all");
    for (auto& client : clients) CHECK(hear(client) == "to all");
    CHECK(done(all));
}

ON_EVERY_TRANSPORT_BUT_MQTT("workers: a session that was lost on one goes on on another",
                            "one link is served by one thread") {
    Tap& tap = network.tap();
    auto server = network.server({.workers = 2});
    const Uuid id = lose_a_client(network, server);
    for (int i = 0; i < 6; ++i) {
        server.put(std::to_string(i), id);
        auto back = network.client({.id = id});
        REQUIRE(hear(back) == std::to_string(i));
        back.put(std::to_string(i));
        REQUIRE(server.get(id).data == std::to_string(i));
        tap.lose_connections();
        REQUIRE(becomes_lost(server, id));
    }
    const auto reactors = tap.accepted_by();
    CHECK(std::set(reactors.begin(), reactors.end()).size() == 2);
}

}  // namespace nq::api
