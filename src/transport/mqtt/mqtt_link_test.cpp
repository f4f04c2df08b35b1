// SPDX-License-Identifier: Apache-2.0
// The MQTT transport against a broker that is a script.
#include <doctest/doctest.h>

#include <cctype>

#include "transport/mqtt/mqtt_script.hpp"

namespace nq::detail::conformance {

TEST_CASE("mqtt: what a client says, octet for octet") {
    Script script;
    script.begin_dial();
    script.hear(
        text_of(mqtt::encode(mqtt::Connect{.id = k_own,
                                           .user = "",
                                           .password = "",
                                           .keep_alive = 30,
                                           .will = mqtt::Topic{mqtt::Channel::gone, k_own}})));
    CHECK_FALSE(script.outcome.has_value());
    script.say(k_connack);
    script.hear(octets({0x82, 53, 0, 1, 0, 36}) + own_topic("s2c/") + octets({0, 0, 9}) +
                "nq/down/+" + octets({0}));
    CHECK_FALSE(script.outcome.has_value());  // before it is subscribed nothing may be published
    script.say(k_suback);
    script.run_until([&] { return script.outcome.has_value(); });
    const auto client = std::make_shared<Talker>(script.connection);
    client->start();
    script.hear(octets({0xc0, 0}));  // the first sign of life
    client->say("hello");
    script.hear(octets({0x30, 43, 0, 36}) + own_topic("c2s/") + "hello");
    CHECK(client->released == 5);
    script.say(publish(own_topic("s2c/"), "hel") + publish(own_topic("s2c/"), "lo"));
    script.run_until([&] { return client->heard == "hello"; });
    CHECK(client->lost == 0);

    SUBCASE("a goodbye") {
        script.connection->finish_sending();
        script.connection->close();
        script.hear(octets({0xe0, 0}));
    }
    SUBCASE("no goodbye, so that the broker publishes the will") { script.connection->close(); }
    script.run_until([&] { return script.broker->ended; });
    CHECK(script.broker->heard.empty());
}

TEST_CASE("mqtt: what a server says and whom it hears") {
    Script script;
    script.begin_listen();
    script.hear(
        text_of(mqtt::encode(mqtt::Connect{.id = k_own,
                                           .user = "",
                                           .password = "",
                                           .keep_alive = 30,
                                           .will = mqtt::Topic{mqtt::Channel::down, k_own}})));
    script.say(k_connack);
    script.hear(octets({0x82, 22, 0, 1, 0, 5}) + "c2s/+" + octets({0, 0, 9}) + "nq/gone/+" +
                octets({0}));
    script.say(k_suback);
    script.hear(octets({0xc0, 0}));
    const std::string topic = k_other.hex();
    script.say(publish("c2s/" + topic, "hi"));
    script.run_until([&] { return script.accepted.size() == 1; });
    CHECK((script.accepted[0]->announced_id() == std::optional(k_other)));
    const auto server = std::make_shared<Talker>(script.accepted[0]);
    server->start();
    CHECK(server->heard == "hi");
    server->say("welcome");
    script.hear(octets({0x30, 45, 0, 36}) + "s2c/" + topic + "welcome");
    script.say(publish("c2s/" + topic, " there"));
    script.run_until([&] { return server->heard == "hi there"; });
    script.say(publish("nq/gone/" + topic, ""));
    script.run_until([&] { return server->lost == 1; });
    CHECK(contains(server->complaint, "without a goodbye"));
    CHECK(script.accepted.size() == 1);
    server->connection().close();

    script.listener.reset();
    script.hear(octets({0xe0, 0}));
    script.run_until([&] { return script.broker->ended; });
}

TEST_CASE("mqtt: a client that goes and comes back in one breath begins another stream") {
    Script script;
    script.open_server();
    const std::string topic = "c2s/" + k_other.hex();
    script.say(publish(topic, "old"));
    script.run_until([&] { return script.accepted.size() == 1; });
    const auto before = std::make_shared<Talker>(script.accepted[0]);
    before->start();
    script.say(publish(topic, " words") + publish("nq/gone/" + k_other.hex(), "") +
               publish(topic, "new"));
    script.run_until([&] { return script.accepted.size() == 2; });
    const auto after = std::make_shared<Talker>(script.accepted[1]);
    after->start();
    CHECK(before->heard == "old words");
    CHECK(before->lost == 1);
    CHECK(after->heard == "new");
}

TEST_CASE("mqtt: what came before the loss of the link is read, though a reader awaits its turn") {
    /// Reads as long as the round goes on, as a session does.
    struct Patient final : ConnectionHandler, std::enable_shared_from_this<Patient> {
        explicit Patient(std::shared_ptr<Connection> with) : connection(std::move(with)) {}
        void handle_readable() override {
            std::array<std::byte, 1'000> room;
            const std::array<Connection::Target, 1> targets{room};
            while (!connection->reactor().round_over()) {
                const auto received = connection->receive(targets);
                if (!received || *received == 0) return;
                heard += *received;
                connection->reactor().count_work(limits::k_round_work);
            }
        }
        void handle_writable() override {}
        void handle_released(std::size_t) override {}
        void handle_lost(Failure) override { ++lost; }
        const std::shared_ptr<Connection> connection;
        std::size_t heard = 0;
        int lost = 0;
    };
    const std::array<std::string, 2> topics{"c2s/" + k_own.hex(), "c2s/" + k_other.hex()};
    // Many rounds' worth for the first, something for the second, and the end.
    std::string rest;
    for (int i = 0; i < 5; ++i) rest += publish(topics[0], std::string(4'000, 'x'));
    rest += publish(topics[1], "last words");
    MemoryOptions wires;
    wires.lose_after = k_connack.size() + k_suback.size() + rest.size();
    for (const std::string& topic : topics) wires.lose_after += publish(topic, ".").size();

    Script script(options_with(k_own), wires);
    script.open_server();
    std::vector<std::shared_ptr<Patient>> readers;
    for (const std::string& topic : topics) {
        script.say(publish(topic, "."));
        script.run_until([&] { return script.accepted.size() > readers.size(); });
        readers.push_back(std::make_shared<Patient>(script.accepted.back()));
        readers.back()->connection->set_handler(readers.back());
        script.reactor.post([&] { readers.back()->handle_readable(); });
        script.run_until([&] { return readers.back()->heard == 1; });
    }
    script.say(rest);
    script.run_until([&] { return readers[1]->lost == 1; });
    CHECK(readers[0]->heard == 1 + 5 * 4'000);
    CHECK(readers[1]->heard == 1 + 10);
}

TEST_CASE("mqtt: a server that goes without a goodbye is told of, and no other one is meant") {
    Script script(options_with_openings(k_own));
    script.open_client();
    const auto client = std::make_shared<Talker>(script.connection);
    client->start();
    const std::string opening = opening_of(k_other);
    const std::string stream = own_topic("s2c/");
    const std::string down = publish("nq/down/" + k_other.hex(), "");
    script.say(down);  // of one before: this client has not heard it
    script.say(publish(stream, opening.substr(0, 7)) + down);
    script.say(publish("nq/down/" + k_own.hex(), "") + publish("nq/gone/" + k_own.hex(), ""));
    script.say(publish(stream, opening.substr(7) + "hello"));
    script.run_until([&] { return client->heard == opening + "hello"; });
    script.say(publish("nq/down/" + k_own.hex(), ""));  // another server
    script.settle();
    CHECK(client->lost == 0);
    script.say(publish(stream, "last words") + down);
    script.run_until([&] { return client->lost == 1; });
    CHECK(client->heard == opening + "hello" + "last words");
    CHECK(contains(client->complaint, "has gone without a goodbye"));
    CHECK(contains(client->complaint, k_other.to_string()));
    // It goes without a goodbye as well: the server may have been lost to the broker alone.
    script.connection->close();
    script.run_until([&] { return script.broker->ended; });
    CHECK(script.broker->heard.empty());
}

TEST_CASE("mqtt: a broker that tells nothing of servers is good enough for a client") {
    Script script;
    script.begin_dial();
    script.run_until([&] { return script.broker != nullptr; });
    script.say(k_connack + octets({0x90, 4, 0, 1, 0, 0x80}));
    script.run_until([&] { return script.outcome.has_value(); });
    CHECK(script.outcome->has_value());
}

TEST_CASE("mqtt: a server that leaves somebody without a goodbye leaves the broker its will") {
    struct Client {
        bool spoken_to = true;
        bool said_goodbye = false;
        bool told = false;    ///< a goodbye
        bool before = false;  ///< the server is done with it before it closes
    };
    const auto leaves_will = [](const Client& first, const Client& second) {
        Script script;
        script.open_server();
        std::vector<std::shared_ptr<Talker>> talkers;
        for (const Client& client : {first, second}) {
            const Uuid id = talkers.empty() ? k_other : k_own;
            script.say(publish("c2s/" + id.hex(), "hi"));
            script.run_until([&] { return script.accepted.size() > talkers.size(); });
            talkers.push_back(std::make_shared<Talker>(script.accepted.back()));
            talkers.back()->start();
            if (client.spoken_to) talkers.back()->say("welcome");
        }
        script.settle();
        script.broker->heard.clear();
        const auto end = [&script](const Client& client, const std::shared_ptr<Connection>& with) {
            if (client.said_goodbye) with->finish_receiving();
            if (client.told) with->finish_sending();
            with->close();
            script.settle();
        };
        if (first.before) end(first, script.accepted[0]);
        script.listener.reset();
        if (!first.before) end(first, script.accepted[0]);
        end(second, script.accepted[1]);
        script.run_until([&] { return script.broker->ended; });
        CHECK((script.broker->heard.empty() || script.broker->heard == octets({0xe0, 0})));
        return script.broker->heard.empty();
    };
    const Client told{.told = true};
    CHECK_FALSE(leaves_will(told, told));
    CHECK(leaves_will(told, Client{}));
    CHECK(leaves_will(Client{}, told));
    CHECK(leaves_will(Client{.before = true}, told));
    CHECK_FALSE(leaves_will(Client{.spoken_to = false}, told));  // a stranger
    CHECK_FALSE(leaves_will(Client{.spoken_to = false, .before = true}, told));
    CHECK_FALSE(leaves_will(Client{.said_goodbye = true}, told));  // an old one that has left
}

TEST_CASE("mqtt: refusals of a broker") {
    struct Refusal {
        int code;
        Errc errc;
        const char* text;
    };
    for (const Refusal& refusal :
         {Refusal{1, Errc::unknown_peer, "does not speak MQTT 3.1.1"},
          Refusal{2, Errc::unknown_peer, "client id"},
          Refusal{3, Errc::connection_reset, "out of service"},
          Refusal{4, Errc::unknown_peer, "refuses user alice: bad name or password"},
          Refusal{5, Errc::unknown_peer, "refuses user alice: not authorised"},
          Refusal{99, Errc::unknown_peer, "code 99"}}) {
        CAPTURE(refusal.code);
        MqttOptions options = options_with(k_own);
        options.broker.user = "alice";
        Script script(options);
        script.begin_dial();
        script.run_until([&] { return script.broker != nullptr; });
        script.say(octets({0x20, 2, 0, refusal.code}));
        script.run_until([&] { return script.outcome.has_value(); });
        REQUIRE_FALSE(script.outcome->has_value());
        CHECK(script.outcome->error().code == refusal.errc);
        CHECK(contains(script.outcome->error().text, refusal.text));
        CHECK(contains(script.outcome->error().text, "the MQTT broker at broker:"));
        script.run_until([&] { return script.broker->ended; });
    }
}

TEST_CASE("mqtt: a subscription that is refused, and something that is no broker") {
    Script refuses;
    refuses.begin_dial();
    refuses.run_until([&] { return refuses.broker != nullptr; });
    refuses.say(k_connack + octets({0x90, 3, 0, 1, 0x80}));
    refuses.run_until([&] { return refuses.outcome.has_value(); });
    CHECK(refuses.outcome->error().code == Errc::unknown_peer);
    CHECK(contains(refuses.outcome->error().text, "read " + own_topic("s2c/")));

    Script web;
    web.begin_dial();
    web.run_until([&] { return web.broker != nullptr; });
    web.say("HTTP/1.1 400 Bad Request\r\n\r\n");
    web.run_until([&] { return web.outcome.has_value(); });
    CHECK(contains(web.outcome->error().text, "does not speak MQTT 3.1.1"));
}

TEST_CASE("mqtt: a broker that accepts and says nothing is given up") {
    MqttOptions options = options_with(k_own);
    options.handshake = std::chrono::milliseconds(50);
    Script script(options);
    script.begin_dial();
    script.run_until([&] { return script.outcome.has_value(); });
    CHECK(script.outcome->error().code == Errc::connection_reset);
    CHECK(contains(script.outcome->error().text, "does not answer"));
}

TEST_CASE("mqtt: a broker that falls silent is lost, one that answers is not") {
    MqttOptions options = options_with(k_own);
    options.broker.keep_alive = std::chrono::seconds(1);
    Script script(options);
    script.open_client();
    const auto client = std::make_shared<Talker>(script.connection);
    client->start();
    script.say(octets({0xd0, 0}));
    int pings = 1;  // the first
    const auto begun = std::chrono::steady_clock::now();
    script.run_until([&] {
        if (contains(script.broker->heard, octets({0xc0, 0})) && pings < 4) {
            script.broker->heard.clear();
            script.say(octets({0xd0, 0}));
            ++pings;
        }
        return client->lost > 0;
    });
    CHECK(pings == 4);
    // Four pings half a second apart were answered, then one and a half of silence.
    CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(2'900));
    CHECK(contains(client->complaint, "no sign of life for 1 s"));
    CHECK(contains(client->complaint, "went away"));
}

TEST_CASE("mqtt: messages of strangers are counted and ignored, whatever they are") {
    Script script(options_with_openings(k_own));
    script.open_server();
    const std::string opening = opening_of(k_other);
    const std::string hex = k_other.hex();
    const std::string huge(10'000, 'x');
    std::string upper = hex;
    for (char& digit : upper) digit = static_cast<char>(std::toupper(digit));
    for (const std::string& topic :
         {std::string("c2s/x"), "c2s/" + upper, "c2s/{" + hex.substr(2) + "}",
          "c2s/" + k_other.to_string(), "s2c/" + hex, std::string("weather"), std::string("$SYS/x"),
          "nq/gone/" + upper, "nq/gone/" + hex}) {
        script.say(publish(topic, opening));
        script.say(publish(topic, huge));
        script.say(publish(topic, ""));
    }
    script.say(publish("c2s/" + hex, opening, 1));  // retained
    script.say(publish("c2s/" + hex, huge));        // not the beginning of a stream
    script.say(publish("c2s/" + hex, huge.substr(0, 1)));
    script.say(publish("c2s/" + hex, ""));
    script.say(publish("c2s/" + hex, opening.substr(0, 3)));  // the beginning of one
    script.run_until([&] { return !script.accepted.empty(); });
    CHECK(script.accepted.size() == 1);
    const auto server = std::make_shared<Talker>(script.accepted[0]);
    server->start();
    script.say(publish("c2s/" + hex, opening.substr(3) + "hello"));
    script.run_until([&] { return server->heard == opening + "hello"; });
    CHECK(script.log.size() == 2);  // subscribed, and one line about all of them so far
    CHECK(contains(script.log[1], "belong to no stream"));
}

TEST_CASE("mqtt: octet by octet, through the narrowest of wires") {
    MqttOptions options = options_with(k_own);
    options.payload_size = 64;
    for (const MemoryOptions& wires :
         {MemoryOptions{.capacity = 1}, MemoryOptions{.capacity = 7},
          MemoryOptions{.capacity = 100, .receive_max = 3}, MemoryOptions{.receive_max = 1}}) {
        Script script(options, wires);
        script.open_client();
        const auto client = std::make_shared<Talker>(script.connection);
        client->start();
        const std::string text = pattern(1'000);
        client->say(Chunk::copy_of(text));
        std::string expected;
        for (std::size_t i = 0; i < text.size(); i += 64) {
            const std::string part = text.substr(i, 64);
            expected += octets({0x30, static_cast<int>(38 + part.size()), 0, 36}) +
                        own_topic("c2s/") + part;
        }
        script.hear(expected);
        CHECK(client->taken == text.size());
        script.run_until([&] { return client->released == text.size(); });
        for (std::size_t i = 0; i < text.size(); i += 90) {
            script.say(publish(own_topic("s2c/"), text.substr(i, 90)));
        }
        script.run_until([&] { return client->heard.size() == text.size(); });
        CHECK((client->heard == text));
    }
}

TEST_CASE("mqtt: senders take turns, and what was begun is completed though its sender closes") {
    MqttOptions options = options_with(k_own);
    options.payload_size = 100;
    Script script(options, {.capacity = 200});
    script.open_server();
    std::vector<std::shared_ptr<Talker>> servers;
    for (const char digit : {'a', 'b', 'c'}) {
        script.say(publish("c2s/" + std::string(32, digit), "!"));
        script.run_until([&] { return script.accepted.size() == servers.size() + 1; });
        servers.push_back(std::make_shared<Talker>(script.accepted.back()));
        servers.back()->start();
    }
    script.settle();
    script.broker->heard.clear();
    script.broker->listen(false);
    for (const auto& server : servers) server->say(Chunk::copy_of(pattern(10'000)));
    script.settle();
    servers[1]->connection().close();
    script.broker->listen(true);
    script.run_until([&] { return servers[0]->taken == 10'000 && servers[2]->taken == 10'000; });
    script.settle();
    // The packets of the two that stayed alternate until both are done.
    std::string order;
    const std::string& heard = script.broker->heard;
    for (std::size_t at = 0; at < heard.size(); at += 2 + 38 + 100) {
        REQUIRE(heard.substr(at, 4) == octets({0x30, 38 + 100 - 128 + 128, 1, 0}));
        at += 1;  // the length has two octets
        order += heard[at + 8];
    }
    CHECK(contains(order, "acacacacacac"));
    CHECK(order.find("aaa", 3) == std::string::npos);
}

TEST_CASE("mqtt: nobody holds a closed connection, whatever calls were still under way") {
    const auto dial = [](Script& script) {
        const auto dialled = make_memory_transport(script.network)
                                 ->dial(script.reactor, script.door->location(),
                                        [&](auto result) { script.connection = *result; });
        script.run_until([&] { return script.connection && script.broker; });
        return script.connection;
    };
    Script script;
    std::shared_ptr<MqttConnection> client;
    MqttLink::Events events;
    events.open = [&client](auto own) { client = std::static_pointer_cast<MqttConnection>(own); };
    const auto link =
        std::make_shared<MqttLink>(dial(script), MqttConnection::Role::client, script.options,
                                   script.door->location(), std::move(events));
    link->start();
    script.say(k_connack + k_suback);
    script.run_until([&] { return client != nullptr; });
    link->release();
    client->close();
    script.settle();

    // What threads do that looked just before.
    Script other(options_with(k_own), {.capacity = 100});
    const auto beneath = dial(other);
    other.broker->listen(false);
    MqttOutlet outlet(beneath, 1'000);
    const auto sent =
        outlet.send(client, client->outgoing(), std::array{Chunk::copy_of(pattern(1'000))});
    CHECK((sent && sent->sent.taken == 0));
    other.say(publish(own_topic("s2c/"), "hello"));
    MqttInlet inlet(beneath);
    std::array<std::byte, 2> room;
    const auto received =
        inlet.receive(client, client->incoming(), std::array{Connection::Target(room)});
    CHECK((received && received->size == 0));
    link->part(client);
    script.settle();
    CHECK(client.use_count() == 1);
}

TEST_CASE("mqtt: a broker restart ends every connection, and the server subscribes again") {
    Script script;
    script.open_server();
    script.say(publish("c2s/" + k_other.hex(), "hi"));
    script.run_until([&] { return script.accepted.size() == 1; });
    const auto server = std::make_shared<Talker>(script.accepted[0]);
    server->start();
    const auto before = script.broker;
    script.network->lose_connections();
    script.run_until([&] { return server->lost == 1; });
    CHECK(contains(server->complaint, "went away"));
    const std::array<Chunk, 1> chunks{Chunk("late")};
    CHECK(server->connection().send(chunks).error().code == Errc::stream_broken);
    script.run_until([&] { return script.broker != before; });
    script.run_until([&] { return !script.broker->heard.empty(); });
    script.say(k_connack + k_suback + publish("c2s/" + k_other.hex(), "me again"));
    script.run_until([&] { return script.accepted.size() == 2; });
    CHECK(script.log.size() == 3);  // subscribed, went away, subscribed
}

TEST_CASE("mqtt: a broker that ends the link as soon as it stands is dialled with growing pauses") {
    Script script;
    script.begin_listen();
    const auto begun = std::chrono::steady_clock::now();
    for (std::size_t links = 1; links <= 5; ++links) {
        script.run_until([&] { return script.broker != nullptr && !script.broker->heard.empty(); });
        script.say(k_connack + k_suback);
        script.run_until([&] { return script.log.size() == 2 * links - 1; });  // subscribed
        const auto before = script.broker;
        script.network->lose_connections();
        script.run_until([&] { return script.broker != before; });
    }
    // 10 + 20 + 40 + 80 + 160 ms.
    CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(310));
}

}  // namespace nq::detail::conformance
