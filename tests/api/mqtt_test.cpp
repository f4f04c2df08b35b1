// SPDX-License-Identifier: Apache-2.0
// The public API through an MQTT broker (WIRE.md, MQTT; docs/transports/mqtt.md).
#include <doctest/doctest.h>

#include <future>
#include <set>

#include "network.hpp"
#include "raw_peer.hpp"
#include "testing/authority.hpp"
#include "testing/broker.hpp"

namespace nq::api {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Broker;
using testing::BrokerSettings;

/// A broker and those who talk through it.
struct House {
    explicit House(const BrokerSettings& settings = {}) : broker(settings) {}

    [[nodiscard]] TextQueue open(Purpose purpose, Options options) const {
        options.netloc = broker.location();
        return TextQueue(Communicator(Protocol::mqtt, purpose, std::move(options)),
                         TextSerializer{});
    }
    [[nodiscard]] TextQueue server(Options options = {}) const {
        return open(Purpose::server, std::move(options));
    }
    [[nodiscard]] TextQueue client(Options options = {}) const {
        return open(Purpose::client, std::move(options));
    }

    Broker broker;
};

/// What get reports, once nothing is left to read.
template <class... Peers>
std::error_code end_of(TextQueue& queue, const Peers&... peers) {
    for (;;) {
        const auto result = queue.get_for(k_patience, peers...);
        if (!result) return result.error().code;
    }
}

}  // namespace

