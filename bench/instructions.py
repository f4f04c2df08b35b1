#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many instructions a message costs in user space, under callgrind: from put to the wire, and
from the wire to get (a look into the message included). Repeatable where times are not, so a test
compares them with the figures stored beside this script.

usage: instructions.py [--bin FOLDER] [--store]      --store: writes instructions.json

Each figure is what a run of many messages executes more than a run of few, per message. A put that
has to wait costs up to three times one that has not, and under callgrind, on a busy machine above
all, a sender may outrun its receiver: so what is above its bound, a multiple of the stored figure,
is measured again, and the least counts. Ends with 0 if none is above its bound in the end, 1 if one
is, 77 without valgrind. The bound of large messages is wide: how many calls they take depends on
how full the sockets' buffers are.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
STORED = pathlib.Path(__file__).with_suffix(".json")
SKIPPED = 77
# Octets of a message: how many messages in the short run and in the long one, and the bound.
RUNS = {64: (10_000, 60_000, 1.5), 256: (10_000, 60_000, 2), 2 << 20: (20, 120, 4)}
TRIES = 6


def collected(program, size, count):
    """Instructions of the two processes of a run: the client, which puts; the server, which gets.

    valgrind follows the fork, and says of each process what it collected. Nobody looks before
    sleeping: how often that is has nothing to do with what a message costs.
    """
    run = subprocess.Popen(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "oneway",
         f"--size={size}", f"--count={count}", "--busy-poll=0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _, said = run.communicate(timeout=60)
    totals = dict(re.findall(r"==(\d+)== Collected : (\d+)", said))
    if run.returncode or len(totals) != 2:
        raise SystemExit(f"{program} failed under valgrind:\n{said}")
    client = int(totals.pop(str(run.pid)))
    return client, int(*totals.values())


def measure(program, size):
    """The two figures of messages of this size, by name."""
    few, many, _ = RUNS[size]
    short, long = collected(program, size, few), collected(program, size, many)
    return {f"{name}, {size} octets": round((more - less) / (many - few))
            for name, less, more in zip(("put to wire", "wire to get"), short, long)}


def measure_within(program, stored):
    """All figures: each the least of so many tries as it takes to be within its bound."""
    figures = {}
    for size in RUNS:
        for _ in range(TRIES):
            of_size = measure(program, size)
            for name, now in of_size.items():
                figures[name] = min(now, figures.get(name, now))
            if all(figures[name] <= bound_of(name) * stored.get(name, 0) for name in of_size):
                break
    return figures


def bound_of(name):
    return next(bound for size, (_, _, bound) in RUNS.items() if name.endswith(f" {size} octets"))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    parser.add_argument("--store", action="store_true")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("left out: valgrind is not installed")
        return SKIPPED
    # What is to be stored is compared with nothing, so it is the least of all tries.
    stored = {} if arguments.store else json.loads(STORED.read_text(encoding="utf-8"))
    figures = measure_within(arguments.bin / "queue_bench", stored)
    if arguments.store:
        STORED.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        stored = figures
    if stored.keys() != figures.keys():
        raise SystemExit(f"{STORED.name} has other figures: run this with --store")
    above = False
    print(f"{'instructions per message':28}{'now':>10}{'stored':>10}{'ratio':>8}")
    for name, now in figures.items():
        ratio = now / stored[name]
        above |= ratio > bound_of(name)
        print(f"{name:28}{now:10,}{stored[name]:10,}{ratio:8.2f}")
    if above:
        print("more than the bound: a regression, or a reason to run this with --store and say why "
              "in the commit")
    return int(above)


if __name__ == "__main__":
    sys.exit(main())
