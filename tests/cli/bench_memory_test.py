# SPDX-License-Identifier: Apache-2.0
"""The memory of long and of large benchmarks (ctest label `heavy`); mqtt_memory_test has MQTT's."""

import json
import os
import unittest

from tool import ToolTest, nq

TIMEOUT = 900


class Bench:
    """Both runs of one protocol. Octets at most: each process's peak in the first, both processes'
    in the second (4 GiB of messages are in flight there)."""

    sum_most = 20 << 30

    def peaks(self, mode, *flags):
        path = self.path("out.json")
        protocol, *switches = self.protocol
        self.assert_well(nq("bench", protocol, "both", mode, *switches, "--json", path, *flags,
                            timeout=TIMEOUT, folder=self.folder))
        with open(path, encoding="utf-8") as file:
            return [result["peak_memory_bytes"] for result in json.load(file)["results"]]

    def test_17_gb_of_2_mib_messages(self):
        for peak in self.peaks("sync", "--step-size", 0, "--max-size", 21, "--reps", 4000):
            self.assertLessEqual(peak, self.peak_most)

    def test_messages_up_to_1_gib(self):
        peaks = self.peaks("async", "--min-size", 8, "--step-size", 2, "--max-size", 30)
        self.assertLessEqual(sum(peaks), self.sum_most)


class TcpTest(Bench, ToolTest):
    protocol = ("tcp",)
    peak_most = 40_000_000

    def test_messages_up_to_4_gib(self):
        peaks = self.peaks("async", "--min-size", 8, "--step-size", 2, "--max-size", 32)
        self.assertLessEqual(sum(peaks), self.sum_most)


@unittest.skipUnless(os.environ.get("NQ_TLS", "ON") == "ON", "built without TLS")
class TlsTest(Bench, ToolTest):
    protocol = ("tcp", "--secure")
    peak_most = 64_000_000

    def setUp(self):
        super().setUp()
        self.make_authority()


@unittest.skipUnless(os.environ.get("NQ_GRPC", "ON") == "ON", "built without gRPC")
class GrpcTest(Bench, ToolTest):
    protocol = ("grpc",)
    peak_most = 64_000_000


if __name__ == "__main__":
    unittest.main()
