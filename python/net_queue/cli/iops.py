# SPDX-License-Identifier: Apache-2.0
"""nq-test-iops: how fast messages move between a server program and a client program.

For i from min-size to max-size (exclusive) in steps of step-size, ((2^max)/(2^i))^step-expo
messages of 2^i octets, then one of 2^max (step-size 0: only that one), all of it reps times,
shuffled, in each direction for each client. Every message is a view of one numpy array.
"""

import argparse
import collections
import concurrent.futures
import random
import time
import uuid
from typing import Any

import net_queue as nq
from net_queue.cli.arguments import add_arguments, options_of
from net_queue.cli.report import Outcome, exit_code_of, progress, table

__all__ = ["main"]

_START = "start"
_EXPONENT_MAX = 40
_SEED = 1


class Bench:
    """One end's part of a run: the messages to move."""

    def __init__(self, arguments: argparse.Namespace, clients: int) -> None:
        import numpy

        self.sync = arguments.mode == "sync"
        self.clients = clients
        self.sizes = _sizes(arguments)
        self.octets = sum(self.sizes)
        self.moved = 0
        generator = numpy.random.Generator(numpy.random.PCG64(_SEED))
        self.array = numpy.frombuffer(generator.bytes(1 << arguments.max_size), numpy.uint8)

    def put_all(self, queue: nq.Communicator) -> nq.Future | None:
        """Puts everything without waiting for anything; the last future."""
        last = None
        for size in self.sizes:
            last = queue.put(self.array[:size])
        return last

    def get_all(self, queue: nq.Communicator) -> None:
        """Gets everything of every client."""
        left = collections.Counter({size: count * self.clients for size, count
                                    in collections.Counter(self.sizes).items()})
        for _ in range(len(self.sizes) * self.clients):
            size = _octets_in(queue.get().data)
            left[size] -= 1
            self.moved += size
        if any(left.values()):
            raise RuntimeError(f"wrong messages: too few (or many) of {+left} ({-left}) octets")

    def measure(self, queue: nq.Communicator, puts_first: bool) -> float:
        """Both directions; the seconds they took."""
        begun = time.perf_counter()
        last: nq.Future | None
        if not self.sync:
            with concurrent.futures.ThreadPoolExecutor(1) as other:
                putting = other.submit(self.put_all, queue)
                self.get_all(queue)
                last = putting.result()
        elif puts_first:
            last = self.put_all(queue)
            self.get_all(queue)
        else:
            self.get_all(queue)
            last = self.put_all(queue)
        if last is not None:
            last.result()
        return time.perf_counter() - begun


def _octets_in(data: Any) -> int:
    return int(data.nbytes) if hasattr(data, "nbytes") else len(data)


def _sizes(arguments: argparse.Namespace) -> list[int]:
    sizes = []
    if arguments.step_size > 0:
        for exponent in range(arguments.min_size, arguments.max_size, arguments.step_size):
            ratio = 2.0 ** (arguments.max_size - exponent)
            sizes += [1 << exponent] * round(ratio ** arguments.step_expo)
    sizes.append(1 << arguments.max_size)
    sizes *= arguments.reps
    random.Random(_SEED).shuffle(sizes)
    return sizes


def _run_server(arguments: argparse.Namespace) -> Outcome:
    bench = Bench(arguments, arguments.clients)
    total = bench.octets * arguments.clients
    with nq.new(arguments.protocol, arguments.purpose, options_of(arguments)) as queue:
        clients: set[uuid.UUID] = set()
        while len(clients) < arguments.clients:
            clients.add(queue.get().peer)
        with progress("server", total, lambda: bench.moved):
            queue.put(_START)
            seconds = bench.measure(queue, puts_first=False)
    return Outcome("server", seconds, len(bench.sizes) * arguments.clients, total)


def _run_one_client(arguments: argparse.Namespace, bench: Bench) -> float:
    with nq.new(arguments.protocol, arguments.purpose, options_of(arguments)) as queue:
        queue.put(_START).result()
        queue.get()
        return bench.measure(queue, puts_first=True)


def _run_client(arguments: argparse.Namespace) -> Outcome:
    time.sleep(arguments.delay)
    bench = Bench(arguments, 1)
    total = bench.octets * arguments.clients
    with (progress("client", total, lambda: bench.moved),
          concurrent.futures.ThreadPoolExecutor(arguments.clients) as clients):
        running = [clients.submit(_run_one_client, arguments, bench)
                   for _ in range(1, arguments.clients)]
        seconds = _run_one_client(arguments, bench)
        seconds = max([seconds, *(client.result() for client in running)])
    return Outcome("client", seconds, len(bench.sizes) * arguments.clients, total)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "nq-test-iops", description=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("mode", choices=("sync", "async"),
                        help="sync: the client puts all, then gets all; async: both at once")
    parser.add_argument("--delay", type=float, default=0, help="seconds before the client starts")
    parser.add_argument("--min-size", type=int, default=8, help="exponent of 2 (default: 8)")
    parser.add_argument("--step-size", type=int, default=2,
                        help="step of the exponent; 0: max-size alone (default: 2)")
    parser.add_argument("--max-size", type=int, default=32, help="exponent of 2 (default: 32)")
    parser.add_argument("--step-expo", type=float, default=0.5,
                        help="how the number falls with the size (default: 0.5)")
    parser.add_argument("--reps", type=int, default=1, help="repetitions of the list (default: 1)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one end; what it prints is what `nq bench` prints."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.max_size <= _EXPONENT_MAX:
        parser.error(f"--max-size: from 0 to {_EXPONENT_MAX}")
    if arguments.step_size < 0:
        parser.error("--step-size: not negative")
    if arguments.step_size > 0 and not 0 <= arguments.min_size <= arguments.max_size:
        parser.error("--min-size: from 0 to --max-size")
    if arguments.reps < 1:
        parser.error("--reps: at least 1")
    run = _run_server if arguments.purpose == nq.Purpose.SERVER else _run_client
    return exit_code_of(parser.prog, lambda: print(table(run(arguments))))


if __name__ == "__main__":
    raise SystemExit(main())
