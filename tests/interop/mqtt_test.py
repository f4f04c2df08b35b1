# SPDX-License-Identifier: Apache-2.0
"""MQTT: old peers in both roles, and hostile clients of the broker beside a well-behaved pair."""

import unittest
import uuid

from broker import Broker, BrokerClient
from harness import NIL, SANITIZED, InteropTest, eventually, fill, peak_bytes
from old_mqtt_peer import OldMqttClient, OldMqttServer
from old_peer import SIZE, frame

MIB = 1 << 20
SIZES = (0, 1, 15, 16, 17, 65_535, 65_536, 3 * MIB, 5)


class MqttTest(InteropTest):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.close)

    def mqtt(self, purpose, **options):
        return self.puppet(purpose, protocol="mqtt", port=self.broker.port, **options)

    def stranger(self):
        """Some client of the broker."""
        client = BrokerClient(self.broker)
        self.addCleanup(client.disconnect)
        return client

    def assert_echoes(self, client, octets=b"are you there?"):
        client.put(octets)
        self.assertEqual(client.get(), octets)


class OldClientTest(MqttTest):
    def test_messages_both_ways_however_they_are_sliced(self):
        server = self.mqtt("server")
        for slice_size in (1, 5, 100_000):
            with self.subTest(slice_size=slice_size):
                client = OldMqttClient(self.broker, slice_size=slice_size)
                sizes = [size for size in SIZES if size < 2_000 * slice_size]
                for number, size in enumerate(sizes):
                    client.put(fill(size, number))
                    self.assert_message(server.get(), client.own_id, fill(size, number))
                    server.tell(f"fill {size} {number} {client.own_id}")
                    self.assertEqual(client.get(), fill(size, number))
                self.assertEqual(client.peer_id, server.id)
                client.close()
                server.expect(f"fin {client.own_id}")

    def test_the_server_says_its_ini_first_and_its_fin_last(self):
        server = self.mqtt("server")
        heard = []
        client = uuid.uuid4()
        listener = BrokerClient(self.broker, received=lambda topic, it: heard.append(it))
        self.addCleanup(listener.disconnect)
        listener.subscribe(f"s2c/{client.hex}")
        listener.publish(f"c2s/{client.hex}", frame(client.bytes))
        eventually(lambda: b"".join(heard) == frame(server.id.bytes), "the ini")
        server.put(b"queued", client)
        listener.publish(f"c2s/{client.hex}", frame(client.bytes))
        eventually(lambda: b"".join(heard) == frame(server.id.bytes) + frame(b"queued") +
                   frame(server.id.bytes), "message and fin")
        server.expect(f"fin {client}")

    def test_a_client_that_leaves_right_after_its_fin_ends_cleanly(self):
        server = self.mqtt("server")
        client = OldMqttClient(self.broker)
        client.put(b"last words")
        client.close()
        self.assert_message(server.get(), client.own_id, b"last words")
        server.expect(f"fin {client.own_id}")
        server.expect(rf"log info \S+ session of {client.own_id} ended: .* has left")
        server.ask("close 60000", "closed 1")

    def test_a_client_that_comes_again_at_once_under_its_id(self):
        # All communicators of an old process share one id.
        server = self.mqtt("server")
        client = OldMqttClient(self.broker)
        client.put(b"0")
        for number in range(1, 200):
            client.send_identity()
            client.send_identity()
            client.put(str(number).encode())
        for number in range(200):
            self.assert_message(server.get(), client.own_id, str(number).encode())
        client.close()
        for _ in range(200):
            server.expect(f"ini {client.own_id}")
            server.expect(f"fin {client.own_id}")

    def test_two_clients_and_a_broadcast(self):
        server = self.mqtt("server")
        clients = [OldMqttClient(self.broker) for _ in range(2)]
        for client in clients:
            server.expect(f"ini {client.own_id}")
        server.put(b"to all")
        for client in clients:
            self.assertEqual(client.get(), b"to all")
            client.close()


