// SPDX-License-Identifier: Apache-2.0
// The part of the conformance suite about connections: how they begin and how they end.
#include <doctest/doctest.h>

#include <array>
#include <optional>

#include "transport/conformance.hpp"

namespace nq::detail::conformance {

namespace {

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("a listener tells the port it was given") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        CHECK(scene.listener->location().port != 0);
        CHECK(scene.listener->location().host == candidate.location.host);
    }
}

TEST_CASE("two listeners do not share a location") {
    for (Candidate& candidate : candidates()) {
        if (candidate.through_broker) continue;
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const NetworkLocation location = scene.listener->location();
        std::array<Reactor*, 1> reactors{&scene.reactor};
        const auto second = candidate.transport->listen(
            reactors, location, [](auto) {}, [](auto, auto) {});
        REQUIRE_FALSE(second.has_value());
        CHECK(second.error().code == std::errc::address_in_use);
        CHECK(contains(second.error().text, "cannot listen on " + location.to_string()));
        CHECK(contains(second.error().text, "choose another port"));

        scene.listener.reset();
        const auto third = candidate.transport->listen(
            reactors, location, [](auto) {}, [](auto, auto) {});
        CHECK(third.has_value());
    }
}

TEST_CASE("dialling where nobody listens fails and says so") {
    for (Candidate& candidate : candidates()) {
        if (candidate.through_broker) continue;
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const NetworkLocation location = scene.listener->location();
        scene.listener.reset();
        const auto outcome = scene.dial(location);
        REQUIRE_FALSE(outcome.has_value());
        CHECK(outcome.error().code == Errc::connection_reset);
        CHECK(contains(outcome.error().text, "cannot connect to " + location.to_string()));
        CHECK(contains(outcome.error().text, "is a server running"));
    }
}

TEST_CASE("an abandoned dial is never heard of") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        bool told = false;
        auto dial = candidate.transport->dial(scene.reactor, scene.listener->location(),
                                              [&told](auto) { told = true; });
        dial.reset();
        scene.settle();
        CHECK_FALSE(told);
    }
}

TEST_CASE("a dial may be destroyed by its own handler") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const NetworkLocation location = scene.listener->location();
        for (const bool answered : {true, false}) {
            if (!answered && candidate.through_broker) continue;
            if (!answered) scene.listener.reset();
            std::unique_ptr<Dial> dial;
            std::optional<bool> connected;
            dial = candidate.transport->dial(scene.reactor, location, [&](auto outcome) {
                dial.reset();
                connected = outcome.has_value();
                if (outcome) (*outcome)->close();
            });
            scene.run_until([&] { return connected.has_value(); });
            CHECK(*connected == answered);
        }
    }
}

TEST_CASE("many connect at once") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        std::vector<std::unique_ptr<Dial>> dials;
        std::vector<std::shared_ptr<Talker>> clients;
        std::vector<std::shared_ptr<Talker>> servers;
        scene.on_accept = [&servers](auto connection) {
            servers.push_back(std::make_shared<Talker>(connection));
            servers.back()->start();
        };
        for (std::size_t i = 0; i < candidate.crowd; ++i) {
            auto done = [&](Result<std::shared_ptr<Connection>> opened) {
                REQUIRE(opened.has_value());
                clients.push_back(std::make_shared<Talker>(*opened));
                clients.back()->start();
                clients.back()->say("hello");
            };
            dials.push_back(candidate.transport->dial(scene.reactor, scene.listener->location(),
                                                      std::move(done)));
        }
        scene.run_until(
            [&] { return clients.size() == candidate.crowd && servers.size() == candidate.crowd; });
        for (const auto& server : servers) {
            scene.run_until([&] { return server->heard == "hello"; });
        }
        for (const auto& client : clients) client->connection().close();
        for (const auto& server : servers) {
            scene.run_until([&] { return server->over(); });
            server->connection().close();
        }
    }
}

TEST_CASE("a handler that comes late misses nothing") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect(false);
        client->start();
        client->say("early");
        scene.settle();
        CHECK(server->heard.empty());
        server->start();
        scene.run_until([&] { return server->heard == "early"; });
        client->say(" bird");
        scene.run_until([&] { return server->heard == "early bird"; });
    }
}

TEST_CASE("the other end sees a close") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        client->connection().close();
        scene.run_until([&] { return server->over(); });
        // Whoever sends to a closed end learns of it, once.
        for (int i = 0; i < 3; ++i) {
            server->say("anybody there?");
            scene.settle();
        }
        scene.run_until([&] { return server->lost > 0; });
        CHECK_FALSE(server->complaint.empty());
        scene.settle();
        CHECK(server->lost == 1);
    }
}

TEST_CASE("who closed is told nothing any more") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        server->say("unread");
        client->connection().close();
        client->connection().close();
        server->connection().close();
        const std::string heard = client->heard;
        scene.settle();
        CHECK(client->lost == 0);
        CHECK_FALSE(client->ended);
        CHECK(client->heard == heard);
        const std::array<Chunk, 1> chunks{Chunk("too late")};
        const auto sent = client->connection().send(chunks);
        REQUIRE_FALSE(sent.has_value());
        CHECK(sent.error().code == Errc::connection_aborted);
        std::array<std::byte, 8> room;
        const std::array<Connection::Target, 1> targets{Connection::Target(room)};
        const auto received = client->connection().receive(targets);
        REQUIRE_FALSE(received.has_value());
        CHECK(received.error().code == Errc::connection_aborted);
    }
}

TEST_CASE("a connection lets its handler go when it is closed") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        std::weak_ptr<Talker> kept;
        std::weak_ptr<Talker> dropped_with_reactor;
        {
            Scene scene(candidate);
            auto pair = scene.connect();
            kept = pair.client;
            dropped_with_reactor = pair.server;
            pair.client->connection().close();
            pair.client.reset();
            scene.settle();
            CHECK(kept.expired());
            pair.server->connection().close();  // and the task that tells is never run
        }
        CHECK(dropped_with_reactor.expired());
    }
}

TEST_CASE("connections and reactors know where they are") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        CHECK(&client->connection().reactor() == &scene.reactor);
        CHECK(&server->connection().reactor() == &scene.reactor);
        CHECK(client->connection().peer_name() == scene.listener->location().to_string());
        CHECK_FALSE(server->connection().peer_name().empty());
    }
}

}  // namespace nq::detail::conformance
