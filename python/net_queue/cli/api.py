# SPDX-License-Identifier: Apache-2.0
"""nq-test-api: goes through what a communicator can do, between a server program and a client one.

Start the server, then the client (or, with --clients N, one client program that opens N). Every
step that went well is a line; the first that did not ends the program with exit code 1.
"""

import argparse
import concurrent.futures
import datetime
import decimal
import fractions
import queue
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import net_queue as nq
from net_queue.cli.arguments import add_arguments, options_of
from net_queue.cli.report import exit_code_of

__all__ = ["main"]

#: Seconds for what takes a moment.
_PATIENCE = 60


def _objects() -> Iterator[tuple[str, Any]]:
    import numpy

    yield "None and booleans", [None, True, False]
    yield "integers", [0, -1, 255, 1 << 31, -(1 << 63), 1 << 100]
    yield "floats and complex", [0.0, -1.5, float("inf"), 1 - 2j]
    yield "texts", ["", "Hello, Server!", "grüß dich \N{SNOWMAN}", "x" * 100_000]
    yield "octets", [b"", b"\0\xff", bytearray(b"abc"), b"y" * 3_000_000, bytearray(1 << 17)]
    yield "containers", [(), (1, (2,)), [[]], {"a": {1: 2}}, {1, 2}, frozenset("ab")]
    yield "times", [datetime.datetime(2026, 2, 3, 4, 5, 6, 7), datetime.timedelta(days=-1)]
    yield "numbers of the library", [decimal.Decimal("1.50"), fractions.Fraction(1, 3)]
    yield "an id", uuid.uuid4()
    yield "an exception", OSError(2, "no such file")
    yield "arrays", [numpy.arange(5), numpy.eye(300), numpy.array([[1, 2], [3, 4]], order="F")]
    yield "an array of 16 MiB", numpy.arange(1 << 22, dtype=numpy.uint32)


def _same(a: Any, b: Any) -> bool:
    import numpy

    if isinstance(a, numpy.ndarray):
        return bool(a.dtype == b.dtype and a.shape == b.shape and (a == b).all())
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, BaseException):
        return type(a) is type(b) and a.args == b.args
    return type(a) is type(b) and bool(a == b)


class Steps:
    """Prints what was tried, and stops at what failed."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._count = 0

    def require(self, what: str, condition: bool) -> None:
        if not condition:
            raise RuntimeError(f"{self._role}: {what}: failed")
        self._count += 1
        self._say(f"{what}: ok")

    def raises(self, what: str, kind: type[BaseException], call: Callable[[], object]) -> None:
        try:
            call()
        except kind:
            self.require(what, True)
        else:
            self.require(f"{what} ({kind.__name__})", False)

    def finish(self) -> None:
        self._say(f"all {self._count} steps ok")

    def _say(self, text: str) -> None:
        # In one piece: print() writes the end of a line on its own, and other clients between.
        sys.stdout.write(f"{self._role}: {text}\n")
        sys.stdout.flush()


def _run_server(arguments: argparse.Namespace) -> None:
    steps = Steps("server")
    server = nq.new(arguments.protocol, arguments.purpose, options_of(arguments))
    with server:
        clients: list[uuid.UUID] = []
        while len(clients) < arguments.clients:
            message = server.get()
            steps.require(f"client {message.peer} says hello", message.data == "hello")
            clients.append(message.peer)
        steps.require("peers", set(server.peers()) == set(clients))
        broadcast = server.put("welcome")
        broadcast.result(_PATIENCE)
        steps.require("a future for each peer of a broadcast",
                      set(broadcast.futures) == set(clients))
        for name, _ in _objects():
            for client in clients:
                server.put(server.get(client).data, client)
            steps.require(f"{name} there and back", True)
        steps.require("in the order they were put",
                      all(server.get(client).data == number
                          for client in clients for number in range(1000)))
        steps.raises("nothing there", queue.Empty, lambda: server.get(timeout=0))
        unknown = server.put("x", uuid.uuid4())
        steps.raises("nobody of that name", ConnectionError, lambda: unknown.result(_PATIENCE))
        server.put("goodbye")
    steps.raises("get after close", ConnectionAbortedError, server.get)
    steps.raises("put after close", ConnectionAbortedError, server.put("late").result)
    steps.finish()


def _run_one_client(arguments: argparse.Namespace, role: str) -> None:
    steps = Steps(role)
    client = nq.new(arguments.protocol, arguments.purpose, options_of(arguments))
    with client:
        client.put("hello").result(_PATIENCE)
        welcome = client.get(timeout=_PATIENCE)
        steps.require("the server welcomes us", welcome.data == "welcome")
        steps.require("peers", client.peers() == [welcome.peer])
        for name, value in _objects():
            client.put(value)
            steps.require(f"{name} there and back", _same(value, client.get(welcome.peer).data))
        futures = [client.put(number) for number in range(1000)]
        done, _ = concurrent.futures.wait(futures, _PATIENCE)
        steps.require("1000 futures", len(done) == len(futures))
        steps.require("the server says goodbye", client.get().data == "goodbye")
    steps.raises("get after close", ConnectionAbortedError, client.get)
    steps.finish()


def _run_client(arguments: argparse.Namespace) -> None:
    with concurrent.futures.ThreadPoolExecutor(arguments.clients) as clients:
        running = [clients.submit(_run_one_client, arguments, f"client {number}")
                   for number in range(1, arguments.clients + 1)]
        for client in running:
            client.result()


def main(argv: list[str] | None = None) -> int:
    """Runs one end."""
    parser = argparse.ArgumentParser(
        "nq-test-api", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    run = _run_server if arguments.purpose == nq.Purpose.SERVER else _run_client
    return exit_code_of(parser.prog, lambda: run(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
