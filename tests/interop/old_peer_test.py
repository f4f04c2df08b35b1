# SPDX-License-Identifier: Apache-2.0
"""The independent peer against itself: what the other tests stand on."""

import os
import subprocess
import sys
import unittest
import uuid

from old_peer import Ended, LinkLost, OldClient, OldServer, Wire, frame

TIMEOUT = 10


class OldPeerTest(unittest.TestCase):
    def setUp(self):
        self.server = OldServer(timeout=TIMEOUT)
        self.addCleanup(self.server.abort)

    def client(self, **options):
        return OldClient(self.server.host, self.server.port, timeout=TIMEOUT, **options)

    def test_objects_go_both_ways(self):
        with self.client() as client:
            client.put({"a": [1, 2.5, None], "b": b"\0" * 100_000})
            peer, thing = self.server.get()
            self.assertEqual(peer, client.id)
            self.assertEqual(thing, {"a": [1, 2.5, None], "b": b"\0" * 100_000})
            self.server.put("answer", peer)
            self.assertEqual(client.get(), "answer")
        self.server.close()

    def test_what_is_queued_arrives_before_fin(self):
        client = self.client()
        client.put("last words")
        self.server.get()
        self.server.put("late", client.id)
        client.close()
        self.assertEqual(client.get(), "late")
        with self.assertRaises(Ended):
            client.get()

    def test_many_clients_each_get_their_own(self):
        clients = [self.client() for _ in range(20)]
        self.server.wait_for_peers(20)
        for client in clients:
            self.server.put(str(client.id), client.id)
        self.server.put("all")
        for client in clients:
            self.assertEqual([client.get(), client.get()], [str(client.id), "all"])
            client.close()
        self.server.close()

    def test_a_client_that_goes_without_fin_is_an_error(self):
        client = self.client()
        client.put(1)
        self.server.get()
        client.link.abort()
        with self.assertRaises(LinkLost):
            self.server.close()

    def test_the_server_speaks_once_one_octet_has_arrived(self):
        wire = Wire.connect(self.server.host, self.server.port, TIMEOUT)
        self.addCleanup(wire.close)
        own_id = uuid.uuid4()
        ini = frame(own_id.bytes)
        wire.send(ini[:1])
        self.assertEqual(wire.read_frame(), self.server.id.bytes)
        wire.send(ini[1:] + ini)
        self.assertEqual(wire.read_frame(), self.server.id.bytes)

    def test_the_octets_are_those_of_the_page(self):
        self.assertEqual(frame(b""), b"\0" * 8)
        self.assertEqual(frame(b"ab"), b"\0\0\0\0\0\0\0\2ab")

    def test_the_program_by_itself(self):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "old_peer.py")
        server = subprocess.Popen([sys.executable, program, "server", "--port=0", "--count=2"],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        port = server.stdout.readline().rsplit(":", 1)[1].strip()
        client = subprocess.run([sys.executable, program, "client", "--port", port, "one", "two"],
                                stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True)
        self.assertEqual(client.stdout, "one\ntwo\n")
        self.assertEqual(server.wait(TIMEOUT), 0)


if __name__ == "__main__":
    unittest.main()
