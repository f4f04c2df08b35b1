#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The four tables of the README: how long `nq bench` takes over each protocol, what it transfers,
how many operations a second, how much memory. As Markdown; each figure the median of the rounds.

usage: bench/tables.py [--bin FOLDER] [--rounds N] [--quick] [--json FILE]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import report
from compare import ROOT, running_broker

PROTOCOLS = ("tcp", "mqtt", "grpc")
LARGE = ("--step-size", "0", "--max-size", "21")
#: For each column: the mode, and what is moved; `reps` and the mix's exponent shrink with --quick.
WORKLOADS = {
    "sync": lambda quick: ("sync", *LARGE, "--reps", "100" if quick else "1000"),
    "async": lambda quick: ("async", *LARGE, "--reps", "100" if quick else "1000"),
    "mix": lambda quick: ("async", "--min-size", "8", "--step-size", "2",
                          "--max-size", "24" if quick else "30"),
}
#: Title, unit, and the figure of a run: of the slower end, or the larger.
TABLES = (
    ("Time", "s", lambda ends: f"{max(end['seconds'] for end in ends):.2f}"),
    ("Transfer", "Gbit/s", lambda ends: f"{min(end['gbps'] for end in ends):.1f}"),
    ("Operations", "1/s",
     lambda ends: f"{min(end['operations_per_second'] for end in ends):,.0f}"),
    ("Peak memory of a process", "MB",
     lambda ends: f"{max(end['peak_memory_bytes'] for end in ends) / 1e6:,.0f}"),
)


def command_of(protocol, workload, quick):
    return ["nq", "bench", protocol, "both", *WORKLOADS[workload](quick)]


def run(folder, command, port):
    """What both ends say of one run."""
    more = ["--port", port] if "mqtt" in command else []
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([folder / command[0], *command[1:], *more, "--json", file.name], check=True,
                       stdout=subprocess.DEVNULL)
        return json.load(file)["results"]


def measure(folder, rounds, quick, port):
    """For each protocol and workload the median run of `rounds`, by time."""
    runs = {}
    for number in range(rounds):
        # Who goes first differs: the mix leaves memory behind that the next one finds at hand.
        first = number % len(PROTOCOLS)
        for workload in WORKLOADS:
            for protocol in PROTOCOLS[first:] + PROTOCOLS[:first]:
                if protocol == "mqtt" and port is None:
                    continue
                print(f"\rround {number + 1} of {rounds}: {protocol} {workload}\033[K", end="",
                      file=sys.stderr, flush=True)
                ends = run(folder, command_of(protocol, workload, quick), port)
                runs.setdefault((protocol, workload), []).append(ends)
    print("\r\033[K", end="", file=sys.stderr)
    return {key: sorted(value, key=lambda ends: max(end["seconds"] for end in ends))
            [len(value) // 2] for key, value in runs.items()}


def markdown(results, quick):
    protocols = [protocol for protocol in PROTOCOLS if (protocol, "sync") in results]
    parts = []
    for title, unit, figure in TABLES:
        lines = [f"| {title} ({unit}) | " + " | ".join(WORKLOADS) + " |",
                 "|-|" + "-:|" * len(WORKLOADS)]
        lines += [f"| {protocol} | " + " | ".join(figure(results[protocol, workload])
                                                  for workload in WORKLOADS) + " |"
                  for protocol in protocols]
        parts.append("\n".join(lines))
    commands = "\n".join("    " + " ".join(command_of("tcp", workload, quick)).ljust(84) + "# "
                         + workload for workload in WORKLOADS)
    return "\n\n".join([*parts, commands])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    where = report.machine(arguments.rounds)
    with tempfile.TemporaryDirectory() as folder, running_broker(folder) as port:
        results = measure(arguments.bin, arguments.rounds, arguments.quick, port)
    where["libraries"] = []
    print(f"{report.about(where).strip()}\n\n{markdown(results, arguments.quick)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(
            {"machine": where, "load_average_after": os.getloadavg()[0],
             "results": [{"protocol": protocol, "workload": workload, "ends": ends}
                         for (protocol, workload), ends in results.items()]}, indent=1) + "\n",
            encoding="utf-8")


if __name__ == "__main__":
    main()
