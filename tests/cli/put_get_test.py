# SPDX-License-Identifier: Apache-2.0
"""nq put and nq get: between themselves, and with the independent peer."""

import os
import pty
import select
import signal
import socket
import subprocess
import time
import unittest
import uuid

from old_peer import Ended, OldClient, OldServer
from tool import NQ, TIMEOUT, ToolTest, nq, unused_port

OCTETS = bytes(range(256)) * 4000


class PutGetTest(ToolTest):
    def assert_put_arrives(self, put, get, expected, stdin=b""):
        server, port = self.start_server("get", *get)
        self.assert_well(nq("put", "--port", port, *put, stdin=stdin))
        self.assert_finished_well(server, expected)

    def test_arguments_arrive_as_lines(self):
        self.assert_put_arrives(["Hello", "World", ""], ["-n", 3], b"Hello\nWorld\n\n")

    def test_arguments_as_octets(self):
        self.assert_put_arrives(["--bytes", "Hello", "World"], ["--bytes", "-n", 2], b"HelloWorld")

    def test_stdin_is_one_message(self):
        self.assert_put_arrives([], [], OCTETS, stdin=OCTETS)
        self.assert_put_arrives(["--bytes"], ["--bytes"], OCTETS, stdin=OCTETS)
        self.assert_put_arrives(["--bytes"], ["--bytes"], b"")

    def test_files_are_messages_in_order(self):
        files = [self.file(name, octets) for name, octets in
                 (("a", OCTETS), ("empty", b""), ("b", b"second"))]
        flags = [flag for file in files for flag in ("-f", file)]
        self.assert_put_arrives(flags, ["-n", 3], OCTETS + b"second")
        self.assert_put_arrives(["--bytes", *flags], ["--bytes", "-n", 3], OCTETS + b"second")

    def test_stdin_from_a_file_is_the_file(self):
        server, port = self.start_server("get", "--bytes")
        with open(self.file("in", OCTETS), "rb") as file:
            subprocess.run([NQ, "put", "--bytes", "--port", str(port)], stdin=file, check=True,
                           timeout=TIMEOUT)
        self.assert_finished_well(server, OCTETS)

    def test_count_repeats(self):
        self.assert_put_arrives(["-n", 3, "a", "b"], ["-n", 6], b"a\nb\na\nb\na\nb\n")

    def test_output_goes_to_a_file(self):
        self.assert_put_arrives(["-f", self.file("in", OCTETS)], ["-o", self.path("out")], b"")
        with open(self.path("out"), "rb") as file:
            self.assertEqual(file.read(), OCTETS)

    def test_the_server_puts_to_its_clients(self):
        server, port = self.start_server("put", "--clients", 2, "to all")
        clients = [self.start("get", "--port", port) for _ in range(2)]
        for client in clients:
            self.assert_finished_well(client, b"to all\n")
        self.assert_finished_well(server)

    def test_the_server_puts_to_one(self):
        mine = uuid.uuid4()
        server, port = self.start_server("put", "--to", mine, "for you alone")
        with OldClient("127.0.0.1", port, timeout=TIMEOUT) as other:
            self.assertTrue(other.link.identified.wait(TIMEOUT))
            client = self.start("get", "--port", port, "--id", mine)
            self.assert_finished_well(client, b"for you alone\n")
        with self.assertRaises(Ended):
            other.get()
        self.assert_finished_well(server)

    def test_get_from_one(self):
        wanted = uuid.uuid4()
        server, port = self.start_server("get", "--from", wanted, "--show-peer")
        self.assert_well(nq("put", "--port", port, "from somebody else"))
        self.assert_well(nq("put", "--port", port, "--id", wanted, "from the one"))
        self.assert_finished_well(server, f"{wanted}: from the one\n".encode())

    def test_the_client_names_its_server(self):
        own_id = uuid.uuid4()
        server, port = self.start_server("get", "--id", own_id)
        self.assert_fails(nq("put", "--port", port, "--to", uuid.uuid4(), "x"), 1, "nq: ")
        self.assert_well(nq("put", "--port", port, "--to", own_id, "x"))
        self.assert_finished_well(server, b"x\n")


