// SPDX-License-Identifier: Apache-2.0
// WIRE.md, gRPC: "A call that fails is a lost connection", from which a client of ours comes back
// to a server of ours.
#include <doctest/doctest.h>

#include <functional>
#include <optional>

#include "cut_proxy.hpp"
#include "network.hpp"

namespace nq::api {

namespace {

using std::chrono::milliseconds;
using Way = CutProxy::Way;

constexpr std::size_t MiB = std::size_t{1} << 20;

/// A server, a client, and a line between them that can be cut.
struct Line {
    explicit Line(Options for_client = {})
        : server(network.server({.events = diary.events()})), proxy(network.location) {
        network.location = proxy.location();
        client.emplace(network.client(std::move(for_client)));
        REQUIRE(meet(server, *client));
    }
    [[nodiscard]] PeerStats::State state() const { return client->stats().peers.at(0).state; }
    [[nodiscard]] bool becomes(PeerStats::State wanted) const {
        return eventually([this, wanted] { return state() == wanted; });
    }
    /// The server has let it in again.
    [[nodiscard]] bool becomes_known() const {
        return state() == PeerStats::State::open && !is_lost(server, client->id());
    }
    /// Nobody is there any more, and nobody comes.
    void lose_for_good() {
        proxy.bar();
        proxy.cut();
        REQUIRE(becomes(PeerStats::State::lost));
    }

