// SPDX-License-Identifier: Apache-2.0
// docs/guarantees.md, put.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <vector>

#include "network.hpp"

namespace nq::api {

namespace {

/// Counts, and refuses the text "bad".
struct CountingSerializer {
    using value_type = std::string;
    std::shared_ptr<std::atomic<int>> dumps = std::make_shared<std::atomic<int>>(0);
    [[nodiscard]] Stream dump(const std::string& text) const {
        if (text == "bad") throw std::domain_error("what is bad can't be dumped");
        ++*dumps;
        return Chunk::copy_of(text);
    }
    [[nodiscard]] std::string load(Stream stream) const {
        return std::string(stream.to_chunk().text());
    }
};

/// Counts for its user how often the memory was given back.
struct Lent {
    explicit Lent(std::size_t size) : text(pattern(size)) {}
    [[nodiscard]] Chunk lend() {
        return Chunk::borrow(std::as_bytes(std::span(text)), [count = returned] { ++*count; });
    }
    std::string text;
    std::shared_ptr<std::atomic<int>> returned = std::make_shared<std::atomic<int>>(0);
};

}  // namespace

ON_EVERY_TRANSPORT("put: without peers a client's goes to its server") {
    auto server = network.server();
    auto client = network.client();
    const Future future = client.put("to you");
    const auto message = server.get();
    CHECK(message.data == "to you");
    CHECK((message.peer == client.id()));
    CHECK(done(future));
    REQUIRE(meet(server, client));  // it may be sent before the server has said who it is
    CHECK((future.peers() == std::vector{server.id()}));
}

ON_EVERY_TRANSPORT("put: without peers a server's goes to every identified client") {
    auto server = network.server();
    auto one = network.client();
    auto other = network.client();
    REQUIRE(meet(server, one));
    REQUIRE(meet(server, other));
    const Future future = server.put("to all");
    CHECK(hear(one) == "to all");
    CHECK(hear(other) == "to all");
    CHECK(done(future));
    CHECK(future.peers().size() == 2);
}

ON_EVERY_TRANSPORT("put: without peers, lost clients within their expiry are included") {
    Tap& tap = network.tap();
    auto server = network.server();
    const Uuid id = Uuid::random();
    {
        auto client = network.client({.id = id});
        REQUIRE(meet(server, client));
        tap.lose_connections();
        REQUIRE(eventually([&server, &id] { return is_lost(server, id); }));
    }
    const Future future = server.put("when you are back");
    CHECK((future.peers() == std::vector{id}));
    CHECK_FALSE(future.ready());
    auto back = network.client({.id = id});
    CHECK(hear(back) == "when you are back");
    CHECK(done(future));
}

ON_EVERY_TRANSPORT("put: to nobody is done at once") {
    auto server = network.server();
    const Future future = server.put("is there anybody?");
    CHECK(future.ready());
    CHECK(done(future));
    CHECK(future.futures().empty());
}

ON_EVERY_TRANSPORT("put: to the peers named and nobody else, as arguments or as a span") {
    auto server = network.server();
    auto one = network.client();
    auto two = network.client();
    auto three = network.client();
    for (const TextQueue* client : {&one, &two, &three}) REQUIRE(meet(server, *client));
    server.put("one, two", one.id(), two.id());
    const std::vector<Uuid> others{two.id(), three.id()};
    server.put("two, three", std::span<const Uuid>(others));
    server.put("the end");
    CHECK(hear(one) == "one, two");
    CHECK(hear(one) == "the end");
    CHECK(hear(two) == "one, two");
    CHECK(hear(two) == "two, three");
    CHECK(hear(two) == "the end");
    CHECK(hear(three) == "two, three");
    CHECK(hear(three) == "the end");
}

ON_EVERY_TRANSPORT_BUT_MQTT("put: a client's to its server by name, known or not known yet",
                            "a client must come after the server has subscribed") {
    const Uuid alice = Uuid::random();
    network.leave_empty();
    auto client = network.client();
    const Future early = client.put("before I know you", alice);
    auto server = network.server_at_its_place({.id = alice, .netloc = network.location});
    CHECK(hear(server) == "before I know you");
    const Future late = client.put("now that I know you", alice);
    CHECK(hear(server) == "now that I know you");
    CHECK(done(early));
    CHECK(done(late));
    client.close();
}

ON_EVERY_TRANSPORT_BUT_MQTT("put: a client's to somebody else fails in the future, and is not sent",
                            "a client must come after the server has subscribed") {
    const Uuid stranger = Uuid::random();
    network.leave_empty();
    auto client = network.client();
    const Future early = client.put("for a stranger", stranger);
    const Future first = client.put("for you");
    auto server = network.server_at_its_place({.netloc = network.location});
    CHECK(hear(server) == "for you");
    CHECK((failure_of(early) == Errc::unknown_peer));
    const Future late = client.put("for a stranger again", stranger);
    CHECK((failure_of(late) == Errc::unknown_peer));
    CHECK((late.peers() == std::vector{stranger}));
    CHECK(done(first));
    client.put("for you again");
    CHECK(hear(server) == "for you again");
    client.close();
}

TEST_CASE("put: to somebody else, just when the server becomes known, fails all the same") {
    Network network(Wire::memory);
    auto server = network.server();
    for (int round = 0; round < 100; ++round) {
        auto client = network.client();
        std::vector<Future> futures;
        while (client.peers().empty()) futures.push_back(client.put("not for you", Uuid::random()));
        for (const Future& future : futures) REQUIRE((failure_of(future) == Errc::unknown_peer));
    }
}

ON_EVERY_TRANSPORT("put: an unknown peer arrives in the future") {
    auto server = network.server();
    const Uuid nobody = Uuid::random();
    const Future future = server.put("hello?", nobody);
    REQUIRE((failure_of(future) == Errc::unknown_peer));
    try {
        future.get();
        FAIL_CHECK("get returned");
    } catch (const ConnectionError& error) {
        CHECK((error.peer() == nobody));
    }
}

ON_EVERY_TRANSPORT("bad use: put after close arrives in the future, every time, nothing is sent") {
    auto server = network.server();
    auto client = network.client();
    client.put("last");
    client.close();
    for (int i = 0; i < 3; ++i) {
        const Future future = client.put("too late");
        CHECK((failure_of(future) == Errc::connection_aborted));
        CHECK_THROWS_AS(future.get(), ConnectionAborted);
    }
    CHECK(hear(server) == "last");
    CHECK(eventually([&server] { return server.peers().empty(); }));
    CHECK((server.try_get().error().code == Errc::would_block));
}

ON_EVERY_TRANSPORT("put: one dump however many peers") {
    const CountingSerializer serializer;
    auto server = network.server<CountingSerializer>({}, serializer);
    auto one = network.client();
    auto two = network.client();
    auto three = network.client();
    for (const TextQueue* client : {&one, &two, &three}) REQUIRE(meet(server, *client));
    server.put("the same for all");
    for (TextQueue* client : {&one, &two, &three}) CHECK(hear(*client) == "the same for all");
    CHECK(*serializer.dumps == 1);
}

ON_EVERY_TRANSPORT("bad use: an object that can't be dumped throws at the put, nothing is sent") {
    auto server = network.server();
    auto client = network.client<CountingSerializer>();
    CHECK_THROWS_AS(client.put("bad"), std::domain_error);
    client.put("good");
    CHECK(hear(server) == "good");
    CHECK(stats_of(server, client.id())->received_messages == 1);
}

ON_EVERY_TRANSPORT("put: a message that would be read as fin fails with ProtocolError, unsent") {
    auto server = network.server();
    auto client = network.client();
    const auto octets = client.id().octets();
    const std::string own(reinterpret_cast<const char*>(octets.data()), octets.size());
    CHECK_THROWS_AS(client.put(own).get(), ProtocolError);
    const std::string other(16, 'x');
    client.put(other);
    CHECK(hear(server) == other);
    // Only the sender's own UUID is the sender's fin.
    REQUIRE(meet(server, client));
    server.put(own);
    CHECK(hear(client) == own);
}

ON_EVERY_TRANSPORT("put: never blocks, however little the peer takes") {
    Tap& tap = network.tap();
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    tap.allow(Tap::Side::client, 0);
    const std::string piece = pattern(std::size_t{64} << 10);
    for (int i = 0; i < 1000; ++i) client.put(piece);
    const Future last = client.put("that was all");
    CHECK_FALSE(last.ready());
    CHECK(stats_of(client, server.id())->queued_messages == 1001);
    tap.allow(Tap::Side::client, Tap::k_unlimited);
    for (int i = 0; i < 1000; ++i) REQUIRE((hear(server) == piece));
    CHECK(hear(server) == "that was all");
    CHECK(done(last));
}

ON_EVERY_TRANSPORT("put: first in, first out, per peer") {
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    for (int i = 0; i < 2000; ++i) {
        client.put(std::to_string(i));
        server.put(std::to_string(-i), client.id());
    }
    for (int i = 0; i < 2000; ++i) {
        REQUIRE(hear(server) == std::to_string(i));
        REQUIRE(hear(client) == std::to_string(-i));
    }
}

ON_EVERY_TRANSPORT("messages of every awkward size arrive intact, both ways") {
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    constexpr std::size_t k_block = std::size_t{64} << 10;
    const std::array<std::size_t, 12> sizes{
        0, 1, 15, 16, 17, 4096, k_block - 1, k_block, k_block + 1, 5 << 20, 1, (9 << 20) + 13};
    for (const std::size_t size : sizes) {
        client.put(pattern(size, 1));
        server.put(pattern(size, 2));
    }
    for (const std::size_t size : sizes) {
        CAPTURE(size);
        CHECK((hear(server) == pattern(size, 1)));
        CHECK((hear(client) == pattern(size, 2)));
    }
}

ON_EVERY_TRANSPORT("put: done means that the memory may be reused; it is given back once") {
    auto server = network.server<BytesSerializer>();
    auto client = network.client<BytesSerializer>();
    Lent large(std::size_t{1} << 20);
    Lent small(100);
    const Future future = client.put(large.lend());
    CHECK(done(client.put(small.lend())));
    CHECK(done(future));
    CHECK(hear(server).text() == large.text);
    CHECK(hear(server).text() == small.text);
    CHECK(eventually([&] { return *large.returned == 1 && *small.returned == 1; }));
    client.close();
    CHECK(*large.returned == 1);
    CHECK(*small.returned == 1);
}

ON_EVERY_TRANSPORT("put: a broadcast shares its memory, given back after the last peer") {
    auto server = network.server<BytesSerializer>();
    auto one = network.client<BytesSerializer>();
    auto other = network.client<BytesSerializer>();
    REQUIRE(meet(server, one));
    REQUIRE(meet(server, other));
    Lent memory(std::size_t{1} << 20);
    const Future future = server.put(memory.lend());
    CHECK(hear(one).text() == memory.text);
    CHECK(hear(other).text() == memory.text);
    CHECK(done(future));
    CHECK(eventually([&memory] { return *memory.returned == 1; }));
}

// The thread that puts keeps the sending side between two puts, and has to hear from the reactor
// that its stream stalls: see Peer::look_after_stream.
TEST_CASE("put: small messages that trickle don't wait until they are many") {
    Network network(Wire::tcp);
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    std::vector<int> waits;
    while (waits.size() < 21) {
        constexpr int k_stream = 300;
        for (int i = 0; i < k_stream; ++i) client.put("stream");
        int heard = 0;
        int trickle = 0;
        while (heard <= k_stream) {
            client.put("trickle");
            ++trickle;
            const auto next = std::chrono::steady_clock::now() + std::chrono::microseconds(30);
            while (std::chrono::steady_clock::now() < next) {
                if (server.try_get()) ++heard;
            }
        }
        for (; heard < k_stream + trickle; ++heard) REQUIRE(hear(server) == "trickle");
        waits.push_back(trickle);
    }
    std::ranges::sort(waits);
    MESSAGE("until the first came: " << waits[waits.size() / 2] << " puts, at most "
                                     << waits.back());
    CHECK(waits[waits.size() / 2] < 300);  // the bound is 1,024 that wait
}

}  // namespace nq::api