class OldServerTest(MqttTest):
    def test_messages_both_ways(self):
        server = OldMqttServer(self.broker, slice_size=100_000)
        self.addCleanup(server.close)
        client = self.mqtt("client")
        party = server.wait_for_client()
        for number, size in enumerate(SIZES):
            client.tell(f"fill {size} {number}")
            self.assertEqual(party.get(), fill(size, number))
            party.put(fill(size, number))
            self.assert_message(client.get(), server.id, fill(size, number))
        self.assertEqual(party.peer_id, client.id)
        client.ask("close 60000", "closed 1")
        self.assertTrue(party.fin_received.is_set())
        self.assertEqual(client.finish(), 0)

    def test_without_a_server(self):
        client = self.mqtt("client", connect_timeout=300)
        with self.assertRaisesRegex(AssertionError, "no server answered"):
            client.get()

    def test_the_ini_is_said_once(self):
        heard = []
        listener = BrokerClient(self.broker, received=lambda topic, it: heard.append(it))
        self.addCleanup(listener.disconnect)
        listener.subscribe("c2s/+")
        client = self.mqtt("client", connect_timeout=500)
        with self.assertRaisesRegex(AssertionError, "no server answered"):
            client.get()
        self.assertEqual(b"".join(heard)[:24], frame(client.id.bytes))
        self.assertNotIn(frame(client.id.bytes), b"".join(heard)[24:48])

    def test_a_stream_that_does_not_begin_with_an_ini(self):
        server = OldMqttServer(self.broker)
        self.addCleanup(server.close)
        server.welcomes = False
        client = self.mqtt("client")
        server.wait_for_client()
        self.stranger().publish(f"s2c/{client.id.hex}", b"what is left of something else")
        with self.assertRaisesRegex(AssertionError, "broken stream"):
            client.get()


class HostileTest(MqttTest):
    def setUp(self):
        super().setUp()
        self.server = self.mqtt("server")
        self.server.ask("echo", "echoing")
        self.friend = OldMqttClient(self.broker)
        self.assert_echoes(self.friend)
        self.hostile = self.stranger()

    def tearDown(self):
        self.assert_echoes(self.friend, fill(MIB, 7))
        self.friend.close()
        self.server.expect(f"fin {self.friend.own_id}")
        self.assertEqual(self.server.said("ini .*"), 1, "the friend's was the only session")
        if not SANITIZED:
            self.assertLess(peak_bytes(self.server.pid), 64 * MIB)

    def test_topics_that_are_no_clients(self):
        hexes = self.friend.own_id.hex
        ini = frame(self.friend.own_id.bytes)
        for name in ("x", "", hexes.upper(), "{" + hexes[2:] + "}", str(self.friend.own_id),
                     hexes + "0", hexes[1:], "\u00e4" * 16, "y" * 60_000):
            for prefix in ("c2s/", "s2c/", "nq/gone/", "C2S/"):
                if prefix + name != f"s2c/{hexes}":
                    self.hostile.publish(prefix + name, ini)
        self.server.expect(r"log warning \S+ ignored \d+ messages .* belong to no stream .*")

    def test_retained_messages(self):
        other = uuid.uuid4()
        self.hostile.publish(f"c2s/{other.hex}", frame(other.bytes), retain=True)
        # A live message, too, so it is a stranger who said an ini once: a second server, which
        # comes later, sees the retained one alone.
        self.server.expect(f"ini {other}")
        late = self.mqtt("server")
        late.expect(r"log warning \S+ ignored 1 messages .*")
        self.assertEqual(late.said("ini .*"), 0)

    def test_wild_payloads(self):
        other = uuid.uuid4()
        topic = f"c2s/{other.hex}"
        for octets in (b"", b"x", b"\0" * 8, SIZE.pack(1 << 63), SIZE.pack(16) + bytes(16),
                       frame(uuid.uuid4().bytes), frame(self.friend.own_id.bytes),
                       frame(self.server.id.bytes), b"GET / HTTP/1.1\r\n\r\n"):
            self.hostile.publish(topic, octets)
        self.server.expect(r"log warning .*")

    def test_identities_that_are_not_to_be_had(self):
        for claimed in (NIL, self.server.id):
            self.hostile.publish(f"c2s/{claimed.hex}", frame(claimed.bytes) + frame(b"mine"))
            self.server.expect(rf"log warning \S+ id {claimed} refused .*")
        self.assertEqual(self.server.ask("totals", r"totals \d+ \d+ (\d+) \d+")[1], "2")

    def test_forged_farewells(self):
        for name in (uuid.uuid4().hex, self.server.id.hex, "x", self.friend.own_id.hex.upper()):
            self.hostile.publish(f"nq/gone/{name}", b"" if name == "x" else fill(1000, 1))

    def test_200_mb_that_belong_to_nobody(self):
        payload = fill(4_000_000, 3)
        for number in range(50):
            names = ("x", uuid.uuid4().hex, self.server.id.hex, self.friend.own_id.hex.upper())
            self.hostile.publish(f"c2s/{names[number % 4]}", payload)
            if number % 10 == 0:
                self.assert_echoes(self.friend)