class OldPeerTest(ToolTest):
    def test_put_to_an_old_server(self):
        with OldServer(timeout=TIMEOUT) as server:
            self.assert_well(nq("put", "--port", server.port, "Hello", "-f",
                                self.file("in", OCTETS)))
            self.assertEqual([server.get()[1] for _ in range(2)], ["Hello", OCTETS])

    def test_get_from_an_old_server_prints_what_python_would(self):
        with OldServer(timeout=TIMEOUT) as server:
            client = self.start("get", "--port", server.port, "-n", 3)
            for thing in ({"a": [1, None]}, "text", b"octets"):
                server.put(thing, server.wait_for_peers(1)[0])
            self.assert_finished_well(client, b"{'a': [1, None]}\ntext\noctets")

    def test_get_as_a_server_of_an_old_client(self):
        server, port = self.start_server("get", "-n", 2)
        with OldClient("127.0.0.1", port, timeout=TIMEOUT) as client:
            client.put((1, 2))
            client.put("text")
        self.assert_finished_well(server, b"(1, 2)\ntext\n")

    def test_put_as_a_server_to_an_old_client(self):
        server, port = self.start_server("put", "Hello")
        with OldClient("127.0.0.1", port, timeout=TIMEOUT) as client:
            self.assertEqual(client.get(), "Hello")
        self.assert_finished_well(server)


class ErrorTest(ToolTest):
    def test_nobody_there(self):
        begun = time.monotonic()
        done = nq("put", "--port", unused_port(), "--connect-timeout", 0.3, "x")
        self.assert_fails(done, 1, "nq: .*127.0.0.1")
        self.assertLess(time.monotonic() - begun, 10)

    def test_a_silent_listener(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            done = nq("get", "--port", listener.getsockname()[1], "--connect-timeout", 0.3)
        self.assert_fails(done, 1, "nq: .*")

    def test_a_name_that_does_not_resolve(self):
        done = nq("put", "--host", "no-such-host.invalid", "--connect-timeout", 0.5, "x")
        self.assert_fails(done, 1, "no-such-host.invalid")

    def test_a_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            done = nq("get", "--server", "--port", port)
            self.assert_fails(done, 1, rf"127.0.0.1:{port}.*in use")

    def test_a_file_that_is_not_there(self):
        self.assert_fails(nq("put", "-f", self.path("none")), 1, "none: No such file")

    def test_an_output_that_can_not_be_written(self):
        server, port = self.start_server("get", "-o", "/dev/full")
        nq("put", "--port", port, "x")
        code, _, stderr = self.finish(server)
        self.assertEqual(code, 1)
        self.assertIn("No space left", stderr)

    def test_a_message_that_is_no_pickle(self):
        server, port = self.start_server("get")
        nq("put", "--bytes", "--port", port, "no pickle")
        code, _, stderr = self.finish(server)
        self.assertEqual(code, 1)
        self.assertRegex(stderr, "nq: .*pickle")

    def test_no_message_in_time(self):
        server, _ = self.start_server("get", "--timeout", 0.2)
        code, _, stderr = self.finish(server)
        self.assertEqual(code, 1)
        self.assertIn("timed out", stderr)

    def test_ctrl_c_ends_a_waiting_server(self):
        for command in (["get"], ["put", "x"]):
            server, _ = self.start_server(*command)
            server.send_signal(signal.SIGINT)
            self.assertEqual(self.finish(server)[0], 130)

    def test_giving_up_says_goodbye(self):
        with OldServer(timeout=TIMEOUT) as server:
            client = self.start("get", "--port", server.port, "--timeout", 0.5)
            server.wait_for_peers(1)
            self.assertEqual(self.finish(client)[0], 1)
            self.assertTrue(server.links()[0].fin_received.wait(TIMEOUT))

    def test_ctrl_c_says_goodbye(self):
        with OldServer(timeout=TIMEOUT) as server:
            client = self.start("get", "--port", server.port)
            server.wait_for_peers(1)
            client.send_signal(signal.SIGINT)
            self.assertEqual(self.finish(client)[0], 130)
            self.assertTrue(server.links()[0].fin_received.wait(TIMEOUT))


class ProgressTest(ToolTest):
    def test_a_terminal_shows_progress_with_rate(self):
        # A server that reads nothing: the put lasts until it is interrupted.
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)
        path = self.path("big")
        with open(path, "wb") as file:
            file.truncate(200 << 20)
        client = subprocess.Popen([NQ, "put", "--bytes", "-f", path, "-f", path, "--port",
                                   str(listener.getsockname()[1])], stderr=follower)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        os.close(follower)
        shown = self.read_until(leader, b"/s")
        self.assertRegex(shown, rb"put  \[[#.]+\]  \d+%  .* of 419.4 MB  .*/s")
        client.send_signal(signal.SIGINT)
        self.assertEqual(client.wait(TIMEOUT), 130)

    def read_until(self, descriptor, octets):
        shown, deadline = b"", time.monotonic() + TIMEOUT
        while octets not in shown:
            ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
            self.assertTrue(ready, shown)
            shown += os.read(descriptor, 4096)
        return shown


if __name__ == "__main__":
    unittest.main()
