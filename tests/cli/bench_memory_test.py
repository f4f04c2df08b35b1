# SPDX-License-Identifier: Apache-2.0
"""Issue 2: the memory of long and of large benchmarks (ctest label `heavy`)."""

import json
import unittest

from tool import ToolTest, nq

TIMEOUT = 900


class BenchMemoryTest(ToolTest):
    def peaks(self, mode, *flags):
        path = self.path("out.json")
        self.assert_well(nq("bench", "tcp", "both", mode, "--json", path, *flags, timeout=TIMEOUT))
        with open(path, encoding="utf-8") as file:
            return [result["peak_memory_bytes"] for result in json.load(file)["results"]]

    def test_17_gb_of_2_mib_messages_within_40_mb_each(self):
        for peak in self.peaks("sync", "--step-size", 0, "--max-size", 21, "--reps", 4000):
            self.assertLessEqual(peak, 40_000_000)

    def test_messages_up_to_1_gib_within_20_gib(self):
        peaks = self.peaks("async", "--min-size", 8, "--step-size", 2, "--max-size", 30)
        self.assertLessEqual(sum(peaks), 20 << 30)

    def test_messages_up_to_4_gib_within_20_gib(self):
        peaks = self.peaks("async", "--min-size", 8, "--step-size", 2, "--max-size", 32)
        self.assertLessEqual(sum(peaks), 20 << 30)


if __name__ == "__main__":
    unittest.main()
