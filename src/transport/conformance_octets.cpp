// SPDX-License-Identifier: Apache-2.0
// The part of the conformance suite about octets: order, back-pressure, ends of streams.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "transport/conformance.hpp"

namespace nq::detail::conformance {

TEST_CASE("octets arrive in order, both ways, however they are cut") {
    for (Candidate& candidate : candidates()) {
        Scene scene(candidate);
        const auto seed = static_cast<std::uint32_t>(std::random_device{}());
        for (std::uint32_t round = 0; round < 4; ++round) {
            CAPTURE(candidate.name);
            CAPTURE(seed + round);
            std::mt19937 random(seed + round);
            const auto [client, server] = scene.connect(false);
            for (const auto& talker : {client, server}) talker->be_choppy(1 + random() % 20'000);
            client->start();
            server->start();
            const std::size_t size_max = std::min(candidate.large, std::size_t{300'000});
            const std::string question = pattern(random() % size_max, seed);
            const std::string answer = pattern(random() % size_max, seed + 1);
            client->say(Chunk::copy_of(question));
            server->say(Chunk::copy_of(answer));
            scene.run_until([&] {
                return server->heard.size() >= question.size() &&
                       client->heard.size() >= answer.size();
            });
            CHECK((server->heard == question));
            CHECK((client->heard == answer));
            scene.run_until([&] { return client->released == question.size(); });
            CHECK(client->taken == question.size());
            CHECK_FALSE(client->over());
            CHECK_FALSE(server->over());
        }
    }
}

TEST_CASE("who does not read stops the sender, and lets it go on by reading") {
    for (Candidate& candidate : candidates()) {
        if (candidate.through_broker) continue;
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        server->listen(false);
        // More than any system buffers for one connection, said again and again.
        constexpr std::size_t k_times = 64;
        const std::string text = pattern(std::min(candidate.large, std::size_t{1} << 20));
        const Chunk chunk = Chunk::copy_of(text);
        for (std::size_t i = 0; i < k_times; ++i) client->say(chunk);
        scene.settle();
        const std::size_t taken = client->taken;
        CHECK(taken > 0);
        CHECK(taken < k_times * text.size());
        const int writable = client->writable;
        scene.settle();
        // A transport with threads of its own may take a little more; nobody is told for nothing.
        CHECK(client->taken < k_times * text.size());
        if (client->taken == taken) CHECK(client->writable == writable);

        server->listen(true);
        scene.run_until(
            [&] { return server->heard.size() >= text.size() && client->writable > writable; });
        CHECK((server->heard.substr(0, text.size()) == text));
        CHECK(client->lost == 0);
    }
}

TEST_CASE("a finished stream ends after everything sent, and the other direction goes on") {
    for (Candidate& candidate : candidates()) {
        if (candidate.through_broker) continue;
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        const std::string text = pattern(std::min(candidate.large, std::size_t{100'000}));
        client->say(Chunk::copy_of(text));
        client->finish();
        scene.run_until([&] { return server->ended; });
        CHECK((server->heard == text));
        CHECK(server->complaint == "end of stream");
        CHECK_FALSE(client->over());

        server->say(Chunk::copy_of(text));
        server->finish();
        scene.run_until([&] { return client->ended; });
        CHECK((client->heard == text));
        CHECK(client->complaint == "end of stream");
        scene.settle();
        CHECK(client->lost == 0);
        CHECK(server->lost == 0);
    }
}

TEST_CASE("the end of a stream is told even if it came together with the last octets") {
    for (Candidate& candidate : candidates()) {
        if (candidate.through_broker) continue;
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect(false);
        client->start();
        client->say("last words");
        client->finish();
        scene.settle();
        server->start();  // both are there already, and no further edge will come
        scene.run_until([&] { return server->ended; });
        CHECK(server->heard == "last words");
        CHECK(server->complaint == "end of stream");
    }
}

TEST_CASE("the end of a stream is told every time one asks") {
    for (Candidate& candidate : candidates()) {
        if (candidate.through_broker) continue;
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        client->finish();
        scene.run_until([&] { return server->ended; });
        std::array<std::byte, 8> room;
        const std::array<Connection::Target, 1> targets{Connection::Target(room)};
        for (int i = 0; i < 3; ++i) {
            const auto received = server->connection().receive(targets);
            REQUIRE_FALSE(received.has_value());
            CHECK(received.error().code == Errc::connection_reset);
            CHECK(received.error().text == "end of stream");
        }
    }
}

TEST_CASE("what the peer sent before it closed can be received") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        server->listen(false);
        const std::string text = pattern(20'000);
        client->say(Chunk::copy_of(text));
        scene.settle();
        const std::size_t taken = client->taken;
        client->connection().close();
        scene.settle();
        server->listen(true);
        scene.run_until([&] { return server->over(); });
        CHECK(taken > 0);
        CHECK((server->heard == text.substr(0, taken)));
    }
}

TEST_CASE("views of no octets are harmless") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        CHECK(client->connection().send({}).value().taken == 0);
        const std::array<Chunk, 2> nothing{};
        CHECK(client->connection().send(nothing).value().taken == 0);
        const std::array<Chunk, 4> some{Chunk(), Chunk("a"), Chunk(), Chunk("b")};
        CHECK(client->connection().send(some).value().taken == 2);
        scene.run_until([&] { return server->heard.size() == 2; });
        CHECK(server->heard == "ab");
    }
}

TEST_CASE("a list of views longer than any call takes goes through whole") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        const std::string text = pattern(5'000);
        const Chunk whole = Chunk::copy_of(text);
        std::vector<Chunk> chunks;
        for (std::size_t i = 0; i < text.size(); ++i) chunks.push_back(whole.slice(i, 1));
        const auto sent = client->connection().send(chunks);
        REQUIRE(sent.has_value());
        // All of it, or what there was room for: never less because of the number of views.
        scene.run_until([&] { return server->heard.size() == sent->taken; });
        CHECK((server->heard == text.substr(0, sent->taken)));
        CHECK(sent->taken > 0);

        std::vector<std::byte> room(text.size());
        std::vector<Connection::Target> targets;
        for (std::byte& octet : room) targets.emplace_back(&octet, 1);
        client->listen(false);
        server->say(Chunk::copy_of(text));
        std::size_t filled = 0;
        scene.run_until([&] {
            const auto rest = std::span(targets).subspan(filled);
            const auto received = client->connection().receive(rest);
            REQUIRE(received.has_value());
            filled += *received;
            return filled == text.size();
        });
        CHECK(std::equal(room.begin(), room.end(), whole.data()));
    }
}

TEST_CASE("much goes through") {
    for (Candidate& candidate : candidates()) {
        CAPTURE(candidate.name);
        Scene scene(candidate);
        const auto [client, server] = scene.connect();
        const std::string text = pattern(candidate.large);
        client->say(Chunk::copy_of(text));
        client->finish();
        const bool through_broker = candidate.through_broker;
        scene.run_until([&] {
            return server->ended || (through_broker && server->heard.size() >= text.size());
        });
        CHECK((server->heard == text));
        scene.run_until([&] { return client->released == text.size(); });
    }
}

}  // namespace nq::detail::conformance
