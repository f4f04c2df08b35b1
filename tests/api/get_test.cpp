// SPDX-License-Identifier: Apache-2.0
// docs/guarantees.md, get, try_get, get_for.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "network.hpp"

namespace nq::api {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Cannot load the text "garbage".
struct PickySerializer : TextSerializer {
    [[nodiscard]] std::string load(Stream stream) const {
        auto text = TextSerializer::load(std::move(stream));
        if (text == "garbage") throw std::domain_error("garbage can't be loaded");
        return text;
    }
};

std::vector<Uuid> named(std::initializer_list<Uuid> peers) { return peers; }

}  // namespace

ON_EVERY_TRANSPORT("get: the first message available, with who sent it") {
    auto server = network.server();
    auto one = network.client();
    auto other = network.client();
    CHECK(done(one.put("from one")));
    const auto first = server.get();
    CHECK(first.data == "from one");
    CHECK((first.peer == one.id()));
    other.put("from the other");
    const auto second = server.get();
    CHECK(second.data == "from the other");
    CHECK((second.peer == other.id()));
}

ON_EVERY_TRANSPORT("get: the first message from the given peers, leaving those of others") {
    auto server = network.server();
    auto one = network.client();
    auto other = network.client();
    one.put("one, 1");
    one.put("one, 2");
    other.put("other, 1");
    CHECK(server.get(other.id()).data == "other, 1");
    other.put("other, 2");
    CHECK(server.get(one.id()).data == "one, 1");
    CHECK(hear(server, named({other.id()})) == "other, 2");
    const auto nobody = named({Uuid::random()});
    CHECK((server.try_get(nobody).error().code == Errc::would_block));
    CHECK(server.get(other.id(), one.id()).data == "one, 2");
}

ON_EVERY_TRANSPORT("get: from a peer that comes later waits for it") {
    const Uuid id = Uuid::random();
    auto server = network.server();
    std::string heard;
    std::jthread getter([&] { heard = hear(server, named({id})); });
    auto other = network.client();
    other.put("not for the getter");
    REQUIRE(eventually([&] { return server.stats().peers.size() == 1; }));
    auto client = network.client({.id = id});
    client.put("for the getter");
    getter.join();
    CHECK(heard == "for the getter");
    CHECK(hear(server) == "not for the getter");
}

ON_EVERY_TRANSPORT(
    "get: from named peers that are all gone is ConnectionReset, after what they left") {
    auto server = network.server();
    auto stays = network.client();
    REQUIRE(meet(server, stays));
    Uuid gone;
    {
        auto client = network.client();
        gone = client.id();
        client.put("farewell");
    }
    REQUIRE(eventually([&] { return server.peers().size() == 1; }));
    CHECK(server.get(gone).data == "farewell");
    for (int i = 0; i < 2; ++i) CHECK_THROWS_AS((void)server.get(gone), ConnectionReset);
    CHECK((server.try_get(named({gone})).error().code == Errc::connection_reset));
    CHECK((server.get_for(seconds(60), named({gone})).error().peer == gone));
    // One of them is still there, and so is the server for everybody.
    CHECK((server.try_get(named({gone, stays.id()})).error().code == Errc::would_block));
    stays.put("I am still here");
    CHECK(server.get(gone, stays.id()).data == "I am still here");
}

ON_EVERY_TRANSPORT("try_get: a message, or would_block; it never throws and never waits") {
    auto server = network.server();
    auto client = network.client();
    CHECK((server.try_get().error().code == Errc::would_block));
    client.put("hello");
    REQUIRE(eventually([&] { return server.stats().peers.size() == 1; }));
    REQUIRE(eventually([&] { return server.stats().peers.at(0).unread_messages == 1; }));
    const auto result = server.try_get();
    REQUIRE(result.has_value());
    CHECK(result.value().data == "hello");
    CHECK((server.try_get().error().code == Errc::would_block));
}

ON_EVERY_TRANSPORT("get_for: a message, or timed_out after that long; it never throws") {
    auto server = network.server();
    const auto begin = std::chrono::steady_clock::now();
    CHECK((server.get_for(milliseconds(30)).error().code == Errc::timed_out));
    CHECK((std::chrono::steady_clock::now() - begin >= milliseconds(30)));
    auto client = network.client();
    client.put("hello");
    CHECK((server.get_for(k_patience).value().data == "hello"));
    CHECK((server.get_for(milliseconds(0)).error().code == Errc::timed_out));
    // As long as can be is no overflow.
    client.put("again");
    CHECK((server.get_for(std::chrono::nanoseconds::max()).value().data == "again"));
}

ON_EVERY_TRANSPORT(
    "bad use: get after close hands out what is left, then ConnectionAborted always") {
    auto server = network.server();
    {
        auto client = network.client();
        for (int i = 0; i < 5; ++i) client.put(std::to_string(i));
    }
    server.close();
    CHECK(server.get().data == "0");
    CHECK((server.try_get().value().data == "1"));
    CHECK((server.get_for(milliseconds(0)).value().data == "2"));
    CHECK((server.get_for(seconds(60)).value().data == "3"));
    CHECK(server.get().data == "4");
    for (int i = 0; i < 3; ++i) {
        CHECK_THROWS_AS((void)server.get(), ConnectionAborted);
        CHECK((server.try_get().error().code == Errc::connection_aborted));
        CHECK((server.get_for(seconds(60)).error().code == Errc::connection_aborted));
    }
    std::atomic<int> aborted{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i) {
            threads.emplace_back([&server, &aborted] {
                for (int n = 0; n < 10; ++n) {
                    if (server.get_for(seconds(60)).error().code == Errc::connection_aborted) {
                        ++aborted;
                    }
                }
            });
        }
    }
    CHECK(aborted == 80);
}