TEST_CASE("mqtt: signs of life between the packets of a slow broker don't hold up who sends") {
    using namespace std::literals;
    const RawListener listener(64 << 10);
    Options options;
    options.netloc = listener.location();
    options.broker.keep_alive = seconds(1);
    TextQueue client(Communicator(Protocol::mqtt, Purpose::client, std::move(options)),
                     TextSerializer{});
    RawPeer broker = listener.accept();
    (void)broker.hear(1);
    broker.say("\x20\x02\x00\x00"sv);          // CONNACK
    broker.say("\x90\x04\x00\x01\x00\x00"sv);  // SUBACK
    const std::string text = pattern(64 << 10);
    for (int i = 0; i < 400; ++i) client.put(text);
    // 20 MB at 5 MB/s, with eight pings among them.
    using Clock = std::chrono::steady_clock;
    const auto begun = Clock::now();
    std::size_t heard = 0;
    for (int i = 0; heard < 20'000'000 && Clock::now() < begun + k_patience; ++i) {
        heard += broker.hear(10'000).size();
        (void)eventually([begun, heard] { return Clock::now() >= begun + 200ns * heard; });
        if (i % 100 == 0) broker.say("\xd0\x00"sv);  // PINGRESP
    }
    CHECK(heard >= 20'000'000);
    broker.hang_up();
    (void)client.close_for(seconds(0));
}

TEST_CASE("mqtt: hello, both ways") {
    const House house;
    auto server = house.server();
    auto client = house.client();
    client.put("Hello, Server!");
    const auto message = server.get();
    CHECK(message.data == "Hello, Server!");
    CHECK((message.peer == client.id()));
    CHECK(done(server.put("Hello, Client!", message.peer)));
    CHECK(hear(client) == "Hello, Client!");
    CHECK((client.peers() == std::vector{server.id()}));
}

TEST_CASE("mqtt: a server's put goes to all clients, and each is answered alone") {
    const House house;
    auto server = house.server();
    auto alice = house.client();
    auto bob = house.client();
    REQUIRE(meet(server, alice));
    REQUIRE(meet(server, bob));
    CHECK(done(server.put("to all")));
    CHECK(hear(alice) == "to all");
    CHECK(hear(bob) == "to all");
    server.put("to alice", alice.id());
    server.put("to bob", bob.id());
    CHECK(hear(alice) == "to alice");
    CHECK(hear(bob) == "to bob");
    alice.put("from alice");
    bob.put("from bob");
    CHECK(hear(server, std::array{bob.id()}) == "from bob");
    CHECK(hear(server, std::array{alice.id()}) == "from alice");
}

TEST_CASE("mqtt: messages of all sizes, in order, both ways at once") {
    const House house;
    Options options;
    options.connection.receive_bytes = std::size_t{1} << 30;
    auto server = house.server(options);
    auto client = house.client(options);
    REQUIRE(meet(server, client));
    const std::vector<std::size_t> sizes{0,      1,         15, 16,       17, 65'535,
                                         65'536, 1'000'000, 5,  50 << 20, 3};
    for (const std::size_t size : sizes) {
        client.put(pattern(size));
        server.put(pattern(size, 2));
    }
    for (const std::size_t size : sizes) {
        CAPTURE(size);
        CHECK((hear(server) == pattern(size)));
        CHECK((hear(client) == pattern(size, 2)));
    }
}

TEST_CASE(
    "mqtt: close delivers what was put before it, and both ends learn that it was a goodbye") {
    const House house;
    Diary diary;
    auto server = house.server({.events = diary.events(), .log = diary.log()});
    auto client = house.client();
    const Uuid id = client.id();
    REQUIRE(meet(server, client));
    server.put("unread by the time it closes");
    for (int i = 0; i < 100; ++i) client.put(std::to_string(i));
    client.close();
    for (int i = 0; i < 100; ++i) CHECK(hear(server) == std::to_string(i));
    CHECK(diary.tells("fin " + id.to_string()));
    CHECK(diary.tells("has left"));
    CHECK(hear(client) == "unread by the time it closes");
    CHECK((end_of(client) == Errc::connection_aborted));
    CHECK(server.peers().empty());
}

TEST_CASE("mqtt: a server's close waits for its clients, and sends what is queued for them") {
    const House house;
    auto server = house.server();
    auto client = house.client();
    REQUIRE(meet(server, client));
    server.put("first");
    server.put(pattern(3'000'000));
    std::jthread closing([&server] { server.close(); });
    CHECK(hear(client) == "first");
    CHECK((hear(client) == pattern(3'000'000)));
    client.close();
}

TEST_CASE("mqtt: a client may come again under its id, as soon as it has left") {
    const House house;
    auto server = house.server();
    const Uuid id = Uuid::random();
    for (int i = 0; i < 20; ++i) {
        auto client = house.client({.id = id});
        client.put(std::to_string(i));
        CHECK(hear(server) == std::to_string(i));
        server.put("yes", id);
        CHECK(hear(client) == "yes");
    }
}

TEST_CASE("mqtt: a client that goes without a goodbye is lost, and may come back") {
    const House house;
    auto server = house.server();
    const Uuid id = Uuid::random();
    {
        auto client = house.client({.id = id});
        REQUIRE(meet(server, client));
        client.put("last words");
        CHECK(hear(server) == "last words");
        try {
            auto dying = std::move(client);
            throw 0;  // while the stack unwinds nobody waits
        } catch (int) {
        }
    }
    CHECK(eventually([&] { return is_lost(server, id) || server.peers().empty(); }));
    auto again = house.client({.id = id});
    again.put("back");
    CHECK(hear(server) == "back");
}

TEST_CASE("mqtt: a broker that goes ends the sessions, and the server serves new ones after") {
    House house;
    Diary diary;
    auto server = house.server({.events = diary.events(), .log = diary.log()});
    auto client = house.client();
    REQUIRE(meet(server, client));
    const Uuid id = client.id();
    house.broker.stop();
    CHECK((end_of(client) == Errc::stream_broken));
    CHECK((end_of(server, std::array{id}) == Errc::stream_broken));
    CHECK_THROWS_AS((void)client.get(), StreamBroken);
    CHECK(diary.tells("fin " + id.to_string()));  // by then nobody knows it any more
    CHECK(server.peers().empty());
    CHECK((failure_of(server.put("lost", id)) == Errc::unknown_peer));
    CHECK(diary.tells("the MQTT broker at " + house.broker.location().to_string() + " went away"));
    CHECK(diary.tells("start one with `mosquitto -p "));

    house.broker.start();
    CHECK(diary.tells("info subscribed at the MQTT broker", 2));
    auto next = house.client();
    next.put("after the storm");
    CHECK(hear(server) == "after the storm");
    // An attempt a second at most, and a line for each reason.
    CHECK(diary.count("start one with") == 1);
}

TEST_CASE("mqtt: a broker may come after the server") {
    House house;
    house.broker.stop();
    Diary diary;
    auto server = house.server({.log = diary.log()});
    CHECK(diary.tells("no MQTT broker answers at " + house.broker.location().to_string()));
    house.broker.start();
    CHECK(diary.tells("subscribed at the MQTT broker"));
    auto client = house.client();
    client.put("hello");
    CHECK(hear(server) == "hello");
}

TEST_CASE("mqtt: without a server, connect_timeout says so") {
    const House house;
    auto client = house.client({.connect_timeout = milliseconds(300)});
    const Future future = client.put("anybody there?");
    const auto result = client.get_for(k_patience);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == Errc::connection_reset);
    CHECK(result.error().text.find("no server answered") != std::string::npos);
    CHECK_THROWS_AS((void)client.get(), ConnectionReset);
}

TEST_CASE("mqtt: without a broker, connect_timeout says how to start one") {
    House house;
    house.broker.stop();
    auto client = house.client({.connect_timeout = milliseconds(300)});
    const auto result = client.get_for(k_patience);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == Errc::connection_reset);
    CHECK(result.error().text.find("start one with `mosquitto -p ") != std::string::npos);
}

TEST_CASE("mqtt: a broker's port can't be left to chance") {
    CHECK_THROWS_AS(Communicator(Protocol::mqtt, Purpose::server, {.netloc = {"127.0.0.1", 0}}),
                    std::invalid_argument);
}

