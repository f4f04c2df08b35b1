// SPDX-License-Identifier: Apache-2.0
#include "transport/memory/memory_transport.hpp"

#include <doctest/doctest.h>

#include <array>

#include "transport/conformance.hpp"

namespace nq::detail::conformance {

namespace {

Candidate candidate_with(std::string name, const MemoryOptions& options, std::size_t large) {
    auto transport = make_memory_transport(MemoryNetwork::create(options));
    return {std::move(name), std::move(transport), NetworkLocation{"memory", 0}, large};
}

struct Network {
    explicit Network(const MemoryOptions& options = {}) : network(MemoryNetwork::create(options)) {}
    std::shared_ptr<MemoryNetwork> network;
    Candidate candidate{"memory", make_memory_transport(network), NetworkLocation{"memory", 0}};
    Scene scene{candidate};
};

}  // namespace

std::vector<Candidate> candidates() {
    std::vector<Candidate> all;
    all.push_back(candidate_with("memory", {}, k_large));
    all.push_back(candidate_with("memory, released late", {.release_late = true}, k_large));
    all.push_back(candidate_with("memory, 7 octets in flight",
                                 {.capacity = 7, .release_late = true}, std::size_t{8} << 10));
    all.push_back(
        candidate_with("memory, an octet at a time", {.receive_max = 1}, std::size_t{8} << 10));
    return all;
}

TEST_CASE("memory: sends are recorded with their chunks") {
    Network test({.record_writes = true});
    const auto [client, server] = test.scene.connect();
    const std::array<Chunk, 2> chunks{Chunk("ab"), Chunk("c")};
    REQUIRE(client->connection().send(chunks).has_value());
    server->say("d");
    const std::vector<MemoryWrite> expected{{true, 2, 3}, {false, 1, 1}};
    CHECK((test.network->take_writes() == expected));
    CHECK(test.network->take_writes().empty());
}

TEST_CASE("memory: octets taken late are the sender's own memory") {
    Network test({.release_late = true});
    const auto [client, server] = test.scene.connect();
    server->listen(false);
    bool released = false;
    const std::string text = "mine";
    client->say(Chunk::borrow(std::as_bytes(std::span(text)), [&released] { released = true; }));
    CHECK(client->taken == 4);
    CHECK(client->released == 0);
    CHECK_FALSE(released);
    server->listen(true);
    test.scene.run_until([&, talker = client] { return talker->released == 4; });
    CHECK(released);
}

TEST_CASE("memory: connections lost together take what was in flight with them") {
    Network test;
    const auto [client, server] = test.scene.connect();
    server->listen(false);
    client->say("on its way");
    test.network->lose_connections();
    const auto both_lost = [a = client, b = server] { return a->lost == 1 && b->lost == 1; };
    test.scene.run_until(both_lost);
    server->listen(true);
    CHECK(server->heard.empty());
    CHECK(server->complaint == "lost the connection with memory client");
}

TEST_CASE("memory: a connection is lost at an exact octet") {
    Network test({.lose_after = 5});
    const auto [client, server] = test.scene.connect();
    client->say("cut off");
    test.scene.run_until([a = client, b = server] { return a->lost == 1 && b->lost == 1; });
    CHECK(client->taken == 5);
    CHECK(server->heard == "cut o");
}

}  // namespace nq::detail::conformance
