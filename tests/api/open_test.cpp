// SPDX-License-Identifier: Apache-2.0
// docs/guarantees.md, open; and the options about who and where.
#include <doctest/doctest.h>

#include <type_traits>

#include "network.hpp"
#include "raw_peer.hpp"

namespace nq::api {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::error_code code_of_open(Network& network, const Options& options) {
    try {
        const auto queue = network.server_at_its_place(options);
    } catch (const Error& error) {
        CHECK_FALSE(std::string(error.what()).empty());
        return error.code();
    }
    return {};
}

struct BadOption {
    const char* name;
    Options options;
};

std::vector<BadOption> bad_options() {
    return {
        {"id", {.id = Uuid()}},
        {"workers", {.workers = 0}},
        {"message_size", {.connection = {.message_size = 15}}},
        {"transport_size", {.connection = {.transport_size = 0}}},
        {"queue_size", {.connection = {.queue_size = 0}}},
        {"receive_bytes", {.connection = {.receive_bytes = 0}}},
        {"busy_poll", {.busy_poll = std::chrono::microseconds(-1)}},
        {"busy_poll", {.busy_poll = std::chrono::minutes(1) + std::chrono::microseconds(1)}},
        {"connect_timeout", {.connect_timeout = milliseconds(0)}},
        {"handshake_timeout", {.handshake_timeout = milliseconds(0)}},
        {"session_expiry", {.session_expiry = milliseconds(-1)}},
    };
}

}  // namespace