#ifdef NQ_WITH_TLS
TEST_CASE("mqtt: TLS to the broker, which both ends verify") {
    const auto& files = testing::Authority::shared();
    BrokerSettings settings;
    settings.certificate = files.file("server.pem");
    settings.key = files.file("server.key");
    const House house(settings);
    auto server = house.server({.security = files.client()});
    auto client = house.client({.security = files.client()});
    const std::string text = pattern(3'000'000);
    client.put(text);
    CHECK((hear(server) == text));
    server.put("thank you", client.id());
    CHECK(hear(client) == "thank you");

    auto wrong = files.client();
    wrong.certificate = files.file("other_authority.pem");
    auto distrustful = house.client({.security = wrong});
    const auto result = distrustful.get_for(k_patience);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().text.find("certificate verify failed") != std::string::npos);
}
#endif

TEST_CASE("mqtt: user and password") {
    BrokerSettings settings;
    settings.user = "alice";
    settings.password = "secret";
    const House house(settings);
    const BrokerOptions good{.user = "alice", .password = "secret"};
    const BrokerOptions bad{.user = "alice", .password = "guess"};
    auto server = house.server({.broker = good});
    SUBCASE("good") {
        auto client = house.client({.broker = good});
        client.put("hello");
        CHECK(hear(server) == "hello");
    }
    SUBCASE("bad: the client gives up at once") {
        auto client = house.client({.connect_timeout = k_patience * 10, .broker = bad});
        const auto result = client.get_for(k_patience);
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == Errc::connection_reset);
        CHECK(result.error().text.find("it refuses user alice") != std::string::npos);
    }
    SUBCASE("bad: the server says so and goes on trying") {
        Diary diary;
        const auto other = house.server({.broker = bad, .log = diary.log()});
        CHECK(diary.tells("it refuses user alice"));
        CHECK(diary.count("error the MQTT broker") == 1);
    }
}

TEST_CASE("mqtt: what nobody reads is dropped, newest first, and others are not held up") {
    const House house;
    Options options;
    options.connection.queue_size = 3;  // on_full is block: on MQTT drop_newest
    auto server = house.server(options);
    auto busy = house.client();
    auto quiet = house.client();
    for (int i = 0; i < 100; ++i) busy.put(std::to_string(i));
    quiet.put("may I?");
    CHECK(hear(server, std::array{quiet.id()}) == "may I?");
    CHECK(eventually([&] {
        const auto stats = stats_of(server, busy.id());
        return stats && stats->received_messages == 100;
    }));
    CHECK(stats_of(server, busy.id())->dropped_messages == 97);
    for (const char* const expected : {"0", "1", "2"}) {
        CHECK(hear(server, std::array{busy.id()}) == expected);
    }
    busy.put("still in step");
    CHECK(hear(server) == "still in step");
}

TEST_CASE("mqtt: one whose authorization takes its time holds up nobody but itself") {
    const House house;
    const Uuid slow = Uuid::random();
    Diary diary;
    std::promise<void> thought;  // about the slow one, at last
    Options options{.log = diary.log()};
    options.authorize = [slow, answer = thought.get_future().share(), diary](const Uuid& id,
                                                                             const auto&, auto) {
        if (id != slow) return true;
        diary.note("thinking");
        answer.wait();
        return true;
    };
    auto server = house.server(options);
    auto quick = house.client();
    REQUIRE(meet(server, quick));
    auto waiting = house.client({.id = slow});
    SUBCASE("what it says meanwhile comes first when it is let in") {
        waiting.put("one");
        waiting.put(pattern(2000));
        CHECK(diary.tells("thinking"));
        for (int i = 0; i < 100; ++i) {
            quick.put(std::to_string(i));
            CHECK(hear(server) == std::to_string(i));
        }
        waiting.put(pattern(100'000));
        CHECK((server.try_get().error().code == Errc::would_block));
        thought.set_value();
        CHECK(hear(server) == "one");
        CHECK((hear(server) == pattern(2000)));
        CHECK((hear(server) == pattern(100'000)));
        server.put("welcome", slow);
        CHECK(hear(waiting) == "welcome");
    }
    SUBCASE("if it says much it is dropped") {
        waiting.put(pattern(5'000'000));
        CHECK(diary.tells("thinking"));
        CHECK(eventually([&server] { return server.stats().strangers_dropped == 1; }));
        for (int i = 0; i < 100; ++i) {
            quick.put(std::to_string(i));
            CHECK(hear(server) == std::to_string(i));
        }
        thought.set_value();
        CHECK(diary.tells("octets before it was authorized"));
        CHECK((server.peers() == std::vector{quick.id()}));
        (void)waiting.close_for(milliseconds(0));
    }
}

TEST_CASE("mqtt: many clients, several workers") {
    const House house;
    auto server = house.server({.workers = 3});
    std::vector<TextQueue> clients;
    for (int i = 0; i < 30; ++i) {
        clients.push_back(house.client());
        clients.back().put("here is " + std::to_string(i));
    }
    std::set<std::string> heard;
    while (heard.size() < clients.size()) heard.insert(hear(server));
    CHECK(done(server.put(pattern(500'000))));
    for (TextQueue& client : clients) CHECK((hear(client) == pattern(500'000)));
    for (TextQueue& client : clients) client.close();
}

}  // namespace nq::api