class KilledServerTest(MqttTest):
    def test_its_clients_are_told_at_once_and_another_server_goes_on(self):
        server, client = self.pair()
        server.process.kill()
        with self.assertRaisesRegex(AssertionError, f"the server {server.id} .* without a goodbye"):
            client.get()
        self.pair()

    def test_who_closes_in_peace_leaves_no_will(self):
        heard = []
        listener = BrokerClient(self.broker, received=lambda topic, it: heard.append(topic))
        self.addCleanup(listener.disconnect)
        listener.subscribe("nq/#")
        server, client = self.pair()
        # One that was never let in, and one that never said who it is.
        self.stranger().publish(f"c2s/{server.id.hex}", frame(server.id.bytes))
        server.expect(r"log warning \S+ id .* refused .*")
        self.stranger().publish(f"c2s/{uuid.uuid4().hex}", b"\0")
        server.tell("fill 1000000 7")  # which the client reads only once the server is closing
        server.tell("close 60000")
        self.assert_message(client.get(), server.id, fill(1_000_000, 7))
        client.ask("close 60000", "closed 1")
        server.expect("closed 1")
        self.assertEqual((client.finish(), server.finish()), (0, 0))
        # What the broker says of them it has said by the time another one's words come round.
        self.stranger().publish("nq/over", b"")
        eventually(lambda: "nq/over" in heard, "the stranger's message")
        self.assertEqual(heard, ["nq/over"])

    def test_a_client_that_was_given_up_is_told_when_the_server_closes(self):
        server, client = self.pair()
        self.stranger().publish(f"c2s/{client.id.hex}", b"\xff" * 8)
        server.expect("log error .* broken stream of .*")
        server.ask("close 60000", "closed 1")
        with self.assertRaisesRegex(AssertionError, f"the server {server.id} .* without a goodbye"):
            client.get()

    def test_news_that_are_none(self):
        server, client = self.pair()
        heard = []
        listener = BrokerClient(self.broker, received=lambda topic, it: heard.append(topic))
        self.addCleanup(listener.disconnect)
        listener.subscribe("nq/down/+")
        stranger = self.stranger()
        for name in ("x", "", server.id.hex.upper(), str(server.id), client.id.hex, NIL.hex,
                     uuid.uuid4().hex):
            stranger.publish(f"nq/down/{name}", b"")
            stranger.publish(f"nq/down/{name}", fill(100_000, 1))
        stranger.publish("nq/down/" + 60_000 * "y", frame(server.id.bytes))
        stranger.publish("nq/down/last", b"")
        eventually(lambda: "nq/down/last" in heard, "the last of the news")
        self.assert_message_arrives(server, client)

    def pair(self):
        server = self.mqtt("server")
        client = self.mqtt("client")
        server.expect(f"ini {client.id}")
        self.assert_message_arrives(server, client)
        return server, client

    def assert_message_arrives(self, server, client):
        server.put(b"there")
        self.assert_message(client.get(), server.id, b"there")


class BrokenStreamTest(MqttTest):
    def test_a_size_that_can_not_be_meant_ends_the_session(self):
        server = self.mqtt("server")
        client = OldMqttClient(self.broker)
        client.put(b"in order")
        self.assert_message(server.get(), client.own_id, b"in order")
        client.send(b"the rest of a message whose beginning was dropped")
        server.expect(rf"log error \S+ broken stream of c2s/{client.own_id.hex} .*")
        server.expect(f"fin {client.own_id}")
        server.expect(rf"log info \S+ session of {client.own_id} ended: broken stream .*")
        client.send(b"and what follows")
        server.expect(r"log warning \S+ ignored 1 messages .*")
        # A new session is welcome.
        client.send_identity()
        client.put(b"again")
        self.assert_message(server.get(), client.own_id, b"again")


if __name__ == "__main__":
    unittest.main()