TEST_CASE("the options have the defaults of WIRE.md") {
    const Options options;
    const ConnectionOptions& connection = options.connection;
    CHECK_FALSE(options.id.has_value());
    CHECK(connection.get_merge);
    CHECK(connection.put_merge);
    CHECK(connection.efficient_size == std::size_t{64} << 10);
    CHECK(connection.transport_size == std::size_t{4} << 20);
    CHECK(connection.queue_size == std::size_t{1} << 30);
    CHECK(connection.message_size == std::size_t{1} << 40);
    CHECK((connection.on_oversize == OnOversize::split));
    CHECK((connection.on_full == OnFull::block));
    CHECK(connection.receive_bytes == std::size_t{64} << 20);
    CHECK_FALSE(options.security.has_value());
    CHECK(options.workers == 1);
    CHECK((options.busy_poll == std::chrono::microseconds(100)));
    CHECK((options.connect_timeout == seconds(30)));
    CHECK((options.session_expiry == seconds(120)));
    CHECK(options.lost_sessions == 10'000);
    CHECK(options.lost_bytes == std::size_t{16} << 20);
    CHECK((options.handshake_timeout == seconds(10)));
    CHECK_FALSE(options.close_timeout.has_value());
}

ON_EVERY_TRANSPORT("open: a queue is movable, and moving loses nothing") {
    auto server = network.server();
    auto client = network.client();
    client.put("before the move");
    TextQueue moved_server(std::move(server));
    TextQueue moved(std::move(client));
    moved.put("after it");
    CHECK(hear(moved_server) == "before the move");
    CHECK(hear(moved_server) == "after it");
}

ON_EVERY_TRANSPORT("open: a queue that is assigned to closes first") {
    Diary diary;
    auto server = network.server({.events = diary.events()});
    auto client = network.client();
    const Uuid first = client.id();
    client.put("last words of the first");
    client = network.client();
    client.put("first words of the second");
    CHECK(hear(server) == "last words of the first");
    CHECK(hear(server) == "first words of the second");
    CHECK(diary.tells("fin " + first.to_string()));
}

ON_EVERY_TRANSPORT("id: random by default, new for each communicator") {
    auto server = network.server();
    auto one = network.client();
    auto other = network.client();
    CHECK((one.id() != other.id()));
    CHECK((one.id() != server.id()));
    CHECK_FALSE(server.id().is_nil());
    CHECK((*one.options().id == one.id()));
}

ON_EVERY_TRANSPORT("id: the one given is the one the peers see") {
    const Uuid alice = Uuid::random();
    const Uuid bob = Uuid::random();
    auto server = network.server({.id = alice});
    auto client = network.client({.id = bob});
    client.put("hello");
    CHECK((server.get().peer == bob));
    server.put("hello");
    CHECK((client.get().peer == alice));
    CHECK((client.peers() == std::vector{alice}));
    CHECK((server.peers() == std::vector{bob}));
}

ON_EVERY_TRANSPORT("netloc: with port 0 the system picks one, and options tells which") {
    auto server = network.server();
    CHECK(server.options().netloc.port != 0);
    auto client = network.client();
    CHECK((client.options().netloc == server.options().netloc));
    CHECK(meet(server, client));
}

ON_EVERY_TRANSPORT_BUT_MQTT("bad use: a port in use throws at once, and harms nobody",
                            "the port is the broker's") {
    auto server = network.server();
    CHECK((code_of_open(network, {.netloc = network.location}) == std::errc::address_in_use));
    auto client = network.client();
    client.put("still there?");
    CHECK(hear(server) == "still there?");
}

ON_EVERY_TRANSPORT("bad use: an option out of range throws at once and says which") {
    for (const auto& [name, options] : bad_options()) {
        CAPTURE(name);
        for (const Purpose purpose : {Purpose::server, Purpose::client}) {
            try {
                if (purpose == Purpose::server) (void)network.server(options);
                if (purpose == Purpose::client) (void)network.client(options);
                FAIL_CHECK("nothing was thrown");
            } catch (const std::invalid_argument& error) {
                CHECK(std::string(error.what()).find(name) == 0);
            }
        }
    }
}

TEST_CASE("bad use: an address that is not this machine's throws at once [tcp]") {
    Network network(Wire::tcp);
    // RFC 5737: nobody's.
    CHECK(
        (code_of_open(network, {.netloc = {"192.0.2.1", 0}}) == std::errc::address_not_available));
}

TEST_CASE("bad use: a name that doesn't resolve, for a server: throws at once [tcp]") {
    Network network(Wire::tcp);
    CHECK((code_of_open(network, {.netloc = {"no-such-host.invalid", 0}}) != std::error_code()));
}

TEST_CASE(
    "bad use: a name that doesn't resolve, for a client: get says so, not after the timeout") {
    Network network(Wire::tcp);
    network.location = {"no-such-host.invalid", 4000};
    auto client = network.client({.connect_timeout = std::chrono::hours(1)});
    const Future future = client.put("anybody?");
    try {
        (void)client.get();
        FAIL_CHECK("get returned");
    } catch (const ConnectionReset& error) {
        CHECK(std::string(error.what()).find("no-such-host.invalid") != std::string::npos);
    }
    CHECK((failure_of(future) == Errc::connection_reset));
}

#ifndef NQ_WITH_TLS
TEST_CASE("security: an error that says unsupported, where a build has no TLS [tcp]") {
    try {
        (void)open<TextSerializer>(Protocol::tcp, Purpose::server, {.security = SecurityOptions{}});
        FAIL_CHECK("nothing was thrown");
    } catch (const Error& error) {
        CHECK((error.code() == Errc::unsupported));
        CHECK(std::string(error.what()).find("TLS") != std::string::npos);
    }
}
#endif

TEST_CASE("protocol: an error that says unsupported, for one that a build lacks") {
    std::vector<Protocol> lacking;
#ifndef NQ_WITH_MQTT
    lacking.push_back(Protocol::mqtt);
#endif
#ifndef NQ_WITH_GRPC
    lacking.push_back(Protocol::grpc);
#endif
    for (const Protocol protocol : lacking) {
        try {
            (void)open<TextSerializer>(protocol);
            FAIL_CHECK("nothing was thrown");
        } catch (const Error& error) {
            CHECK((error.code() == Errc::unsupported));
            CHECK(std::string(error.what()).find(to_string(protocol)) != std::string::npos);
        }
    }
}

ON_EVERY_TRANSPORT("the constructor never blocks on a peer: nobody is there") {
    network.leave_empty();
    auto client = network.client({.connect_timeout = std::chrono::hours(1)});
    CHECK(client.peers().empty());
    CHECK((client.stats().peers.at(0).state == PeerStats::State::connecting));
    (void)client.close_for(milliseconds(0));
}

TEST_CASE("the constructor never blocks on a peer: a silent listener [tcp]") {
    Network network(Wire::tcp);
    const RawListener listener;
    network.location = listener.location();
    auto client = network.client({.connect_timeout = milliseconds(300)});
    const Future future = client.put("hello?");
    RawPeer silent = listener.accept();
    CHECK_THROWS_AS((void)client.get(), ConnectionReset);
    CHECK((client.stats().peers.at(0).state == PeerStats::State::ended));
    (void)future.result();  // completes: the octets may have been taken, or not
}

ON_EVERY_TRANSPORT("connect_timeout: a server that isn't there is an error after it, not before") {
    network.leave_empty();
    const auto begin = std::chrono::steady_clock::now();
    auto client = network.client({.connect_timeout = milliseconds(400)});
    const Future future = client.put("hello?");
    CHECK((client.try_get().error().code == Errc::would_block));
    try {
        (void)client.get();
        FAIL_CHECK("get returned");
    } catch (const ConnectionReset& error) {
        CHECK(std::string(error.what()).find("no server answered") != std::string::npos);
    }
    CHECK((std::chrono::steady_clock::now() - begin >= milliseconds(400)));
    CHECK((failure_of(future) == Errc::connection_reset));
    CHECK((failure_of(client.put("again?")) == Errc::connection_reset));
}

ON_EVERY_TRANSPORT_BUT_MQTT("connecting goes on behind the constructor; puts queue meanwhile",
                            "a client must come after the server has subscribed") {
    network.leave_empty();
    auto client = network.client();
    const Future one = client.put("one");
    const Future two = client.put("two");
    CHECK(eventually([&client] { return client.stats().peers.at(0).queued_messages == 2; }));
    CHECK_FALSE(one.ready());
    auto server = network.server_at_its_place({.netloc = network.location});
    CHECK(hear(server) == "one");
    CHECK(hear(server) == "two");
    CHECK(done(one));
    CHECK(done(two));
    client.close();
}

ON_EVERY_TRANSPORT("connect_timeout: as long as can be is no overflow") {
    network.leave_empty();
    auto client = network.client({.connect_timeout = milliseconds::max()});
    const Future future = client.put("hello?");
    CHECK((client.get_for(milliseconds(50)).error().code == Errc::timed_out));
    CHECK_FALSE(future.ready());
    (void)client.close_for(milliseconds(0));
}

ON_EVERY_TRANSPORT("connecting goes on with back-off") {
    network.leave_empty();
    Tap& tap = network.tap();
    auto client = network.client({.connect_timeout = milliseconds(500)});
    CHECK_THROWS_AS((void)client.get(), ConnectionReset);
    // Pauses of 10 ms that double: not more than half a dozen fit.
    CHECK(tap.dials() >= 2);
    CHECK(tap.dials() <= 8);
}

TEST_CASE("errors derive from std::system_error, with an own category") {
    static_assert(std::is_base_of_v<std::system_error, Error>);
    static_assert(std::is_base_of_v<Error, ConnectionError>);
    static_assert(std::is_base_of_v<ConnectionError, ConnectionAborted>);
    static_assert(std::is_base_of_v<ConnectionError, ConnectionReset>);
    static_assert(std::is_base_of_v<Error, ProtocolError>);
    static_assert(std::is_base_of_v<Error, SerializationError>);
    static_assert(std::is_base_of_v<Error, StreamBroken>);
    Network network(Wire::memory);
    auto server = network.server();
    server.close();
    try {
        (void)server.get();
        FAIL_CHECK("get returned");
    } catch (const std::system_error& error) {
        CHECK((error.code().category() == error_category()));
        CHECK((error.code() == Errc::connection_aborted));
    }
}

}  // namespace nq::api
