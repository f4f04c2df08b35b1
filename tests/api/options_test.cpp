// SPDX-License-Identifier: Apache-2.0
// WIRE.md, Options: those about messages, their memory, and what waits unread.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "network.hpp"

namespace nq::api {

namespace {

constexpr std::size_t KiB = 1024;
constexpr std::size_t MiB = 1024 * KiB;

/// So many chunks of so many octets each, of one run of memory.
Stream chunked(const std::string& text, std::size_t size) {
    Stream stream;
    const Chunk whole = Chunk::borrow(std::as_bytes(std::span(text)));
    for (std::size_t at = 0; at < text.size(); at += size) {
        stream.write_chunk(whole.slice(at, std::min(size, text.size() - at)));
    }
    return stream;
}

/// The client's writes once its messages are done.
struct Sent {
    std::size_t writes = 0;
    std::size_t chunks = 0;
    std::size_t largest_write = 0;
    std::size_t octets = 0;
    std::size_t own = 0;  ///< octets offered from the user's memory as they were
};

Sent look_at(Tap& tap, const std::string& memory) {
    Sent sent;
    for (const Write& write : tap.take_writes()) {
        if (!write.by_client) continue;
        ++sent.writes;
        sent.chunks += write.chunks.size();
        sent.octets += write.taken;
        std::size_t offered = 0;
        for (const auto& octets : write.chunks) {
            offered += octets.size();
            const auto* const begin = reinterpret_cast<const char*>(octets.data());
            if (begin >= memory.data() && begin < memory.data() + memory.size()) {
                sent.own += octets.size();
            }
        }
        sent.largest_write = std::max(sent.largest_write, offered);
    }
    return sent;
}

Sent send_one(Network& network, const ConnectionOptions& options, const std::string& memory,
              std::size_t chunk_size) {
    Tap& tap = network.tap();
    auto server = network.server<StreamSerializer>();
    auto client = network.client<StreamSerializer>({.connection = options});
    REQUIRE(meet(server, client));
    (void)tap.take_writes();
    CHECK(done(client.put(chunked(memory, chunk_size))));
    CHECK((hear(server) == Stream::from_bytes(std::as_bytes(std::span(memory)))));
    return look_at(tap, memory);
}

/// A server that keeps little, and a client that has much to say.
struct Flood {
    Flood(Network& network, const ConnectionOptions& options)
        : server(network.server({.connection = options, .log = diary.log()})),
          client(network.client()) {
        REQUIRE(meet(server, client));
    }
    [[nodiscard]] PeerStats stats() const {
        return stats_of(server, client.id()).value_or(PeerStats());
    }
    /// Messages of which it is known what became of them: unread or dropped.
    [[nodiscard]] std::uint64_t settled() const {
        const PeerStats now = stats();
        return now.unread_messages + now.dropped_messages;
    }
    [[nodiscard]] bool unread(std::uint64_t messages) const {
        return eventually([this, messages] { return stats().unread_messages == messages; });
    }