ON_EVERY_TRANSPORT("close wakes those who wait in get, in every thread") {
    auto server = network.server();
    std::atomic<int> aborted{0};
    std::vector<std::jthread> getters;
    for (int i = 0; i < 4; ++i) {
        getters.emplace_back([&server, &aborted] {
            try {
                (void)server.get();
            } catch (const ConnectionAborted&) {
                ++aborted;
            }
        });
    }
    server.close();
    for (auto& getter : getters) getter.join();
    CHECK(aborted == 4);
}

ON_EVERY_TRANSPORT(
    "get: a client whose server is lost gets ConnectionReset once the inbox is empty") {
    Tap& tap = network.tap();
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    server.put("one");
    server.put("two");
    REQUIRE(eventually([&] { return client.stats().peers.at(0).unread_messages == 2; }));
    tap.lose_connections();
    REQUIRE(
        eventually([&] { return client.stats().peers.at(0).state == PeerStats::State::ended; }));
    CHECK(client.get().data == "one");
    CHECK((client.try_get().value().data == "two"));
    for (int i = 0; i < 2; ++i) {
        CHECK_THROWS_AS((void)client.get(), ConnectionReset);
        CHECK((client.try_get().error().code == Errc::connection_reset));
        CHECK((client.get_for(seconds(60)).error().code == Errc::connection_reset));
    }
    client.close();
    CHECK_THROWS_AS((void)client.get(), ConnectionAborted);
}

ON_EVERY_TRANSPORT("get: one that waits is told when the client's server is lost") {
    Tap& tap = network.tap();
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    std::atomic<bool> reset{false};
    std::jthread getter([&] {
        try {
            (void)client.get();
        } catch (const ConnectionReset& error) {
            reset = error.peer() == server.id();
        }
    });
    tap.lose_connections();
    getter.join();
    CHECK(reset);
}

ON_EVERY_TRANSPORT("a client whose server is lost does not dial again by itself") {
    Tap& tap = network.tap();
    Diary diary;
    auto server = network.server({.events = diary.events()});
    auto client = network.client();
    REQUIRE(meet(server, client));
    const int dials = tap.dials();
    tap.lose_connections();
    CHECK_THROWS_AS((void)client.get(), ConnectionReset);
    CHECK((failure_of(client.put("are you there?")) == Errc::connection_reset));
    CHECK((client.get_for(milliseconds(50)).error().code == Errc::connection_reset));
    CHECK(tap.dials() == dials);
    CHECK(client.peers().empty());
    CHECK(diary.tells("ini"));
    CHECK(diary.count("ini") == 1);
}

ON_EVERY_TRANSPORT(
    "bad use: a message that can't be loaded throws with its peer; the session goes on") {
    auto server = network.server<PickySerializer>();
    auto client = network.client();
    const auto send_garbage = [&client] {
        client.put("garbage");
        client.put("good");
    };
    send_garbage();
    try {
        (void)server.get();
        FAIL_CHECK("get returned");
    } catch (const SerializationError& error) {
        CHECK((error.peer() == client.id()));
        CHECK(std::string(error.what()).find("garbage can't be loaded") != std::string::npos);
    }
    CHECK(server.get().data == "good");
    send_garbage();
    const auto result = server.get_for(k_patience);
    CHECK((result.error().code == Errc::serialization_error));
    CHECK((result.error().peer == client.id()));
    CHECK(hear(server) == "good");
    send_garbage();
    REQUIRE(eventually([&] { return stats_of(server, client.id())->unread_messages == 2; }));
    CHECK((server.try_get().error().code == Errc::serialization_error));
    CHECK((server.try_get().value().data == "good"));
}

ON_EVERY_TRANSPORT("get: several threads may wait; each message goes to one of them") {
    auto server = network.server();
    auto client = network.client();
    constexpr int k_messages = 400;
    std::vector<std::vector<std::string>> heard(4);
    {
        std::vector<std::jthread> getters;
        for (auto& mine : heard) {
            getters.emplace_back([&server, &mine] {
                for (;;) {
                    auto text = hear(server);
                    if (text == "stop") return;
                    mine.push_back(std::move(text));
                }
            });
        }
        for (int i = 0; i < k_messages; ++i) client.put(std::to_string(i));
        for (std::size_t i = 0; i < heard.size(); ++i) client.put("stop");
    }
    std::vector<bool> seen(k_messages);
    for (const auto& mine : heard) {
        CHECK(std::is_sorted(mine.begin(), mine.end(), [](const auto& a, const auto& b) {
            return std::stoi(a) < std::stoi(b);
        }));
        for (const auto& text : mine) {
            const auto number = static_cast<std::size_t>(std::stoi(text));
            CHECK_FALSE(seen[number]);
            seen[number] = true;
        }
    }
    CHECK(std::count(seen.begin(), seen.end(), true) == k_messages);
}

ON_EVERY_TRANSPORT("when_readable: tells once that a get need not wait, then of the end") {
    auto server = network.server();
    auto client = network.client();
    Diary diary;
    server.when_readable([diary] { diary.note("anybody"); });
    server.when_readable([diary] { diary.note("the client"); }, named({client.id()}));
    CHECK(diary.count("") == 0);
    client.put("hello");
    CHECK(diary.tells("anybody"));
    CHECK(diary.tells("the client"));
    CHECK(server.try_get()->data == "hello");
    server.when_readable([diary] { diary.note("closed"); });
    client.close();
    server.close();
    CHECK(diary.tells("closed"));
    CHECK(diary.count("") == 3);
}

}  // namespace nq::api
