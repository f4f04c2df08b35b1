# SPDX-License-Identifier: Apache-2.0
"""Figures for people: what `nq bench` prints."""

import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["Outcome", "exit_code_of", "progress", "table"]

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
#: Seconds before the first line about progress, and between two.
_PATIENCE = 0.5


class Outcome(NamedTuple):
    """What one process did: messages and octets are those of one direction."""

    role: str
    seconds: float
    messages: int
    octets: int


def _scaled(octets: float, base: int, units: Sequence[str]) -> str:
    unit = 0
    while octets >= base and unit + 1 < len(units):
        octets /= base
        unit += 1
    number = f"{octets:.{0 if unit == 0 else 2 if octets < 10 else 1}f}"
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return f"{number} {units[unit]}"


def table(outcome: Outcome) -> str:
    """Time, what was moved, how fast (both directions count), and the peak of memory."""
    transfer = 2 * outcome.octets
    operations = 2 * outcome.messages
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rows = (
        ("", "time", "count x average size", "transfer", "Gbps", "operations", "operations/s",
         "peak memory"),
        (outcome.role, f"{outcome.seconds:.3f} s",
         f"{outcome.messages} x {_scaled(outcome.octets / outcome.messages, 1024, _BINARY)}",
         _scaled(transfer, 1000, _DECIMAL), f"{transfer * 8 / outcome.seconds / 1e9:.2f}",
         str(operations), f"{operations / outcome.seconds:.0f}",
         _scaled(peak, 1000, _DECIMAL)),
    )
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in rows)


def exit_code_of(program: str, run: Callable[[], None]) -> int:
    """Runs it; what goes wrong with the network, or with what came over it, is a line on stderr."""
    try:
        run()
    except (OSError, RuntimeError) as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        print(f"{program}: {error or type(error).__name__}{notes}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def progress(label: str, total: int, done: Callable[[], int]) -> Iterator[None]:
    """A line on the terminal, where stderr is one, that tells how far it is."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()

    def draw() -> None:
        begun = time.monotonic()
        while not over.wait(_PATIENCE):
            moved = done()
            rate = moved / (time.monotonic() - begun)
            left = f", {(total - moved) / rate:.0f} s left" if rate else ""
            sys.stderr.write(f"\r\x1b[K{label}: {100 * moved // max(total, 1)} %, "
                             f"{_scaled(rate, 1000, _DECIMAL)}/s{left}")
            sys.stderr.flush()
        sys.stderr.write("\r\x1b[K")

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
