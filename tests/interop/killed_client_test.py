# SPDX-License-Identifier: Apache-2.0
"""Issue 2: a client killed (SIGKILL) in the middle of a message."""

import os
import signal
import subprocess
import sys
import threading
import unittest
import uuid

from harness import TIMEOUT, InteropTest, cpu_seconds_while, eventually, open_descriptors

MIB = 1 << 20
# Says who it is, sends half of a message, tells so, and waits to be killed.
DOOMED = """
import socket, struct, sys
wire = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
size = struct.Struct(">Q")
wire.sendall(size.pack(16) + bytes.fromhex(sys.argv[2]))
assert len(wire.recv(24, socket.MSG_WAITALL)) == 24
wire.sendall(size.pack(1 << 26) + bytes(1 << 25))
print("half sent", flush=True)
wire.recv(1)
sys.exit("nobody killed me")
"""


class Echoer:
    """A well-behaved client beside it all: its exchanges never fail, and never take long."""

    def __init__(self, test, server):
        self.client = test.old_client(server)
        self.exchanges = 0
        self.problems = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for_more(self, count):
        goal = self.exchanges + count
        eventually(lambda: self.problems or self.exchanges >= goal, "the neighbour's exchanges")

    def finish(self):
        self._stop.set()
        self._thread.join(TIMEOUT)
        self.client.close()
        return self.problems

    def _run(self):
        try:
            while not self._stop.is_set():
                octets = os.urandom(1000)
                self.client.put(octets)
                if self.client.get(TIMEOUT) != octets:
                    self.problems.append("other octets came back")
                self.exchanges += 1
        except Exception as error:  # Whatever it is, it is a finding.
            self.problems.append(repr(error))


class KilledClientTest(InteropTest):
    def setUp(self):
        self.cpp = self.server(session_expiry=TIMEOUT * 1000)
        self.id = uuid.uuid4()

    def kill_a_client(self):
        """Starts a client, kills it in the middle of a message."""
        doomed = subprocess.Popen([sys.executable, "-c", DOOMED, str(self.cpp.port), self.id.hex],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(doomed.stdout.close)
        self.addCleanup(doomed.wait)
        self.addCleanup(doomed.kill)
        self.assertEqual(doomed.stdout.readline(), "half sent\n")
        self.assertEqual(self.cpp.state_of(self.id), "open")
        doomed.kill()
        self.assertEqual(doomed.wait(TIMEOUT), -signal.SIGKILL)
        eventually(lambda: self.cpp.state_of(self.id) == "lost", "the loss is noticed")

    def test_others_do_not_notice(self):
        self.cpp.ask("echo", "echoing")
        neighbours = [Echoer(self, self.cpp) for _ in range(3)]
        for neighbour in neighbours:
            neighbour.wait_for_more(50)
        self.kill_a_client()
        for neighbour in neighbours:
            neighbour.wait_for_more(50)
            self.assertEqual(neighbour.finish(), [])

    def test_its_cpu_use_is_nil_afterwards(self):
        self.kill_a_client()
        # Half a second later the memory of the half message goes: under a sanitizer some 30 ms.
        self.assertLess(cpu_seconds_while(self.cpp.pid, 1), 0.2)
        self.assertLess(cpu_seconds_while(self.cpp.pid, 1), 0.03)

    def test_its_descriptor_is_given_back(self):
        before = open_descriptors(self.cpp.pid)
        self.kill_a_client()
        eventually(lambda: open_descriptors(self.cpp.pid) == before, "the socket is closed")

    def test_it_comes_back_under_its_id_and_gets_what_was_queued(self):
        self.kill_a_client()
        self.cpp.put(b"while you were away", self.id)
        self.cpp.put(b"to all")
        client = self.old_client(self.cpp, own_id=self.id)
        self.assertEqual(client.get(), b"while you were away")
        self.assertEqual(client.get(), b"to all")
        client.put(b"back again")
        self.assertEqual(self.cpp.get_octets(), b"back again")  # Nothing of the half message.
        client.close()

    def test_close_ends_in_time(self):
        self.kill_a_client()
        self.cpp.ask(f"close {TIMEOUT * 1000}", "closed .", timeout=5)
        self.assertEqual(self.cpp.finish(), 0)

    def test_the_session_is_kept_until_it_expires(self):
        self.cpp = self.server(session_expiry=1000)
        self.kill_a_client()
        self.assertEqual(self.cpp.state_of(self.id), "lost")
        self.cpp.expect(f"fin {self.id}")
        self.assertEqual(self.cpp.state_of(self.id), "unknown")


if __name__ == "__main__":
    unittest.main()
