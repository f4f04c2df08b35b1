// SPDX-License-Identifier: Apache-2.0
// WIRE.md, Framing and Session, octet by octet: one side is ours, the other a bare socket. TCP.
#include <doctest/doctest.h>

#include <thread>

#include "communicator/core.hpp"
#include "network.hpp"
#include "raw_peer.hpp"
#include "testing/octets.hpp"
#include "transport/tcp/tcp_transport.hpp"

namespace nq::api {

namespace {

using nq::testing::frame;
using nq::testing::header;
using nq::testing::identity;
using nq::testing::uuid_of;
using std::chrono::milliseconds;

/// Our server, and a bare socket for a client.
struct ServerTalk {
    explicit ServerTalk(Options options = {}) {
        options.log = diary.log();
        server.emplace(network.server(std::move(options)));
    }
    [[nodiscard]] RawPeer dial() const { return RawPeer(network.location); }
    /// Says its ini and hears the server's.
    [[nodiscard]] RawPeer introduce(const Uuid& id) const {
        RawPeer peer = dial();
        peer.say(identity(id));
        CHECK(peer.hear(24) == identity(server->id()));
        return peer;
    }

    Network network{Wire::tcp};
    Diary diary;
    std::optional<TextQueue> server;
};

/// Our client, and a bare socket for a server.
struct ClientTalk {
    explicit ClientTalk(const Options& options = {}) {
        network.location = listener.location();
        client.emplace(network.client(options));
    }
    [[nodiscard]] RawPeer accept() const { return listener.accept(); }

