# SPDX-License-Identifier: Apache-2.0
"""Issue 2: strangers at a server's port, a well-behaved pair beside them."""

import random
import socket
import unittest

from harness import (ABSENCE, SANITIZED, TIMEOUT, InteropTest, cpu_seconds_while, eventually,
                     open_descriptors, resident_bytes)
from killed_client_test import Echoer
from old_peer import SIZE, Wire

KIB, MIB = 1 << 10, 1 << 20
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"
# A TLS 1.2 record (22 = handshake) with the beginning of a ClientHello.
TLS_HELLO = (bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) +
             bytes.fromhex("20") + bytes(range(32)) + bytes.fromhex("00021301") + bytes(140))
SILENT = 2_000
# docs/architecture.md, Limits; src/buffer/limits.hpp, k_strangers_max: the oldest go first.
STRANGERS_MAX = 1_024
STRANGER_BYTES = 4 * KIB


class StrangersTest(InteropTest):
    def setUp(self):
        self.cpp = self.server()
        self.cpp.ask("echo", "echoing")
        self.neighbour = Echoer(self, self.cpp)
        self.neighbour.wait_for_more(20)
        self.memory = resident_bytes(self.cpp.pid)

    def tearDown(self):
        self.neighbour.wait_for_more(20)
        self.assertEqual(self.neighbour.finish(), [])

    def assert_memory_within(self, octets):
        if not SANITIZED:
            self.assertLess(resident_bytes(self.cpp.pid) - self.memory, octets)

    def assert_sent_away(self, octets):
        """These octets end the connection, and there is a line about it in the log."""
        wire = self.wire(self.cpp)
        wire.send(octets)
        try:
            self.assertIsNone(wire.read_frame())
        except ConnectionResetError:
            pass  # Octets that the server had no wish to read were still under way.
        line = self.cpp.expect(r"log (?:info|warning) \S+ (.*)")[1]
        host, port = wire_name(wire)
        self.assertRegex(line, rf"\b{host}:{port}\b", "the line says who")
        return line

    def test_an_http_request(self):
        self.assertIn("GET / HTTP", self.assert_sent_away(HTTP))

    def test_a_tls_hello(self):
        self.assertIn(r"\x16\x03\x01", self.assert_sent_away(TLS_HELLO))

    def test_random_octets(self):
        seed = random.SystemRandom().getrandbits(32)
        source = random.Random(seed)
        for _ in range(100):
            with self.subTest(seed=seed):
                # A size of 16 by chance: once in 2^64.
                self.assert_sent_away(source.randbytes(source.randrange(8, 5000)))
        self.assert_memory_within(4 * MIB)

    def test_declared_sizes_reserve_nothing(self):
        for exponent in range(64):
            if exponent == 4:
                continue  # 16 octets: that is an ini.
            with self.subTest(exponent=exponent):
                self.assert_sent_away(SIZE.pack(1 << exponent) + b"x" * 100)
        self.assert_memory_within(4 * MIB)

    def test_connect_and_leave(self):
        before = open_descriptors(self.cpp.pid)
        for _ in range(300):
            Wire.connect(self.cpp.host, self.cpp.port, TIMEOUT).close()
        eventually(lambda: open_descriptors(self.cpp.pid) <= before, "all sockets are closed")
        self.cpp.expect(r"log \S+ \S+ .*")
        self.assert_memory_within(4 * MIB)

    def test_half_an_ini_and_leave(self):
        before = open_descriptors(self.cpp.pid)
        for count in range(1, 24):
            wire = self.wire(self.cpp)
            wire.send((SIZE.pack(16) + bytes(range(1, 17)))[:count])
            wire.close()
        eventually(lambda: open_descriptors(self.cpp.pid) <= before, "all sockets are closed")
        self.assertEqual(self.cpp.said("ini .*"), 1)  # The neighbour's.

    def test_two_thousand_silent_connections(self):
        before = open_descriptors(self.cpp.pid)
        silent = [self.wire(self.cpp) for _ in range(SILENT)]
        # The oldest go first; the newest are kept until they are too slow.
        eventually(lambda: open_descriptors(self.cpp.pid) <= before + STRANGERS_MAX + 1,
                   "the number is bounded")
        self.assertIsNone(silent[0].read_frame())
        silent[-1].socket.settimeout(ABSENCE)
        with self.assertRaises(TimeoutError):
            silent[-1].socket.recv(1)
        self.neighbour.wait_for_more(100)
        self.assert_memory_within(STRANGERS_MAX * STRANGER_BYTES)
        self.cpp.expect(r"log (?:info|warning) .*")
        dropped = int(self.cpp.ask("totals", r"totals (\d+) (\d+) \d+ \d+")[2])
        self.assertGreaterEqual(dropped, SILENT - STRANGERS_MAX)
        for wire in silent:
            wire.close()
        eventually(lambda: open_descriptors(self.cpp.pid) <= before, "all sockets are closed")

    def test_a_newcomer_is_served_while_strangers_fill_the_house(self):
        for _ in range(SILENT):
            self.wire(self.cpp)
        newcomer = self.old_client(self.cpp)
        self.assert_echoes(newcomer)
        newcomer.close()


class AfterStrangersTest(InteropTest):
    def test_the_cpu_is_idle_and_close_ends_in_time(self):
        server = self.server()
        for octets in (HTTP, TLS_HELLO, b"", SIZE.pack(1 << 63)):
            wire = self.wire(server)
            wire.send(octets)
            wire.close()
        silent = self.wire(server)
        silent.send(b"\0")
        eventually(lambda: server.ask("totals", r"totals (\d+) .*")[1] == "1", "one is left")
        self.assertLess(cpu_seconds_while(server.pid, 1), 0.03)
        server.ask(f"close {TIMEOUT * 1000}", "closed 1", timeout=5)
        self.assertEqual(server.finish(), 0)


def wire_name(wire):
    return wire.socket.getsockname()[:2]


if __name__ == "__main__":
    unittest.main()
