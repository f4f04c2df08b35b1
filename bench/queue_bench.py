#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The workloads of two processes through a Python package net_queue: large messages are views of a
numpy array, pickled; small ones bytes, as they are. Keeps to what net-queue 2.1 has too, so that
any package with that interface can be measured.

usage: queue_bench.py sync|async|oneway|roundtrip --size OCTETS --count N
       queue_bench.py sync|async --mix EXPONENT
"""

import argparse
import collections
import contextlib
import json
import multiprocessing
import resource
import socket
import threading
import time

import net_queue as nq
import numpy
from net_queue.utils.streamtools import BytesSerializer

# As queue_bench: what may be queued before the sender waits for the first, and how often it looks.
WINDOW = 16_384
WINDOW_STEP = 1_024
LARGE = 64 << 10


def mixed_sizes(exponent):
    """As Messages::mix has them, in the same order."""
    sizes = [1 << i for i in range(8, exponent, 2) for _ in range(1 << (exponent - i) // 2)]
    sizes.append(1 << exponent)
    state = 1
    for i in range(len(sizes), 1, -1):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        other = (state >> 33) % i
        sizes[i - 1], sizes[other] = sizes[other], sizes[i - 1]
    return sizes


class End:
    """One end of a connection, and the messages that it moves."""

    def __init__(self, arguments, purpose, port):
        if arguments.mix:
            self.sizes = mixed_sizes(arguments.mix)
        else:
            self.sizes = [arguments.size] * arguments.count
        self.word = [min(self.sizes)]
        largest = max(self.sizes)
        octets = (bytes(range(256)) * (largest // 256 + 1))[:largest]
        self.arrays = largest >= LARGE
        self.content = numpy.frombuffer(octets, numpy.uint8) if self.arrays else octets
        self.queue = nq.new(nq.Protocol.TCP, purpose, nq.CommunicatorOptions(
            netloc=nq.NetworkLocation(port=port), serialization=self.serialization()))

    def serialization(self):
        octets = BytesSerializer()
        return (nq.SerializationOptions() if self.arrays else
                nq.SerializationOptions(octets.load, octets.dump))

    def put(self, sizes):
        window, content, put = collections.deque(), self.content, self.queue.put
        whole = len(content)
        for number, size in enumerate(sizes):
            future = put(content if size == whole else content[:size])
            if number % WINDOW_STEP:
                continue
            window.append(future)
            if len(window) * WINDOW_STEP > WINDOW:
                window.popleft().result()

    def get(self, sizes):
        for size in sizes:
            data = self.queue.get().data
            if len(data) != size:
                raise SystemExit("a message arrived with another size")
            if self.arrays:
                data[::4096].max()  # looks at each page

    def put_and_get(self, sizes):
        putting = threading.Thread(target=self.put, args=(sizes,))
        putting.start()
        self.get(sizes)
        putting.join()


def serve(arguments, port):
    end = End(arguments, nq.Purpose.SERVER, port)
    with end.queue:
        end.get(end.word)
        end.put(end.word)
        if arguments.workload == "roundtrip":
            for _ in end.sizes:
                end.get(end.word)
                end.put(end.word)
        elif arguments.workload == "async":
            end.put_and_get(end.sizes)
            end.put(end.word)
        else:
            end.get(end.sizes)
            end.put(end.sizes if arguments.workload == "sync" else end.word)


def measure(arguments, port):
    end = End(arguments, nq.Purpose.CLIENT, port)
    with end.queue:
        end.put(end.word)
        end.get(end.word)
        begun = time.perf_counter()
        if arguments.workload == "roundtrip":
            for _ in end.sizes:
                end.put(end.word)
                end.get(end.word)
        elif arguments.workload == "async":
            end.put_and_get(end.sizes)
            end.get(end.word)
        else:
            end.put(end.sizes)
            end.get(end.sizes if arguments.workload == "sync" else end.word)
        return time.perf_counter() - begun, end.sizes


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def is_listening(port):
    """By what the kernel tells: a connection that says nothing would be another client."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as lines:
            for _, local, _, state, *_ in map(str.split, lines):
                if state == "0A" and local.endswith(f":{port:04X}"):
                    return True
    return False


def wait_until_listening(server, port):
    while not is_listening(port):
        if not server.is_alive():
            raise SystemExit("the server did not start")
        time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=("sync", "async", "oneway", "roundtrip"))
    parser.add_argument("--size", type=int)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--mix", type=int)
    arguments = parser.parse_args()
    port = free_port()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(arguments, port))
    server.start()
    wait_until_listening(server, port)
    seconds, sizes = measure(arguments, port)
    server.join()
    own, other = (resource.getrusage(who)
                  for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    version = getattr(nq, "__version__", "")
    print(json.dumps({
        "library": f"Python package net-queue {version}".strip(), "workload": arguments.workload,
        "messages": len(sizes), "octets": sum(sizes), "seconds": seconds,
        "server_cpu_seconds": other.ru_utime + other.ru_stime,
        "client_cpu_seconds": own.ru_utime + own.ru_stime,
        "server_peak_octets": other.ru_maxrss * 1024, "client_peak_octets": own.ru_maxrss * 1024}))
    if server.exitcode:
        raise SystemExit("the server failed")


if __name__ == "__main__":
    main()