    Network network{Wire::grpc};
    Diary diary;
    TextQueue server;
    CutProxy proxy;
    std::optional<TextQueue> client;
};

std::string reset_text_of(TextQueue& client) {
    try {
        (void)client.get();
    } catch (const ConnectionReset& error) {
        return error.what();
    }
    return "get returned";
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("grpc: a call cut off in the middle of a frame: the client comes back, it comes whole") {
    Line line;
    const std::string large = pattern(20 * MiB);
    TextQueue* from = &*line.client;
    TextQueue* to = &line.server;
    Way way = Way::to_server;
    SUBCASE("the client's frame") {}
    SUBCASE("the server's frame") {
        std::swap(from, to);
        way = Way::to_client;
    }
    line.proxy.cut_after(way, 5 * MiB);
    const Future cut = from->put(large);
    const Future after = from->put("after it");
    CHECK((hear(*to) == large));
    CHECK(hear(*to) == "after it");
    CHECK(done(cut));
    CHECK(done(after));
    CHECK((to->try_get().error().code == Errc::would_block));
    // It is the same session.
    CHECK(line.diary.tells("ini " + line.client->id().to_string(), 2));
    CHECK(line.diary.count("fin") == 0);
    CHECK(line.proxy.connections() >= 2);
    CHECK(line.becomes(PeerStats::State::open));
    line.client->put("still here");
    CHECK(hear(line.server) == "still here");
    line.client->close();
    CHECK(line.diary.tells("fin"));
}

TEST_CASE("grpc: what was taken and never written is sent again, too, and counts as not done") {
    // An end that overlooks the reset (docs/transports/grpc.md) notices within 45 s, and both may.
    constexpr std::chrono::minutes k_long{2};
    Line line({.connect_timeout = k_long});
    // Less than what gRPC is given at a time, but more than the kernel takes of what is held up.
    const std::string large = pattern(6 * MiB);
    TextQueue* from = &*line.client;
    TextQueue* to = &line.server;
    Way way = Way::to_server;
    SUBCASE("the client's") {}
    SUBCASE("the server's") {
        std::swap(from, to);
        way = Way::to_client;
    }
    line.proxy.hold_after(way, 100'000);
    const Future future = from->put(large);
    REQUIRE(eventually([&] { return from->stats().peers.at(0).queued_messages == 0; }));
    CHECK_FALSE(future.ready());
    line.proxy.cut();
    const auto heard = to->get_for(k_long);
    REQUIRE(heard.has_value());
    CHECK((heard->data == large));
    CHECK(done(future));
    CHECK((to->try_get().error().code == Errc::would_block));
}

TEST_CASE("grpc: a client that nobody gets from learns of the loss by its puts") {
    Line line({.connection = {.queue_size = 1}});
    for (int i = 0; i < 20; ++i) line.server.put(pattern(100'000));
    REQUIRE(eventually([&line] { return line.client->stats().peers.at(0).unread_messages == 1; }));
    line.proxy.bar();
    line.proxy.cut();
    // More than one: gRPC may overlook a reset that the first one meets on its way.
    CHECK(eventually([&line, polls = 0]() mutable {
        if (polls++ % 100 == 0) line.client->put("anybody there?");
        return line.state() == PeerStats::State::lost;
    }));
    CHECK((hear(*line.client) == pattern(100'000)));
    (void)line.client->close_for(milliseconds(0));  // nobody is there to hear the rest
}

TEST_CASE("grpc: at its goodbye a server's memory is free once it was sent, not before") {
    Line line;
    const std::string large = pattern(6 * MiB);
    line.proxy.hold_after(Way::to_client, 100'000);
    const Future future = line.server.put(large);
    std::thread closing([&line] { line.client->close(); });
    CHECK_FALSE(future.wait_for(milliseconds(100)));
    CHECK(line.diary.count("fin") == 0);
    line.proxy.pass_all();
    closing.join();
    CHECK(done(future));
    CHECK(line.diary.tells("fin"));
    CHECK((hear(*line.client) == large));
}

TEST_CASE("grpc: puts of both ends wait while a client is away") {
    Line line;
    const NetworkLocation place = line.server.options().netloc;
    line.lose_for_good();
    REQUIRE(eventually([&] { return is_lost(line.server, line.client->id()); }));
    for (int i = 0; i < 100; ++i) {
        line.client->put(std::to_string(i));
        line.server.put(std::to_string(-i), line.client->id());
    }
    CHECK((line.client->peers() == std::vector{line.server.id()}));
    line.proxy.lead_to(place);
    for (int i = 0; i < 100; ++i) {
        CHECK(hear(line.server) == std::to_string(i));
        CHECK(hear(*line.client) == std::to_string(-i));
    }
}

TEST_CASE("grpc: cut off again and again, nothing comes twice or out of order") {
    Line line;
    int number = 0;
    const auto put_both = [&line, &number](const std::string& text) {
        line.client->put(std::to_string(++number) + " " + text);
        line.server.put(std::to_string(number) + " " + text);
    };
    // What was on its way is lost. And gRPC overlooks a reset that comes together with octets until
    // something is said again (docs/transports/grpc.md): so something is, now and then.
    const auto happens = [&put_both](const std::function<bool()>& condition) {
        return eventually([&put_both, &condition, polls = 0]() mutable {
            if (++polls % 100 == 0) put_both("are you there?");
            return condition();
        });
    };
    for (int round = 0; round < 6; ++round) {
        const int before = line.proxy.connections();
        line.proxy.cut_after(round % 2 == 0 ? Way::to_server : Way::to_client, 300'000);
        for (int i = 0; i < 10; ++i) put_both(pattern(100'000));
        REQUIRE(happens([&] { return line.proxy.connections() > before; }));
        REQUIRE(happens([&] { return line.becomes_known(); }));
    }
    line.proxy.pass_all();
    const int said = number;
    int last_at_server = 0;
    int last_at_client = 0;
    const auto hear_all = [](TextQueue& end, int& last) {
        while (const auto message = end.try_get()) {
            const int heard = std::stoi(message->data);
            REQUIRE(heard > last);
            last = heard;
        }
    };
    CHECK(happens([&] {
        hear_all(line.server, last_at_server);
        hear_all(*line.client, last_at_client);
        return last_at_server > said && last_at_client > said;
    }));
}

TEST_CASE("grpc: a server that goes for good is ConnectionReset, after connect_timeout") {
    Line line({.connect_timeout = milliseconds(500)});
    const auto begin = std::chrono::steady_clock::now();
    line.lose_for_good();
    const Future future = line.client->put("anybody there?");
    CHECK(contains(reset_text_of(*line.client), "did not answer again in time"));
    CHECK((std::chrono::steady_clock::now() - begin >= milliseconds(500)));
    CHECK((failure_of(future) == Errc::connection_reset));
    CHECK(line.state() == PeerStats::State::ended);
    // Pauses of 10 ms that double.
    CHECK(line.proxy.connections() >= 3);
    CHECK(line.proxy.connections() <= 9);
}

TEST_CASE("grpc: a client that is away closes at once if nothing is queued") {
    Line line({.connect_timeout = std::chrono::hours(1)});
    line.lose_for_good();
    line.client->close();
    CHECK_THROWS_AS((void)line.client->get(), ConnectionAborted);
}

TEST_CASE("grpc: a client that is away waits with close for what is queued, and comes back") {
    Line line;
    const NetworkLocation place = line.server.options().netloc;
    line.lose_for_good();
    const Future future = line.client->put("last words");
    line.proxy.lead_to(place);
    CHECK(line.client->close_for(k_patience).clean);
    CHECK(done(future));
    CHECK(hear(line.server) == "last words");
    CHECK(line.diary.tells("fin"));
}

TEST_CASE("grpc: a client that is away waits with close, but not for ever") {
    Line line({.connect_timeout = milliseconds(1000)});
    line.lose_for_good();
    const Future future = line.client->put("last words");
    SUBCASE("until connect_timeout, and reports it") {
        const auto report = line.client->close_for(k_patience);
        CHECK_FALSE(report.clean);
        REQUIRE(report.undelivered.size() == 1);
        CHECK(report.undelivered[0].queued_messages == 1);
        CHECK((failure_of(future) == Errc::connection_reset));
    }
    SUBCASE("no longer than the deadline") {
        CHECK_FALSE(line.client->close_for(milliseconds(0)).clean);
        CHECK((failure_of(future) == Errc::connection_aborted));
    }
}

TEST_CASE("grpc: a client that comes back to another server is told so, and tells that nothing") {
    Line line;
    line.lose_for_good();
    const Future future = line.client->put("for the one I know");
    Diary diary;
    auto other = line.network.server({.events = diary.events()});
    line.proxy.lead_to(other.options().netloc);
    const std::string text = reset_text_of(*line.client);
    CHECK(contains(text, "another server"));
    CHECK(contains(text, other.id().to_string()));
    CHECK((failure_of(future) == Errc::connection_reset));
    CHECK(diary.tells("fin " + line.client->id().to_string()));
    CHECK((other.try_get().error().code == Errc::would_block));
}

TEST_CASE("grpc: a server that ends the session is not dialled again") {
    Line line({.connect_timeout = std::chrono::hours(1)});
    (void)line.server.close_for(milliseconds(10));
    CHECK(contains(reset_text_of(*line.client), "ended by the server"));
    CHECK(line.proxy.connections() == 1);
}

}  // namespace nq::api