    Diary diary;
    TextQueue server;
    TextQueue client;
};

}  // namespace

ON_EVERY_TRANSPORT("get_merge on: each message reaches load as one contiguous block") {
    auto server = network.server<StreamSerializer>();
    auto client = network.client();
    for (const std::size_t size : {std::size_t{1}, 100 * KiB, 8 * MiB}) {
        const std::string text = pattern(size);
        client.put(text);
        const Stream heard = hear(server);
        CHECK(heard.chunk_count() == 1);
        CHECK(heard.to_chunk().text() == text);
    }
}

ON_EVERY_TRANSPORT("get_merge off: chunks reach load as they came") {
    auto server = network.server<StreamSerializer>({.connection = {.get_merge = false}});
    auto client = network.client();
    const std::string text = pattern(8 * MiB);
    client.put(text);
    client.put("short");
    const Stream heard = hear(server);
    CHECK(heard.chunk_count() > 1);
    CHECK((heard.to_chunk().text() == text));
    CHECK(hear(server).to_chunk().text() == "short");
}

ON_EVERY_TRANSPORT("put_merge on: small chunks are coalesced into one block, with their header") {
    const std::string memory = pattern(1000);
    const Sent sent = send_one(network, {}, memory, 10);
    CHECK(sent.writes == 1);
    CHECK(sent.chunks == 1);
    CHECK(sent.octets == 8 + 1000);
    CHECK(sent.own == 0);
}

ON_EVERY_TRANSPORT("put_merge on: many small messages put together go out in few writes") {
    Tap& tap = network.tap();
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    tap.allow(Tap::Side::client, 0);
    Future last;
    for (int i = 0; i < 1000; ++i) last = client.put("0123456789");
    REQUIRE(eventually([&] { return client.stats().peers.at(0).queued_messages == 1000; }));
    (void)tap.take_writes();
    tap.allow(Tap::Side::client, Tap::k_unlimited);
    for (int i = 0; i < 1000; ++i) REQUIRE(hear(server) == "0123456789");
    CHECK(done(last));  // what was heard may not have been noted yet
    const Sent sent = look_at(tap, "");
    CHECK(sent.octets == 18'000);
    CHECK(sent.writes <= 4);
    CHECK(sent.chunks <= 4);
}

ON_EVERY_TRANSPORT("put_merge off: each chunk is sent where it is") {
    const std::string memory = pattern(1000);
    const Sent sent = send_one(network, {.put_merge = false}, memory, 50);
    CHECK(sent.own == 1000);
    CHECK(sent.chunks == 1 + 20);
}

ON_EVERY_TRANSPORT("efficient_size: chunks at least this long are sent as they are") {
    const std::string memory = pattern(256);
    const Sent longer = send_one(network, {.efficient_size = 128}, memory, 128);
    CHECK(longer.own == 256);
    CHECK(longer.chunks == 1 + 2);
    const Sent shorter = send_one(network, {.efficient_size = 129}, memory, 128);
    CHECK(shorter.own == 0);
    CHECK(shorter.chunks == 1);
}

ON_EVERY_TRANSPORT("efficient_size: by default 64 KiB") {
    const std::string memory = pattern(64 * KiB);
    CHECK(send_one(network, {}, memory, 64 * KiB).own >= 64 * KiB);
    CHECK(send_one(network, {}, memory, 64 * KiB - 1).own == 0);
}

ON_EVERY_TRANSPORT("transport_size: no larger unit is handed to the transport") {
    const std::string memory = pattern(1 * MiB);
    const Sent small = send_one(network, {.transport_size = 1000}, memory, 1 * MiB);
    CHECK(small.largest_write <= 1000);
    CHECK(small.octets == 8 + 1 * MiB);
    const Sent large = send_one(network, {}, memory, 1 * MiB);
    CHECK(large.largest_write > 64 * KiB);
    CHECK(large.largest_write <= 4 * MiB);
}

ON_EVERY_TRANSPORT_BUT_MQTT(
    "queue_size and on_full block: no more is read than is held, and nothing is lost",
    "block is drop_newest there") {
    Flood flood(network, {.queue_size = 4});
    for (int i = 0; i < 100; ++i) flood.client.put(std::to_string(i));
    CHECK(flood.unread(4));
    for (int i = 0; i < 100; ++i) {
        CHECK(hear(flood.server) == std::to_string(i));
        CHECK(flood.stats().unread_messages <= 4);
    }
    CHECK(flood.stats().dropped_messages == 0);
}

ON_EVERY_TRANSPORT_BUT_MQTT("receive_bytes and on_full block: its puts stay queued on its side",
                            "block is drop_newest there") {
    Flood flood(network, {.receive_bytes = 64 * KiB});
    const std::string piece = pattern(16 * KiB);
    constexpr int k_pieces = 1024;
    for (int i = 0; i < k_pieces; ++i) flood.client.put(piece);
    const Future last = flood.client.put("the end");
    CHECK(flood.unread(4));
    CHECK(flood.stats().unread_bytes == 64 * KiB);
    CHECK_FALSE(last.ready());
    CHECK(flood.client.stats().peers.at(0).queued_messages > 0);
    for (int i = 0; i < k_pieces; ++i) REQUIRE((hear(flood.server) == piece));
    CHECK(hear(flood.server) == "the end");
    CHECK(done(last));
}

ON_EVERY_TRANSPORT_BUT_MQTT("receive_bytes: one slow peer does not hold up the others",
                            "block is drop_newest there") {
    Flood flood(network, {.receive_bytes = 1 * KiB});
    auto other = network.client();
    for (int i = 0; i < 100; ++i) flood.client.put(pattern(1 * KiB));
    REQUIRE(flood.unread(1));
    other.put("may I?");
    CHECK(flood.server.get(other.id()).data == "may I?");
    for (int i = 0; i < 100; ++i) (void)flood.server.get(flood.client.id());
}

ON_EVERY_TRANSPORT_BUT_MQTT("receive_bytes: the message being received does not count",
                            "block is drop_newest there") {
    Flood flood(network, {.receive_bytes = 1 * KiB});
    const std::string large = pattern(2 * MiB);
    flood.client.put(large);
    flood.client.put(large);
    CHECK(flood.unread(1));
    CHECK((hear(flood.server) == large));
    CHECK((hear(flood.server) == large));
}

ON_EVERY_TRANSPORT_BUT_MQTT("receive_bytes: close lifts it, and all that was sent stays readable",
                            "block is drop_newest there") {
    Flood flood(network, {.receive_bytes = 1 * KiB});
    for (int i = 0; i < 200; ++i) flood.client.put(pattern(1 * KiB, static_cast<unsigned>(i)));
    REQUIRE(flood.unread(1));
    std::jthread leaving([&flood] { flood.client.close(); });
    flood.server.close();
    leaving.join();
    for (int i = 0; i < 200; ++i) {
        REQUIRE((hear(flood.server) == pattern(1 * KiB, static_cast<unsigned>(i))));
    }
    CHECK_THROWS_AS((void)flood.server.get(), ConnectionAborted);
}

ON_EVERY_TRANSPORT("on_full drop_newest: the message that just arrived is dropped and counted") {
    Flood flood(network, {.queue_size = 3, .on_full = OnFull::drop_newest});
    for (int i = 0; i < 10; ++i) flood.client.put(std::to_string(i));
    REQUIRE(eventually([&] { return flood.settled() == 10; }));
    CHECK(flood.stats().dropped_messages == 7);
    CHECK(flood.diary.tells("newest message was dropped", 7));
    for (int i = 0; i < 3; ++i) CHECK(hear(flood.server) == std::to_string(i));
    flood.client.put("after");
    CHECK(hear(flood.server) == "after");
}

ON_EVERY_TRANSPORT("on_full drop_oldest: unread ones are dropped, oldest first, and counted") {
    Flood flood(network, {.queue_size = 3, .on_full = OnFull::drop_oldest});
    for (int i = 0; i < 10; ++i) flood.client.put(std::to_string(i));
    REQUIRE(eventually([&] { return flood.settled() == 10; }));
    CHECK(flood.diary.tells("oldest message was dropped", 7));
    CHECK(flood.stats().dropped_messages == 7);
    for (int i = 7; i < 10; ++i) CHECK(hear(flood.server) == std::to_string(i));
    flood.client.put("after");
    CHECK(hear(flood.server) == "after");
}

ON_EVERY_TRANSPORT("on_full drop_oldest: octets count as well as messages") {
    Flood flood(network, {.on_full = OnFull::drop_oldest, .receive_bytes = 1000});
    for (int i = 0; i < 10; ++i) flood.client.put(std::string(400, static_cast<char>('0' + i)));
    REQUIRE(eventually([&] { return flood.settled() == 10; }));
    CHECK(flood.diary.tells("oldest message was dropped", 7));
    CHECK(flood.stats().unread_bytes <= 1200);
    const std::string last = hear(flood.server);
    CHECK(last.front() >= '7');
}

ON_EVERY_TRANSPORT("on_full drop_oldest: a large message takes the room of many small ones") {
    Flood flood(network, {.on_full = OnFull::drop_oldest, .receive_bytes = 1000});
    for (int i = 0; i < 100; ++i) flood.client.put("0123456789");
    for (int i = 0; i < 100; ++i) flood.client.put(std::string(500, 'x'));
    REQUIRE(eventually([&] { return flood.settled() == 200; }));
    CHECK(flood.stats().unread_bytes < 1000 + 500);
    CHECK((hear(flood.server) == std::string(500, 'x')));
}

ON_EVERY_TRANSPORT(
    "message_size and on_oversize split: delivered in pieces, the last one shorter") {
    auto server = network.server({.connection = {.message_size = 1000}});
    auto client = network.client();
    const std::string long_one = pattern(2500);
    const std::string exact = pattern(1000, 2);
    client.put(long_one);
    client.put(exact);
    client.put("short");
    CHECK((hear(server) == long_one.substr(0, 1000)));
    CHECK((hear(server) == long_one.substr(1000, 1000)));
    CHECK((hear(server) == long_one.substr(2000)));
    CHECK((hear(server) == exact));
    CHECK(hear(server) == "short");
}

ON_EVERY_TRANSPORT("on_oversize split: pieces are never read as ini or fin") {
    auto server = network.server({.connection = {.message_size = 16}});
    auto client = network.client();
    const auto octets = client.id().octets();
    const std::string own(reinterpret_cast<const char*>(octets.data()), octets.size());
    client.put(own + own + own);
    client.put("still here");
    for (int i = 0; i < 3; ++i) CHECK((hear(server) == own));
    CHECK(hear(server) == "still here");
}

ON_EVERY_TRANSPORT("on_oversize refuse: not delivered, counted and told; the session goes on") {
    Flood flood(network, {.message_size = 1000, .on_oversize = OnOversize::refuse});
    flood.client.put(pattern(1000));
    flood.client.put(pattern(1001));
    flood.client.put(pattern(3 * MiB));
    flood.client.put("fits");
    CHECK((hear(flood.server) == pattern(1000)));
    CHECK(hear(flood.server) == "fits");
    CHECK(flood.stats().dropped_messages == 2);
    CHECK(flood.diary.tells("was refused: message_size is 1000", 2));
}

TEST_CASE("serialization: load and dump may be the user's own") {
    struct Number {
        using value_type = int;
        [[nodiscard]] Stream dump(const int& value) const { return Chunk(std::to_string(value)); }
        [[nodiscard]] int load(Stream stream) const {
            return std::stoi(std::string(stream.to_chunk().text()));
        }
    };
    static_assert(Serializer<Number>);
    for (const Wire wire : {Wire::memory, Wire::tcp}) {
        Network network(wire);
        auto server = network.server<Number>();
        auto client = network.client<Number>();
        client.put(41);
        const auto message = server.get();
        server.put(message.data + 1, message.peer);
        CHECK(client.get().data == 42);
    }
}

ON_EVERY_TRANSPORT("stats: per peer what is queued, unread, sent, received and in what state") {
    Tap& tap = network.tap();
    auto server = network.server();
    auto client = network.client();
    REQUIRE(meet(server, client));
    CHECK(done(client.put("12345")));
    REQUIRE(eventually([&] { return stats_of(server, client.id())->unread_messages == 1; }));
    const PeerStats there = *stats_of(server, client.id());
    CHECK((there.state == PeerStats::State::open));
    CHECK(there.unread_bytes == 5);
    CHECK(there.received_messages == 1);
    CHECK(there.received_bytes == 5);
    const PeerStats here = *stats_of(client, server.id());
    CHECK(here.sent_messages == 1);
    CHECK(here.queued_messages == 0);
    CHECK(here.queued_bytes == 0);
    tap.allow(Tap::Side::client, 0);
    client.put("1234567");
    CHECK(stats_of(client, server.id())->queued_messages == 1);
    CHECK(stats_of(client, server.id())->queued_bytes == 7);
    tap.allow(Tap::Side::client, Tap::k_unlimited);
    CHECK(hear(server) == "12345");
    CHECK(hear(server) == "1234567");
    CHECK(stats_of(server, client.id())->unread_messages == 0);
    CHECK(eventually([&] { return stats_of(client, server.id())->queued_bytes == 0; }));
}

}  // namespace nq::api
