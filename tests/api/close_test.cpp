// SPDX-License-Identifier: Apache-2.0
// docs/guarantees.md, close, close_for, and the destructor; and the option close_timeout.
#include <doctest/doctest.h>

#include <malloc.h>

#include <future>
#include <optional>
#include <thread>

#include "cut_proxy.hpp"
#include "network.hpp"
#include "raw_peer.hpp"
#include "testing/octets.hpp"

namespace nq::api {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

ON_EVERY_TRANSPORT("close: flushes what was put, however much it is") {
    auto server = network.server();
    auto client = network.client();
    const std::string large = pattern(8 << 20);
    const Future future = client.put(large);
    client.put("and this");
    client.close();
    CHECK(future.ready());
    CHECK(done(future));
    CHECK((hear(server) == large));
    CHECK(hear(server) == "and this");
}

ON_EVERY_TRANSPORT(
    "close: a client's right after its puts delivers them, though it never connected") {
    auto server = network.server();
    for (int i = 0; i < 20; ++i) {
        {
            auto client = network.client();
            client.put(std::to_string(i));
        }
        CHECK(hear(server) == std::to_string(i));
    }
}

ON_EVERY_TRANSPORT("close: a client with nothing to say and nobody to say it to does not wait") {
    network.leave_empty();
    auto client = network.client({.connect_timeout = std::chrono::hours(1)});
    client.close();
    CHECK_THROWS_AS((void)client.get(), ConnectionAborted);
}

TEST_CASE("close: a client that comes back just to close hears all that is queued for it") {
    Network network(Wire::tcp);
    auto server = network.server();
    const Uuid id = Uuid::random();
    {
        RawPeer before(network.location);
        before.say(testing::identity(id));
        REQUIRE(eventually([&server] { return server.peers().size() == 1; }));
    }
    REQUIRE(eventually([&server, &id] { return is_lost(server, id); }));
    for (int i = 0; i < 20; ++i) server.put(pattern(100'000), id);
    CutProxy proxy(network.location);
    proxy.hold_after(CutProxy::Way::to_client, 100'000);
    network.location = {"localhost", proxy.location().port};  // a name takes a moment
    auto client = network.client({.id = id});
    auto closing = std::async(std::launch::async, [&client] { client.close(); });
    // Longer than an attempt is given whose server does not answer.
    CHECK(closing.wait_for(std::chrono::milliseconds(1'200)) == std::future_status::timeout);
    proxy.pass_all();
    closing.get();
    int heard = 0;
    while (client.try_get()) ++heard;
    CHECK(heard == 20);
}

ON_EVERY_TRANSPORT("the destructor closes") {
    Diary diary;
    auto server = network.server({.events = diary.events()});
    Uuid id;
    {
        auto client = network.client();
        id = client.id();
        client.put("last words");
    }
    CHECK(diary.tells("fin " + id.to_string()));
    CHECK(hear(server) == "last words");
    CHECK(server.stats().peers.empty());
}

#if !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)  // which have a heap of their own
TEST_CASE("memory kept for large messages goes with the queue, though a small one of it stays") {
    constexpr std::size_t k_large = std::size_t{48} << 20;
    const auto mapped = [] { return static_cast<std::size_t>(mallinfo2().hblkhd); };
    const std::size_t before = mapped();
    Network network(Wire::tcp);
    auto server = network.server();
    {
        auto client = network.client<BytesSerializer>();
        REQUIRE(meet(server, client));
        server.put("stays");
        CHECK(hear(client).text() == "stays");  // whose share this thread keeps
        server.put(pattern(k_large));
        CHECK(hear(client).size() == k_large);
        CHECK(mapped() - before > k_large / 2);
    }
    CHECK(mapped() - before < k_large / 2);
}
#endif

ON_EVERY_TRANSPORT("the destructor does not wait while an exception unwinds") {
    std::optional<TextQueue> client;
    try {
        auto server = network.server();
        client = network.client({.connect_timeout = std::chrono::hours(1)});
        REQUIRE(meet(server, *client));
        // Otherwise it would wait for the client, who stays.
        throw std::runtime_error("something went wrong");
    } catch (const std::runtime_error&) {
        CHECK_THROWS_AS((void)client->get(), ConnectionReset);
    }
}

ON_EVERY_TRANSPORT(
    "the destructor waits when no exception unwinds past it, though one is handled") {
    Diary diary;
    auto server = network.server({.events = diary.events()});
    try {
        throw std::runtime_error("something went wrong before");
    } catch (const std::runtime_error&) {
        auto client = network.client();
        client.put("flushed all the same");
    }
    CHECK(hear(server) == "flushed all the same");
    CHECK(diary.tells("fin"));
}

ON_EVERY_TRANSPORT("close_for: clean if every peer had everything and said goodbye") {
    auto server = network.server();
    auto client = network.client();
    client.put("hello");
    CHECK(hear(server) == "hello");
    const CloseReport at_client = client.close_for(k_patience);
    CHECK(at_client.clean);
    CHECK(at_client.undelivered.empty());
    const CloseReport at_server = server.close_for(k_patience);
    CHECK(at_server.clean);
    CHECK(at_server.undelivered.empty());
}

ON_EVERY_TRANSPORT("close_for: reports what was not delivered by the deadline") {
    Tap& tap = network.tap();
    auto server = network.server();
    auto quick = network.client();
    auto slow = network.client();
    REQUIRE(meet(server, quick));
    REQUIRE(meet(server, slow));
    server.put("for the quick", quick.id());
    CHECK(hear(quick) == "for the quick");
    tap.allow(Tap::Side::server, 0);
    server.put("for the slow", slow.id());
    server.put("for the slow as well", slow.id());
    const auto report = server.close_for(milliseconds(50));
    CHECK_FALSE(report.clean);
    REQUIRE(report.undelivered.size() == 1);
    CHECK((report.undelivered[0].peer == slow.id()));
    CHECK(report.undelivered[0].queued_messages == 2);
    CHECK(report.undelivered[0].queued_bytes == 32);
    // Asked again, it says the same.
    CHECK_FALSE(server.close_for(milliseconds(50)).clean);
    tap.lose_connections();
}

ON_EVERY_TRANSPORT("close_for: what was queued for a lost session is reported, not waited for") {
    Tap& tap = network.tap();
    auto server = network.server();
    Uuid id;
    {
        auto client = network.client();
        id = client.id();
        REQUIRE(meet(server, client));
        tap.lose_connections();
        REQUIRE(eventually([&] { return is_lost(server, id); }));
    }
    server.put("never");
    const auto report = server.close_for(std::chrono::hours(1));
    CHECK_FALSE(report.clean);
    REQUIRE(report.undelivered.size() == 1);
    CHECK((report.undelivered[0].peer == id));
    CHECK(report.undelivered[0].queued_messages == 1);
}

ON_EVERY_TRANSPORT("close_for: what a client put for a server that never came is reported") {
    network.leave_empty();
    auto client = network.client({.connect_timeout = milliseconds(100)});
    client.put("hello?");
    const auto report = client.close_for(k_patience);
    CHECK_FALSE(report.clean);
    REQUIRE(report.undelivered.size() == 1);
    CHECK(report.undelivered[0].queued_messages == 1);
}

ON_EVERY_TRANSPORT("close_for: a client that stays does not hold it longer than the deadline") {
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    const auto report = server.close_for(milliseconds(20));
    CHECK_FALSE(report.clean);
    CHECK(report.undelivered.empty());
    try {
        (void)client.get();
        FAIL_CHECK("get returned");
    } catch (const ConnectionReset& error) {
        CHECK(std::string(error.what()).find("ended by the server") != std::string::npos);
    }
}

ON_EVERY_TRANSPORT("close_timeout: gives close, and the destructor, a deadline") {
    std::optional<TextQueue> client;
    {
        auto server = network.server({.close_timeout = milliseconds(30)});
        client = network.client();
        REQUIRE(meet(server, *client));
        const auto begin = std::chrono::steady_clock::now();
        server.close();
        CHECK((std::chrono::steady_clock::now() - begin >= milliseconds(30)));
    }
    CHECK_THROWS_AS((void)client->get(), ConnectionReset);
    {
        auto server = network.server({.close_timeout = milliseconds(30)});
        client = network.client();
        REQUIRE(meet(server, *client));
    }
    CHECK_THROWS_AS((void)client->get(), ConnectionReset);
}

ON_EVERY_TRANSPORT("close_timeout: as long as can be is no overflow") {
    auto server = network.server({.close_timeout = milliseconds::max()});
    auto client = network.client();
    REQUIRE(meet(server, client));
    Diary diary;
    std::jthread closing([&server, diary] {
        diary.note(server.close_for(std::chrono::nanoseconds::max()).clean ? "clean" : "not clean");
    });
    client.put("hello");
    CHECK(hear(server) == "hello");
    client.close();
    CHECK(diary.tells("clean"));
    CHECK(diary.count("not") == 0);
}

ON_EVERY_TRANSPORT(
    "close: again, or in several threads, waits for the first and does nothing more") {
    auto server = network.server();
    auto client = network.client();
    client.put("hello");
    {
        std::vector<std::jthread> closers;
        for (int i = 0; i < 4; ++i) closers.emplace_back([&client] { client.close(); });
    }
    client.close();
    CHECK(client.close_for(milliseconds(0)).clean);
    CHECK(hear(server) == "hello");
}

ON_EVERY_TRANSPORT("close_for: ends a close under way that would wait for longer") {
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    std::jthread patient([&server] { server.close(); });
    CHECK_FALSE(server.close_for(milliseconds(20)).clean);
    patient.join();
    CHECK_THROWS_AS((void)client.get(), ConnectionReset);
}

ON_EVERY_TRANSPORT("close: both at once end well") {
    for (int i = 0; i < 20; ++i) {
        auto server = network.server();
        auto client = network.client();
        REQUIRE(meet(server, client));
        client.put("from the client");
        server.put("from the server");
        std::jthread one([&server] { server.close(); });
        std::jthread other([&client] { client.close(); });
        one.join();
        other.join();
        CHECK(hear(server) == "from the client");
        CHECK(hear(client) == "from the server");
        CHECK_THROWS_AS((void)server.get(), ConnectionAborted);
        CHECK_THROWS_AS((void)client.get(), ConnectionAborted);
    }
}

ON_EVERY_TRANSPORT("close: peers, stats, id and options can be asked after it") {
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    client.close();
    server.close();
    CHECK(client.peers().empty());
    CHECK(server.peers().empty());
    CHECK((client.stats().peers.at(0).state == PeerStats::State::ended));
    CHECK((client.options().id == client.id()));
}

ON_EVERY_TRANSPORT("close: descriptors go at once, so the place is free again") {
    for (int i = 0; i < 5; ++i) {
        auto server =
            i == 0 ? network.server() : network.server_at_its_place({.netloc = network.location});
        auto client = network.client();
        client.put("hello");
        CHECK(hear(server) == "hello");
    }
}

}  // namespace nq::api
