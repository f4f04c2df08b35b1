# SPDX-License-Identifier: Apache-2.0
"""Sends arrays to statistics_server, a program in C++. usage: statistics_client.py [port]"""

import sys

import net_queue as nq
import numpy


def main(port: int) -> None:
    options = nq.CommunicatorOptions(netloc=nq.NetworkLocation(port=port))
    with nq.new(options=options) as queue:
        numbers = numpy.linspace(-1, 1, 1_000_001)
        queue.put(numbers)                       # from the array's own memory
        found = queue.get().data
        print(found)
        assert found["min"] == -1 and found["max"] == 1 and abs(found["sum"]) < 1e-6
        queue.put("that's all")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 51966)
