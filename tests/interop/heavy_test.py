# SPDX-License-Identifier: Apache-2.0
"""Issue 2: a message of 5 GiB arrives intact, in both directions (ctest label `heavy`)."""

import unittest
import zlib

from harness import InteropTest, fill

SIZE = 5 << 30
PIECE = fill(251 << 14, 0)  # Whole periods: piece after piece continues the pattern.
TIMEOUT = 600


def pieces():
    for _ in range(SIZE // len(PIECE)):
        yield PIECE
    yield PIECE[:SIZE % len(PIECE)]


def digest():
    value = 1
    for piece in pieces():
        value = zlib.adler32(piece, value)
    return value


class HeavyTest(InteropTest):
    def test_to_our_server_and_back(self):
        server = self.server()
        client = self.old_client(server, digest=True)
        client.put_pieces(pieces(), SIZE)
        line = server.ask("get 600000", rf"message {client.id} (\d+) (\d+)", TIMEOUT)
        self.assertEqual((int(line[1]), int(line[2])), (SIZE, digest()))
        server.tell(f"fill {SIZE} 0 {client.id}")
        self.assertEqual(client.get(TIMEOUT), (SIZE, digest()))
        client.close(TIMEOUT)

    def test_to_our_client(self):
        server = self.old_server(digest=True)
        client = self.puppet("client", port=server.port)
        self.assertEqual(server.wait_for_peers(1), [client.id])
        server.link(client.id).put(pieces(), size=SIZE)
        line = client.ask("get 600000", rf"message {server.id} (\d+) (\d+)", TIMEOUT)
        self.assertEqual((int(line[1]), int(line[2])), (SIZE, digest()))


if __name__ == "__main__":
    unittest.main()
