#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""net-queue beside bare sockets: the same messages over loopback, in turn, in the same run.

usage: bench/compare.py [--quick] [--rounds N] [--json FILE] [--chart FILE.svg]

Each round runs both programs on each workload, one after the other, and takes the ratio of the two;
who goes first changes from round to round. Reported: the median of the rounds' ratios, and the
smallest and the largest. Both receivers look into each message, which lies contiguous in memory.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAMS = ("bare_sockets", "queue_bench")
ROUNDS_MIN = 5
TIMEOUT = 600


class Workload(NamedTuple):
    title: str
    name: str
    size: int
    count: int
    by_time: bool  # the ratio is of times (less is better), else of rates (more is better)

    def scaled(self, factor):
        return self._replace(count=max(10, int(self.count * factor)))


WORKLOADS = (
    Workload("2 MiB, all there, then all back", "sync", 2 << 20, 1000, False),
    Workload("256 octets, one way", "oneway", 256, 4_000_000, False),
    Workload("64 octets, there and back", "roundtrip", 64, 40_000, True),
)


def run(bin_dir, program, workload):
    """Seconds one program takes for one workload."""
    output = subprocess.run([os.path.join(bin_dir, program), workload.name,
                             f"--size={workload.size}", f"--count={workload.count}"],
                            stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True).stdout
    return json.loads(output)["seconds"]


def measure(bin_dir, workloads, rounds, tell):
    """For each workload, for each round: (seconds bare, seconds net-queue)."""
    times = {workload: [] for workload in workloads}
    for number in range(rounds):
        for workload in workloads:
            order = PROGRAMS if number % 2 == 0 else PROGRAMS[::-1]
            seconds = {program: run(bin_dir, program, workload) for program in order}
            times[workload].append(tuple(seconds[program] for program in PROGRAMS))
            tell(f"round {number + 1} of {rounds}: {workload.title}")
    return times


def summarise(workload, times):
    ratios = [queue / bare if workload.by_time else bare / queue for bare, queue in times]
    bare, queue = (statistics.median(column) for column in zip(*times))
    messages = workload.count * (2 if workload.name == "sync" else 1)
    return {
        "workload": workload.title, "size": workload.size, "count": workload.count,
        "ratio_of": "times" if workload.by_time else "rates",
        "median": statistics.median(ratios), "min": min(ratios), "max": max(ratios),
        "bare_seconds": bare, "queue_seconds": queue,
        "bare_messages_per_second": messages / bare,
        "queue_messages_per_second": messages / queue,
        "rounds": [{"bare_seconds": b, "queue_seconds": q, "ratio": ratio}
                   for (b, q), ratio in zip(times, ratios)],
    }


def read_first_line(path):
    try:
        return pathlib.Path(path).read_text(encoding="ascii").splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine():
    return {"kernel": platform.release(), "processor": processor(), "cores": os.cpu_count(),
            "congestion_control": read_first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
            "load_average_before": os.getloadavg()[0]}


def load_text(where):
    """The load average, and a warning where others were at work: such figures say little."""
    load = where["load_average_before"]
    return f"{load:.1f}" + (" (NOT IDLE)" if load > where["cores"] / 2 else "")


def rate(result, who):
    """Gbit/s for large messages, messages/s for small ones, the time of one round trip."""
    per_second = result[f"{who}_messages_per_second"]
    if result["ratio_of"] == "times":
        return f"{1e6 / per_second:.1f} us"
    if result["size"] >= 1 << 20:
        return f"{per_second * result['size'] * 8 / 1e9:.2f} Gbit/s"
    return f"{per_second / 1e6:.2f} M/s"


def table(results):
    rows = [("workload", "bare", "net-queue", "ratio of", "median", "min", "max")]
    for result in results:
        rows.append((result["workload"], rate(result, "bare"), rate(result, "queue"),
                     result["ratio_of"],
                     *(f"{result[key]:.3f}" for key in ("median", "min", "max"))))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) if number == 0 else cell.rjust(width)
                               for number, (cell, width) in enumerate(zip(row, widths)))
                     for row in rows)


def chart(results, about):
    """An SVG: a bar to the median, a line from min to max, a dot for each round."""
    width, left, bar, gap, top = 760, 270, 26, 44, 66
    right = 90
    most = max(1.0, *(result["max"] for result in results)) * 1.05

    def x(ratio):
        return left + (width - left - right) * ratio / most

    height = top + gap * len(results) + 30
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             'font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>',
             '<text x="16" y="24" font-size="16">net-queue beside bare sockets (ratio)</text>',
             f'<text x="16" y="44" fill="#666">{about}</text>']
    for number, result in enumerate(results):
        y = top + gap * number
        middle = y + bar / 2
        parts += [
            f'<text x="16" y="{middle - 2:.1f}">{result["workload"]}</text>',
            f'<text x="16" y="{middle + 13:.1f}" fill="#666" font-size="11">ratio of '
            f'{result["ratio_of"]}: {"less" if result["ratio_of"] == "times" else "more"} '
            'is better</text>',
            f'<rect x="{left}" y="{y}" width="{x(result["median"]) - left:.1f}" height="{bar}" '
            'fill="#4878a8"/>',
            f'<line x1="{x(result["min"]):.1f}" x2="{x(result["max"]):.1f}" y1="{middle}" '
            f'y2="{middle}" stroke="#222" stroke-width="2"/>']
        parts += [f'<circle cx="{x(one["ratio"]):.1f}" cy="{middle}" r="3" fill="#222"/>'
                  for one in result["rounds"]]
        parts.append(f'<text x="{x(result["max"]) + 8:.1f}" y="{middle + 5:.1f}">'
                     f'{result["median"]:.2f}</text>')
    parts += [f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{top - 8}" y2="{height - 24}" '
              'stroke="#b03030" stroke-dasharray="4 3"/>',
              f'<text x="{x(1):.1f}" y="{height - 8}" fill="#b03030" text-anchor="middle">'
              'bare sockets = 1</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=ROOT / "build" / "release" / "bin",
                        help="where the two programs are")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, 5 rounds")
    parser.add_argument("--smoke", action="store_true", help="one small round: no measurement")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--chart", type=pathlib.Path)
    arguments = parser.parse_args()
    rounds, factor = arguments.rounds, 1
    if arguments.quick:
        rounds, factor = ROUNDS_MIN, 0.1
    if arguments.smoke:
        rounds, factor = 1, 0.002
    elif rounds < ROUNDS_MIN:
        parser.error(f"a median of fewer than {ROUNDS_MIN} rounds says nothing")

    def tell(text):
        if sys.stderr.isatty():
            print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)

    where = machine()
    workloads = [workload.scaled(factor) for workload in WORKLOADS]
    times = measure(arguments.bin, workloads, rounds, tell)
    tell("")
    results = [summarise(workload, times[workload]) for workload in workloads]
    about = (f"Linux {where['kernel']}, {where['congestion_control']}, {where['cores']} x "
             f"{where['processor']}, {rounds} rounds, load before {load_text(where)}")
    print(f"{about}\n\n{table(results)}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": where, "results": results}, indent=1)
                                  + "\n", encoding="utf-8")
    if arguments.chart:
        arguments.chart.write_text(chart(results, about), encoding="utf-8")


if __name__ == "__main__":
    main()
