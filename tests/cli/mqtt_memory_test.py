# SPDX-License-Identifier: Apache-2.0
"""The memory of nq bench over MQTT (ctest label `heavy`)."""

import json
import unittest

from broker import Broker
from tool import ToolTest, nq

TIMEOUT = 900


class MqttMemoryTest(ToolTest):
    def run_bench(self, mode, *flags):
        broker = Broker()
        self.addCleanup(broker.close)
        path = self.path("out.json")
        self.assert_well(nq("bench", "mqtt", "both", mode, "--port", broker.port, "--json", path,
                            *flags, timeout=TIMEOUT))
        with open(path, encoding="utf-8") as file:
            return [result["peak_memory_bytes"] for result in json.load(file)["results"]]

    def test_1_7_gb_of_2_mib_messages_within_64_mb_each(self):
        for peak in self.run_bench("sync", "--step-size", 0, "--max-size", 21, "--reps", 400):
            self.assertLessEqual(peak, 64_000_000)

    def test_messages_up_to_1_gib(self):
        self.run_bench("async", "--min-size", 8, "--step-size", 2, "--max-size", 30)


if __name__ == "__main__":
    unittest.main()