    const RawListener listener;
    Network network{Wire::tcp};
    std::optional<TextQueue> client;
    const Uuid server_id = uuid_of(0x5e);
};

const Uuid k_alice = uuid_of(0xa1);

}  // namespace

TEST_CASE("wire: what came before a client was lost is read to its end, however little is wanted") {
    ServerTalk talk({.connection = {.queue_size = 1}});
    constexpr int k_messages = 4'000;  // more than one turn takes
    const auto text = [](int i) { return "message " + std::to_string(10'000'000 + i); };
    RawPeer peer = talk.introduce(k_alice);
    std::string octets;
    for (int i = 0; i < k_messages; ++i) octets += frame(text(i));
    peer.say(octets);
    REQUIRE(peer.all_delivered());
    peer.hang_up();
    talk.server->put("anybody there?", k_alice);  // which is answered with a reset
    REQUIRE(eventually([&talk] { return is_lost(*talk.server, k_alice); }));
    for (int i = 0; i < k_messages; ++i) REQUIRE(hear(*talk.server) == text(i));
}

TEST_CASE("wire: the client's ini goes first, its messages follow at once") {
    ClientTalk talk;
    talk.client->put("hello");
    RawPeer server = talk.accept();
    CHECK(server.hear(24) == identity(talk.client->id()));
    CHECK(server.hear(13) == frame("hello"));
    server.say(identity(talk.server_id) + frame("hello yourself"));
    CHECK(hear(*talk.client) == "hello yourself");
    CHECK((talk.client->peers() == std::vector{talk.server_id}));
    (void)talk.client->close_for(milliseconds(0));
}

TEST_CASE("wire: the server answers with its ini only once it has accepted the client's") {
    ServerTalk talk;
    RawPeer slow = talk.dial();
    slow.say(identity(k_alice).substr(0, 23));
    // Another's whole conversation is time enough for a server that answers too soon.
    const RawPeer other = talk.introduce(uuid_of(1));
    CHECK(slow.hears_nothing());
    slow.say(identity(k_alice).substr(23));
    CHECK(slow.hear(24) == identity(talk.server->id()));
    (void)talk.server->close_for(milliseconds(0));
}

TEST_CASE("wire: a client that closes sends what is queued, then fin, and reads on") {
    ClientTalk talk;
    talk.client->put("one");
    talk.client->put("two");
    RawPeer server = talk.accept();
    server.say(identity(talk.server_id));
    std::jthread closing([&talk] { talk.client->close(); });
    const std::string ini = identity(talk.client->id());
    CHECK(server.hear(24 + 11 + 11 + 24) == ini + frame("one") + frame("two") + ini);
    CHECK(server.hears_nothing());
    server.say(frame("still listening?") + identity(talk.server_id));
    CHECK(server.hear_all().empty());
    closing.join();
    CHECK(hear(*talk.client) == "still listening?");
    CHECK_THROWS_AS((void)talk.client->get(), ConnectionAborted);
}

TEST_CASE("wire: on fin the server sends what it has queued for that client, then its own fin") {
    ServerTalk talk;
    RawPeer client = talk.introduce(k_alice);
    client.say(frame("hello"));
    CHECK(hear(*talk.server) == "hello");
    const Future future = talk.server->put("goodbye", k_alice);
    client.say(identity(k_alice));
    CHECK(client.hear(15 + 24) == frame("goodbye") + identity(talk.server->id()));
    client.finish_saying();
    CHECK(client.hear_all().empty());
    CHECK(done(future));
    CHECK(eventually([&talk] { return talk.server->peers().empty(); }));
}

TEST_CASE("wire: octets after a fin are ignored, and end nothing else") {
    ServerTalk talk;
    RawPeer client = talk.introduce(k_alice);
    client.say(identity(k_alice) + frame("after my fin"));
    CHECK(client.hear(24) == identity(talk.server->id()));
    client.hang_up();
    CHECK(eventually([&talk] { return talk.server->peers().empty(); }));
    CHECK((talk.server->try_get().error().code == Errc::would_block));
}

TEST_CASE("wire: a message of 16 octets that is neither ini nor fin arrives") {
    ServerTalk talk;
    RawPeer client = talk.introduce(k_alice);
    const std::string other(16, 'b');
    client.say(frame(other) + frame(""));
    CHECK(hear(*talk.server) == other);
    CHECK(hear(*talk.server).empty());
    (void)talk.server->close_for(milliseconds(0));
}

TEST_CASE(
    "wire: a second connection under a UUID in use hears ini and fin, and may leave in peace") {
    ServerTalk talk;
    const Uuid own = talk.server->id();
    RawPeer first = talk.introduce(k_alice);
    for (const Uuid& claimed : {k_alice, own, Uuid()}) {
        CAPTURE(claimed.to_string());
        RawPeer second = talk.dial();
        second.say(identity(claimed));
        CHECK(second.hear(48) == identity(own) + identity(own));
        second.say(frame("not for you") + identity(claimed));
        second.finish_saying();
        CHECK(second.hear_all().empty());
    }
    CHECK(talk.server->stats().identities_refused == 3);
    CHECK(talk.diary.tells("refused", 3));
    first.say(frame("I am still here"));
    const auto message = talk.server->get();
    CHECK(message.data == "I am still here");
    CHECK((message.peer == k_alice));
    CHECK((talk.server->try_get().error().code == Errc::would_block));
    first.say(identity(k_alice));
    CHECK(first.hear(24) == identity(own));
}

TEST_CASE(
    "wire: a client that reads a fin it did not ask for answers it, and reports ConnectionReset") {
    ClientTalk talk;
    RawPeer server = talk.accept();
    CHECK(server.hear(24) == identity(talk.client->id()));
    server.say(identity(talk.server_id) + frame("before the end") + identity(talk.server_id));
    CHECK(server.hear(24) == identity(talk.client->id()));
    CHECK(server.hear_all().empty());
    CHECK(hear(*talk.client) == "before the end");
    try {
        (void)talk.client->get();
        FAIL_CHECK("get returned");
    } catch (const ConnectionReset& error) {
        CHECK(std::string(error.what()).find("ended by the server, or this id") == 0);
    }
}

TEST_CASE("wire: where the server must end a connection it sends fin and waits for the client's") {
    ServerTalk talk;
    RawPeer client = talk.introduce(k_alice);
    std::jthread answering([&client, id = talk.server->id()] {
        CHECK(client.hear(24) == identity(id));
        client.say(identity(k_alice));
        client.finish_saying();
        CHECK(client.hear_all().empty());
    });
    CHECK_FALSE(talk.server->close_for(milliseconds(10)).clean);
}

TEST_CASE("wire: a stranger gets no broadcast, delivers nothing and is dropped at a wrong octet") {
    ServerTalk talk;
    auto friendly = talk.network.client();
    REQUIRE(meet(*talk.server, friendly));
    RawPeer silent = talk.dial();
    RawPeer http = talk.dial();
    REQUIRE(eventually([&talk] { return talk.server->stats().strangers == 2; }));
    talk.server->put("to all who said who they are");
    CHECK(hear(friendly) == "to all who said who they are");
    CHECK(silent.hears_nothing());
    CHECK(http.hears_nothing());
    http.say("GET / HTTP/1.1\r\n\r\n");
    CHECK(talk.diary.tells("not this protocol: it began with \"GET / HT"));
    RawPeer eager = talk.dial();
    eager.say(frame("a message before the ini"));
    CHECK(talk.diary.tells("not this protocol", 2));
    silent.hang_up();
    CHECK(eventually([&talk] { return talk.server->stats().strangers == 0; }));
    CHECK(talk.server->stats().strangers_dropped == 3);
    CHECK((talk.server->try_get().error().code == Errc::would_block));
    friendly.put("undisturbed");
    CHECK(hear(*talk.server) == "undisturbed");
}

TEST_CASE("wire: the ini may come octet by octet, and so may a message") {
    ServerTalk talk;
    RawPeer client = talk.dial();
    for (const char octet : identity(k_alice) + frame("slowly")) {
        client.say(std::string_view(&octet, 1));
    }
    CHECK(hear(*talk.server) == "slowly");
    client.say(identity(k_alice));
    CHECK(client.hear(48) == identity(talk.server->id()) + identity(talk.server->id()));
}

TEST_CASE("wire: a frame cut off by a loss is dropped; the client comes back and goes on") {
    ServerTalk talk;
    {
        RawPeer client = talk.introduce(k_alice);
        client.say(frame("whole") + header(100) + "only the beginning");
        CHECK(hear(*talk.server) == "whole");
    }
    REQUIRE(eventually([&talk] { return is_lost(*talk.server, k_alice); }));
    const Future future = talk.server->put("for your return", k_alice);
    RawPeer back = talk.dial();
    back.say(identity(k_alice) + frame("whole again"));
    CHECK(back.hear(24 + 23) == identity(talk.server->id()) + frame("for your return"));
    CHECK(done(future));
    CHECK(hear(*talk.server) == "whole again");
    back.say(identity(k_alice));
    CHECK(back.hear(24) == identity(talk.server->id()));
}

TEST_CASE("wire: what a client said before it was cut off is heard, however soon after") {
    ServerTalk talk;
    {
        RawPeer client = talk.dial();
        client.say(identity(k_alice) + frame("one") + frame("two"));
    }
    CHECK(hear(*talk.server) == "one");
    CHECK(hear(*talk.server) == "two");
    CHECK(eventually([&talk] { return is_lost(*talk.server, k_alice); }));
}

TEST_CASE("wire: the memory of a large message that is lost half-way is given back after a while") {
    const auto server =
        detail::Core::make(detail::make_tcp_transport(), Purpose::server,
                           {.id = uuid_of(0x5e), .netloc = {.host = "127.0.0.1", .port = 0}});
    {
        RawPeer client(server->options().netloc);
        client.say(identity(k_alice) + header(64 << 20) + pattern(40 << 20));
    }
    REQUIRE(eventually([&server] {
        const Stats stats = server->stats();
        return stats.peers.size() == 1 && stats.peers[0].state == PeerStats::State::lost;
    }));
    CHECK(eventually(
        [&server] { return server->pool()->retained_bytes() <= detail::BufferPool::k_largest; }));
    (void)server->close(detail::Core::Clock::now());
}

TEST_CASE("wire: a server that does not speak the protocol is a ProtocolError for the client") {
    ClientTalk talk;
    RawPeer server = talk.accept();
    server.say("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    CHECK_THROWS_AS((void)talk.client->get(), ProtocolError);
}

TEST_CASE("wire: every connection of a returning client begins with both inis again") {
    ServerTalk talk;
    for (int i = 0; i < 3; ++i) {
        RawPeer client = talk.introduce(k_alice);
        client.say(frame(std::to_string(i)));
        CHECK(hear(*talk.server) == std::to_string(i));
        client.hang_up();
        REQUIRE(eventually([&talk] { return is_lost(*talk.server, k_alice); }));
    }
}

}  // namespace nq::api
