#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a message costs from 1 to 1,000,000 that wait in the queue, and from 1 to 10,000 connected
peers: as a table and as a chart. It should not depend on either.

usage: bench/scaling.py [--bin FOLDER] [--chart FILE.svg] [--smoke]
"""

import argparse
import json
import math
import pathlib
import subprocess

import report
from compare import ROOT

COUNTS = {"queued": (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000),
          "peers": (1, 10, 100, 1_000, 10_000)}
TITLES = {"queued": "messages wait in the queue", "peers": "peers are connected"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 460, 220, 60, 76, 40


def measure(folder, kind, most):
    counts = [str(count) for count in COUNTS[kind] if count <= most]
    done = subprocess.run([folder / "scaling", kind, *counts], check=True,
                          stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def plot(number, kind, points):
    """One diagram: nanoseconds over the logarithm of the count."""
    most = max(point["nanoseconds"] for point in points) * 1.25
    x0 = LEFT + number * (WIDTH + GAP)

    def x(count):
        return x0 + (WIDTH - 40) * math.log10(count) / math.log10(COUNTS[kind][-1])

    def y(nanoseconds):
        return TOP + HEIGHT * (1 - nanoseconds / most)

    line = " ".join(f"{x(point['count']):.1f},{y(point['nanoseconds']):.1f}" for point in points)
    parts = [f'<line x1="{x0}" x2="{x0 + WIDTH - 40}" y1="{TOP + HEIGHT}" y2="{TOP + HEIGHT}" '
             'stroke="#888"/>',
             f'<polyline points="{line}" fill="none" stroke="#2f6fa8" stroke-width="2"/>',
             f'<text x="{x0}" y="{TOP + HEIGHT + 36}">{TITLES[kind]}</text>']
    for point in points:
        at, cost = x(point["count"]), point["nanoseconds"]
        parts += [f'<circle cx="{at:.1f}" cy="{y(cost):.1f}" r="3" fill="#2f6fa8"/>',
                  f'<text x="{at:.1f}" y="{y(cost) - 9:.1f}" text-anchor="middle" '
                  f'font-size="11">{cost:.0f} ns</text>',
                  f'<text x="{at:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle" '
                  f'font-size="11" fill="#666">{point["count"]:,}</text>']
    return parts


def chart(results, where):
    width, height = LEFT + 2 * (WIDTH + GAP), TOP + HEIGHT + 50
    parts = [part for number, (kind, points) in enumerate(results.items())
             for part in plot(number, kind, points)]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        '<text x="16" y="24" font-size="16">one message of 64 octets put and got, while ...</text>',
        f'<text x="16" y="44" fill="#666" font-size="11">{report.about(where).strip()}</text>',
        *parts, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    parser.add_argument("--chart", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true", help="up to 100: no measurement")
    arguments = parser.parse_args()
    where = {**report.machine(5), "libraries": []}
    most = 100 if arguments.smoke else max(map(max, COUNTS.values()))
    results = {kind: measure(arguments.bin, kind, most) for kind in COUNTS}
    for kind, points in results.items():
        for point in points:
            print(f"{point['count']:>9,} {TITLES[kind]:28}{point['nanoseconds']:>8.0f} ns")
    if arguments.chart:
        arguments.chart.write_text(chart(results, where), encoding="utf-8")


if __name__ == "__main__":
    main()
