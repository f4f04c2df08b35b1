# SPDX-License-Identifier: Apache-2.0
"""nq bench: small runs of everything, checked."""

import json
import re
import signal
import socket
import subprocess
import time
import unittest

from tool import TIMEOUT, ToolTest, nq

SMALL = ["--min-size", 4, "--step-size", 3, "--max-size", 16, "--verify"]


def sizes_of(low, step, high, expo, reps):
    """The list of the issue, counted apart from the tool."""
    sizes = [2**i for i in range(low, high, step)
             for _ in range(round((2**high / 2**i) ** expo))] if step else []
    return (sizes + [2**high]) * reps


class BenchTest(ToolTest):
    def run_both(self, mode, *flags):
        path = self.path("out.json")
        done = nq("bench", "tcp", "both", mode, "--json", path, *flags)
        self.assert_well(done)
        with open(path, encoding="utf-8") as file:
            return done.stdout.decode(), json.load(file)

    def assert_results(self, document, sizes, clients=1):
        self.assertEqual([result["role"] for result in document["results"]], ["server", "client"])
        for result in document["results"]:
            self.assertEqual(result["messages_each_way"], len(sizes) * clients)
            self.assertEqual(result["transfer_bytes"], 2 * sum(sizes) * clients)
            self.assertEqual(result["operations"], 2 * len(sizes) * clients)
            self.assertGreater(result["seconds"], 0)
            self.assertAlmostEqual(result["operations_per_second"],
                                   result["operations"] / result["seconds"],
                                   delta=1e-3 * result["operations_per_second"])
            self.assertAlmostEqual(result["gbps"],
                                   result["transfer_bytes"] * 8 / result["seconds"] / 1e9,
                                   delta=1e-3 * result["gbps"] + 1e-5)
            self.assertGreater(result["peak_memory_bytes"], 1 << 20)

    def test_both_modes_move_the_messages_of_the_issue(self):
        sizes = sizes_of(4, 3, 16, 0.5, 3)
        for mode in ("sync", "async"):
            with self.subTest(mode=mode):
                _, document = self.run_both(mode, *SMALL, "--reps", 3)
                self.assert_results(document, sizes)
                self.assertEqual(document["mode"], mode)

    def test_step_size_0_moves_the_largest_alone(self):
        _, document = self.run_both("sync", "--step-size", 0, "--max-size", 10, "--reps", 50)
        self.assert_results(document, [1024] * 50)

    def test_step_expo(self):
        _, document = self.run_both("async", *SMALL, "--step-expo", 0.3)
        self.assert_results(document, sizes_of(4, 3, 16, 0.3, 1))

    def test_many_clients(self):
        for mode in ("sync", "async"):
            with self.subTest(mode=mode):
                _, document = self.run_both(mode, *SMALL, "--clients", 7, "--workers", 2)
                self.assert_results(document, sizes_of(4, 3, 16, 0.5, 1), clients=7)

    def test_pickle(self):
        for mode in ("sync", "async"):
            with self.subTest(mode=mode):
                _, document = self.run_both(mode, *SMALL, "--pickle")
                self.assert_results(document, sizes_of(4, 3, 16, 0.5, 1))

    def test_switches_take_a_value_or_none(self):
        for flags, get_merge, put_merge in (
                ([], True, True), (["--get-merge", "--put-merge"], True, True),
                (["--no-get-merge", "--no-put-merge"], False, False),
                (["--get-merge", "false", "--put-merge", "true"], False, True),
                (["--get-merge=true", "--put-merge=false"], True, False)):
            with self.subTest(flags=flags):
                _, document = self.run_both("sync", *SMALL, *flags)
                self.assertEqual((document["get_merge"], document["put_merge"]),
                                 (get_merge, put_merge))

    def test_sizes_of_chunks_and_writes(self):
        for flags in (["--efficient-size", 0, "--transport-size", 10],
                      ["--efficient-size", 100, "--transport-size", 5000]):
            self.run_both("async", *SMALL, *flags)

    def test_the_table(self):
        text, _ = self.run_both("sync", "--step-size", 0, "--max-size", 20, "--reps", 20)
        header, *rows = text.splitlines()
        for title in ("time", "count x average size", "transfer", "Gbps", "operations",
                      "operations/s", "peak memory"):
            self.assertIn(title, header)
        self.assertEqual(len({len(line) for line in (header, *rows)}), 1, "aligned")
        for role, row in zip(("server", "client"), rows, strict=True):
            self.assertRegex(row, rf"^{role} +\d+\.\d+ s +20 x 1 MiB +41\.9 MB +[\d.]+ +40 +\d+ ")

    def test_apart(self):
        flags = [*SMALL, "--clients", 2]
        server = self.start("bench", "tcp", "server", "sync", "--port", 0, *flags)
        port = int(re.search(rb":(\d+)", server.stderr.readline())[1])
        client = nq("bench", "tcp", "client", "sync", "--port", port, *flags)
        self.assert_well(client)
        self.assertRegex(client.stdout.decode().splitlines()[1], "^client ")
        code, out, _ = self.finish(server)
        self.assertEqual(code, 0)
        self.assertRegex(out.decode().splitlines()[1], "^server ")

    def test_other_messages_than_agreed_are_an_error(self):
        server = self.start("bench", "tcp", "server", "sync", "--port", 0, "--step-size", 0,
                            "--max-size", 10, "--reps", 4)
        port = int(re.search(rb":(\d+)", server.stderr.readline())[1])
        client = self.start("bench", "tcp", "client", "sync", "--port", port, "--step-size", 0,
                            "--max-size", 11, "--reps", 4)
        code, _, stderr = self.finish(server)
        self.assertEqual(code, 1)
        self.assertIn("wrong messages", stderr)
        self.assertEqual(self.finish(client)[0], 1)

    def test_ctrl_c_ends_a_client_whose_server_is_silent(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(TIMEOUT)
            client = self.start("bench", "tcp", "client", "sync", *SMALL,
                                "--port", listener.getsockname()[1])
            connection, _ = listener.accept()
            with connection:
                client.send_signal(signal.SIGINT)
                self.assertEqual(self.finish(client)[0], 130)

    def test_ctrl_c_ends_both(self):
        both = self.start("bench", "tcp", "both", "sync", "--step-size", 0, "--max-size", 24,
                          "--reps", 100_000, start_new_session=True)
        with self.assertRaises(subprocess.TimeoutExpired):
            both.wait(1)
        both.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(both)[0], 130)

    def test_a_delay_is_kept(self):
        begun = time.monotonic()
        self.run_both("sync", "--step-size", 0, "--max-size", 4, "--delay", 0.7)
        self.assertGreater(time.monotonic() - begun, 0.7)


if __name__ == "__main__":
    unittest.main()
