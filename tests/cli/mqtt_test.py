# SPDX-License-Identifier: Apache-2.0
"""nq over MQTT, through a broker of the test's own."""

import json
import os
import re
import threading
import unittest
import uuid

from broker import Broker, BrokerClient
from tool import ROOT, TIMEOUT, ToolTest, nq, unused_port

OCTETS = bytes(range(256)) * 4000


def documented_access_list():
    """As docs/transports/mqtt.md has it."""
    with open(os.path.join(ROOT, "docs", "transports", "mqtt.md"), encoding="utf-8") as file:
        lines = re.search(r"\nAn access list[^:]*:\n\n((?:(?:    .*)?\n)+)", file.read())[1]
    return lines.replace("    ", "")


class MqttTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.broker = self.make_broker()

    def make_broker(self, **options):
        broker = Broker(**options)
        self.addCleanup(broker.close)
        return broker

    def place(self, broker=None):
        return ["--protocol", "mqtt", "--port", (broker or self.broker).port]

    def start_mqtt_server(self, command, *arguments, broker=None):
        """A running server that is subscribed."""
        process = self.start(command, "--server", *self.place(broker), *arguments)
        line = process.stderr.readline().decode()
        self.assertRegex(line, rf"^nq: listening on 127\.0\.0\.1:{(broker or self.broker).port},")
        return process

    def test_put_and_get(self):
        server = self.start_mqtt_server("get", "-n", 3)
        self.assert_well(nq("put", *self.place(), "Hello", "World", "-f", self.file("in", OCTETS)))
        self.assert_finished_well(server, b"Hello\nWorld\n" + OCTETS)

    def test_the_server_puts_to_its_clients(self):
        server = self.start_mqtt_server("put", "--clients", 2, "to all")
        clients = [self.start("get", *self.place()) for _ in range(2)]
        for client in clients:
            self.assert_finished_well(client, b"to all\n")
        self.assert_finished_well(server)

    def test_user_and_password(self):
        broker = self.make_broker(users={"alice": "secret"})
        good = ["--user", "alice", "--password", "secret"]
        server = self.start_mqtt_server("get", *good, broker=broker)
        done = nq("put", *self.place(broker), "--user", "alice", "--password", "guess", "x")
        self.assert_fails(done, 1, "nq: .*refuses user alice")
        self.assert_well(nq("put", *self.place(broker), *good, "x"))
        self.assert_finished_well(server, b"x\n")

    def test_the_access_list_of_the_documentation(self):
        ids = [uuid.uuid4() for _ in range(2)]
        users = {name: "secret" for name in ("server", "watch", ids[0].hex, ids[1].hex)}
        broker = self.make_broker(users=users,
                                  access=documented_access_list() + "\nuser watch\ntopic read #\n")

        def known_as(user, identity):
            return ["--id", identity, "--user", user, "--password", "secret"]

        server_id = uuid.uuid4()
        server = self.start_mqtt_server("get", "-n", 2, *known_as("server", server_id),
                                        broker=broker)
        place = self.place(broker)
        self.assert_well(nq("put", *place, *known_as(ids[0].hex, ids[0]), "mine"))
        # Nobody speaks for another.
        done = nq("put", *place, *known_as(ids[0].hex, ids[1]), "--connect-timeout", 1, "not")
        self.assert_fails(done, 1, "no server answered")
        # Who dies is told of.
        answered = threading.Event()
        watch = BrokerClient(broker, received=lambda *_: answered.set(), user="watch")
        self.addCleanup(watch.disconnect)
        watch.subscribe(f"s2c/{ids[1].hex}")
        waiting = self.start("get", *place, *known_as(ids[1].hex, ids[1]))
        self.assertTrue(answered.wait(TIMEOUT), "the server's ini")
        server.kill()
        self.assertEqual(self.finish(server)[1], b"mine\n")
        code, _, stderr = self.finish(waiting)
        self.assertEqual(code, 1)
        self.assertIn(f"the server {server_id} at the MQTT broker", stderr)

    def test_no_broker(self):
        port = unused_port()
        place = ["--protocol", "mqtt", "--port", port]
        how = f"start one with `mosquitto -p {port}`"
        self.assert_fails(nq("put", *place, "--connect-timeout", 0.3, "x"), 1, how)
        server = self.start("get", "--server", *place, "--timeout", 0.5)
        code, _, stderr = self.finish(server)
        self.assertEqual(code, 1)
        self.assertIn(how, stderr)

    def test_no_server(self):
        done = nq("put", *self.place(), "--connect-timeout", 0.3, "x")
        self.assert_fails(done, 1, "nq: .*no server answered")

    def test_bench(self):
        path = self.path("out.json")
        for mode in ("sync", "async"):
            with self.subTest(mode=mode):
                self.assert_well(nq("bench", "mqtt", "both", mode, "--port", self.broker.port,
                                    "--min-size", 4, "--step-size", 3, "--max-size", 18,
                                    "--clients", 3, "--verify", "--json", path))
                with open(path, encoding="utf-8") as file:
                    document = json.load(file)
                self.assertEqual(document["protocol"], "mqtt")
                self.assertEqual([result["role"] for result in document["results"]],
                                 ["server", "client"])


if __name__ == "__main__":
    unittest.main()
