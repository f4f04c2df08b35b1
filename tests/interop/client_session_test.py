# SPDX-License-Identifier: Apache-2.0
"""WIRE.md, Session: our client, a scripted server."""

import socket
import unittest
import uuid

from harness import ABSENCE, TIMEOUT, InteropTest, cpu_seconds_while
from old_peer import Wire, frame


class ClientSessionTest(InteropTest):
    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.listener.settimeout(TIMEOUT)
        self.port = self.listener.getsockname()[1]
        self.id = uuid.uuid4()
        self.cpp = self.puppet("client", port=self.port)
        self.wire = self.accept()

    def accept(self):
        wire = Wire(self.listener.accept()[0], TIMEOUT)
        self.addCleanup(wire.close)
        return wire

    def join(self):
        self.assertEqual(self.wire.read_frame(), self.cpp.id.bytes)
        self.wire.send_frame(self.id.bytes)
        self.cpp.expect(f"ini {self.id}")

    # Start

    def test_the_client_speaks_first(self):
        self.assertEqual(self.wire.read_frame(), self.cpp.id.bytes)

    def test_messages_follow_the_ini_at_once(self):
        self.cpp.put(b"early")
        self.assertEqual(self.wire.read_frame(), self.cpp.id.bytes)
        self.assertEqual(self.wire.read_frame(), b"early")

    def test_an_ini_that_comes_at_once_is_read(self):
        self.wire.send(frame(self.id.bytes) + frame(b"hello"))
        self.assertEqual(self.cpp.get_octets(), b"hello")
        self.assertEqual(self.wire.read_frame(), self.cpp.id.bytes)

    def test_anything_but_an_ini_ends_the_session(self):
        self.wire.send_frame(b"hello")
        self.assertIn("protocol error", self.cpp.ask("get", "error (.*)")[1])

    # Stop

    def test_close_sends_what_is_queued_and_fin_and_reads_on(self):
        self.join()
        self.cpp.put(b"last")
        self.cpp.tell(f"close {TIMEOUT * 1000}")
        self.assertEqual(self.wire.read_frame(), b"last")
        self.assertEqual(self.wire.read_frame(), self.cpp.id.bytes)
        self.assertEqual(self.cpp.said("closed .*"), 0)
        self.wire.send(frame(b"read on") + frame(self.id.bytes))
        self.cpp.expect("closed 1")
        self.assertEqual(self.cpp.get_octets(), b"read on")
        self.assertIsNone(self.wire.read_frame())
        self.assertIn("abort", self.cpp.ask("get", "error (.*)")[1])

    def test_a_fin_it_did_not_ask_for_is_answered_and_told(self):
        self.join()
        self.wire.send(frame(b"first") + frame(self.id.bytes))
        self.assertEqual(self.wire.read_frame(), self.cpp.id.bytes)
        self.assertIsNone(self.wire.read_frame())
        self.assertEqual(self.cpp.get_octets(), b"first")
        self.assertRegex(self.cpp.ask("get", "error (.*)")[1], "reset.*in use")

    # Loss

    def test_a_lost_connection_is_final(self):
        self.join()
        self.wire.send_frame(b"first")
        self.wire.close()
        self.assertEqual(self.cpp.get_octets(), b"first")
        self.assertIn("reset", self.cpp.ask("get", "error (.*)")[1])
        self.assertIn("reset", self.cpp.ask("get", "error (.*)")[1])
        number = self.cpp.put(b"too late")
        self.assertIn("reset", self.cpp.expect(rf"failed {number} (.*)")[1])
        self.assertLess(cpu_seconds_while(self.cpp.pid, 0.5), 0.05)
        self.listener.settimeout(ABSENCE)
        with self.assertRaises(TimeoutError):
            self.listener.accept()
        self.cpp.ask(f"close {TIMEOUT * 1000}", "closed .", timeout=5)

    def test_a_loss_in_the_middle_of_a_message_delivers_nothing_of_it(self):
        self.join()
        self.wire.send(frame(b"x" * 1000)[:-1])
        self.wire.close()
        self.assertIn("reset", self.cpp.ask("get", "error (.*)")[1])


class NoServerTest(InteropTest):
    def test_a_silent_listener_is_no_server(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        client = self.puppet("client", port=listener.getsockname()[1], connect_timeout=300)
        number = client.put(b"hello")
        self.assertIn("reset", client.ask("get", "error (.*)")[1])
        # It was handed to the network, which the base protocol takes for sent, or it failed.
        client.expect(rf"(?:done|failed) {number}.*")

    def test_a_server_that_comes_late_is_found(self):
        probe = socket.create_server(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        client = self.puppet("client", port=port)
        client.put(b"early")
        server = self.puppet("server", port=port)
        self.assertEqual(server.get_octets(), b"early")
        client.tell(f"close {TIMEOUT * 1000}")
        client.expect("closed 1")

    def test_a_server_that_never_comes_is_told_after_connect_timeout(self):
        probe = socket.create_server(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        client = self.puppet("client", port=port, connect_timeout=300)
        number = client.put(b"hello")
        self.assertIn("reset", client.expect(rf"failed {number} (.*)", timeout=10)[1])
        self.assertIn("reset", client.ask("get", "error (.*)")[1])


if __name__ == "__main__":
    unittest.main()
