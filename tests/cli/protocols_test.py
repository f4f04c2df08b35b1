# SPDX-License-Identifier: Apache-2.0
"""nq put, get and bench with every protocol, plain and secured: the same words for all of them."""

import json
import os
import unittest

from tool import ToolTest, nq

BUILT = {part: os.environ.get(f"NQ_{part}", "ON") == "ON" for part in ("TLS", "MQTT", "GRPC")}


class Plain:
    """What is the same for every protocol; `protocol` is its name."""

    secure = False
    trust = []

    def setUp(self):
        super().setUp()
        self.place = ["--protocol", self.protocol]
        self.own = []

    def start_at_its_place(self, command, *arguments):
        process, port = self.start_server(command, *self.place, *self.own, *arguments)
        return process, ["--protocol", self.protocol, "--port", port, *self.trust]

    def test_put_to_a_server_that_gets(self):
        server, place = self.start_at_its_place("get", "-n", 2)
        self.assert_well(nq("put", *place, "Hello", "World"))
        self.assert_finished_well(server, b"Hello\nWorld\n")

    def test_get_from_a_server_that_puts(self):
        server, place = self.start_at_its_place("put", "--clients", 1, "Hello, client!")
        done = nq("get", *place)
        self.assert_well(done)
        self.assertEqual(done.stdout, b"Hello, client!\n")
        self.assert_finished_well(server)

    def test_bench(self):
        flags = ["--secure"] if self.secure else []
        if self.protocol == "mqtt":
            flags += ["--port", self.broker.port]
        for mode in ("sync", "async"):
            with self.subTest(mode=mode):
                self.assert_well(nq("bench", self.protocol, "both", mode, "--min-size", 4,
                                    "--step-size", 4, "--max-size", 20, "--verify",
                                    "--json", "out.json", *flags, folder=self.folder))
                with open(self.path("out.json"), encoding="utf-8") as file:
                    document = json.load(file)
                self.assertEqual([result["role"] for result in document["results"]],
                                 ["server", "client"])


class Secured(Plain):
    """The same over TLS; bench takes its files from the working directory."""

    secure = True

    def setUp(self):
        super().setUp()
        self.make_authority()
        self.own = ["--key", self.path("server.key"), "--certificate", self.path("server.pem")]
        self.trust = ["--certificate", self.path("authority.pem")]

    def test_the_trust_of_the_system(self):
        server, place = self.start_at_its_place("get", "-n", 1)
        place = [word for word in place if word not in self.trust] + ["--secure"]
        self.assert_fails(nq("put", *place, "--connect-timeout", 1, "x"), 1, "(?i)certificate|tls")
        # Where OpenSSL, and gRPC, look for the store of the system.
        store = dict.fromkeys(("SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
                              self.path("authority.pem"))
        self.assert_well(nq("put", *place, "Hello", variables=store))
        self.assert_finished_well(server, b"Hello\n")


class ThroughABroker:
    protocol = "mqtt"

    def setUp(self):
        super().setUp()
        from broker import Broker  # needs the broker's Python packages
        files = (self.path("server.pem"), self.path("server.key")) if self.secure else None
        self.broker = Broker(own=files)
        self.addCleanup(self.broker.close)

    def start_at_its_place(self, command, *arguments):
        place = [*self.place, "--port", self.broker.port, *self.trust]  # both are its clients
        process = self.start(command, "--server", *place, *arguments)
        self.assertRegex(process.stderr.readline().decode(), "^nq: listening on ")
        return process, place


class TcpTest(Plain, ToolTest):
    protocol = "tcp"


@unittest.skipUnless(BUILT["TLS"], "built without TLS")
class SecureTcpTest(Secured, ToolTest):
    protocol = "tcp"


@unittest.skipUnless(BUILT["GRPC"], "built without gRPC")
class GrpcTest(Plain, ToolTest):
    protocol = "grpc"


@unittest.skipUnless(BUILT["GRPC"] and BUILT["TLS"], "built without gRPC or TLS")
class SecureGrpcTest(Secured, ToolTest):
    protocol = "grpc"


@unittest.skipUnless(BUILT["MQTT"], "built without MQTT")
class MqttTest(ThroughABroker, Plain, ToolTest):
    pass


@unittest.skipUnless(BUILT["MQTT"] and BUILT["TLS"], "built without MQTT or TLS")
class SecureMqttTest(ThroughABroker, Secured, ToolTest):
    pass


if __name__ == "__main__":
    unittest.main()
