# SPDX-License-Identifier: Apache-2.0
"""nq with --secure, --key and --certificate."""

import json
import subprocess
import unittest

from tool import NQ, TIMEOUT, ToolTest, nq


class TlsTest(ToolTest):
    def setUp(self):
        super().setUp()
        self.make_authority()
        self.own = ["--key", self.path("server.key"), "--certificate", self.path("server.pem")]

    def test_a_message_each_way(self):
        server, port = self.start_server("get", *self.own)
        self.assert_well(nq("put", "--port", port, "--certificate", self.path("authority.pem"),
                            "Hello, TLS!"))
        self.assertEqual(self.finish(server)[:2], (0, b"Hello, TLS!\n"))
        server, port = self.start_server("put", "--clients", 1, *self.own, "Hello, client!")
        done = nq("get", "--port", port, "--certificate", self.path("authority.pem"))
        self.assertEqual((done.returncode, done.stdout), (0, b"Hello, client!\n"))
        self.assertEqual(self.finish(server)[0], 0)

    def test_a_server_that_is_not_trusted_is_told_in_words(self):
        server, port = self.start_server("get", *self.own)
        done = nq("put", "--port", port, "--secure", "Hello?")  # the system does not know it
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"certificate verify failed", done.stderr)
        self.assertIsNone(server.poll())

    def test_a_key_that_is_not_the_certificate_s(self):
        done = nq("get", "--server", "--port", 0, "--key", self.path("client.key"),
                  "--certificate", self.path("server.pem"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"key values mismatch", done.stderr)

    def test_bench_takes_key_and_certificate_from_the_working_directory(self):
        subprocess.run([NQ, "bench", "tcp", "both", "async", "--secure", "--min-size", "4",
                        "--max-size", "16", "--verify", "--json", "out.json"], cwd=self.folder,
                       check=True, stdout=subprocess.DEVNULL, timeout=TIMEOUT)
        with open(self.path("out.json"), encoding="utf-8") as file:
            self.assertEqual(len(json.load(file)["results"]), 2)


if __name__ == "__main__":
    unittest.main()
