# SPDX-License-Identifier: Apache-2.0
"""WIRE.md, Framing and TCP: the octets, with our server and with our client."""

import unittest
import uuid
import zlib

from harness import InteropTest, fill
from old_peer import frame

KIB, MIB = 1 << 10, 1 << 20
SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 255, 4 * KIB, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1,
         64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 16 * MIB]


class Conversation:
    """One C++ end (self.cpp) and one independent end (self.put, self.get); the tests hold whoever
    is the server."""

    def test_each_size_arrives_intact_at_cpp(self):
        for size in SIZES:
            with self.subTest(size=size):
                octets = fill(size, size)
                self.put(octets)
                self.assert_message(self.cpp.get(), self.python_id, octets)

    def test_each_size_arrives_intact_from_cpp(self):
        for size in SIZES:
            with self.subTest(size=size):
                self.cpp.tell(f"fill {size} {size}")
                self.assertEqual(self.get(), fill(size, size))

    def test_all_sizes_at_once_keep_their_order(self):
        for size in SIZES:
            self.put(fill(size, 1))
            self.cpp.tell(f"fill {size} 2")
        for size in SIZES:
            self.assert_message(self.cpp.get(), self.python_id, fill(size, 1))
            self.assertEqual(self.get(), fill(size, 2))

    def test_16_octets_that_are_neither_ini_nor_fin_arrive(self):
        for octets in (bytes(16), uuid.uuid4().bytes, self.cpp.id.bytes, b"sixteen octets!!"):
            self.put(octets)
            self.assertEqual(self.cpp.get_octets(), octets)
        for octets in (bytes(16), uuid.uuid4().bytes, self.python_id.bytes, b"sixteen octets!!"):
            self.cpp.put(octets)
            self.assertEqual(self.get(), octets)

    def test_a_put_of_the_own_id_fails_and_the_session_goes_on(self):
        number = self.cpp.put(self.cpp.id.bytes)
        self.assertIn("protocol", self.cpp.expect(rf"failed {number} (.*)")[1])
        number = self.cpp.put(b"next")
        self.assertEqual(self.get(), b"next")
        self.cpp.expect(f"done {number}")

    def test_ten_thousand_small_messages_in_order(self):
        count = 10_000
        for number in range(count):
            self.put(number.to_bytes(4, "big"))
        for number in range(count):
            self.cpp.tell("get")
        for number in range(count):
            line = self.cpp.expect(r"message \S+ 4 \d+ (\w+)")
            self.assertEqual(int(line[1], 16), number)


class ServerFramingTest(Conversation, InteropTest):
    """Our server, an independent client."""

    def setUp(self):
        self.cpp = self.server()
        self.client = self.old_client(self.cpp)
        self.cpp.expect(f"ini {self.client.id}")
        self.python_id = self.client.id
        self.put, self.get = self.client.put, self.client.get


class ClientFramingTest(Conversation, InteropTest):
    """Our client, an independent server."""

    def setUp(self):
        self.python = self.old_server()
        self.cpp = self.puppet("client", port=self.python.port)
        self.assertEqual(self.python.wait_for_peers(1), [self.cpp.id])
        self.python_id = self.python.id
        self.put = lambda octets: self.python.put(octets, self.cpp.id)
        self.get = lambda: self.python.get()[1]


class SlicedTest(InteropTest):
    """However TCP cuts the stream, the same messages come out."""

    def setUp(self):
        self.cpp = self.server()
        self.id = uuid.uuid4()
        self.messages = [fill(size, size) for size in (0, 1, 15, 16, 17, 300)]
        self.octets = b"".join(frame(octets) for octets in
                               [self.id.bytes, *self.messages, self.id.bytes])

    def assert_arrives(self, slices):
        wire = self.wire(self.cpp)
        for octets in slices:
            wire.send(octets)
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        for octets in self.messages:
            peer, size, digest, _ = self.cpp.get()
            self.assertEqual((peer, size, digest), (self.id, len(octets), zlib.adler32(octets)))
        self.assertEqual(wire.read_frame(), self.cpp.id.bytes)
        wire.close()
        self.cpp.expect(f"fin {self.id}")

    def test_all_in_one_segment(self):
        self.assert_arrives([self.octets])

    def test_one_octet_at_a_time(self):
        self.assert_arrives([bytes([octet]) for octet in self.octets])

    def test_cut_at_each_octet(self):
        for at in range(1, len(self.octets), 7):
            with self.subTest(at=at):
                self.assert_arrives([self.octets[:at], self.octets[at:]])


if __name__ == "__main__":
    unittest.main()
