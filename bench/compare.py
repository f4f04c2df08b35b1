#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""net-queue beside the bare library beneath it and beside other message queues: the same messages
over loopback, in turn, in the same run. What was left out of the build is left out here.

usage: bench/compare.py [--quick] [--rounds N] [--only TEXT] [--json FILE] [--chart FILE.svg]
                        [--python-package PATH [--python EXECUTABLE]]

Each round runs all contestants of a workload, one after the other (who goes first changes from
round to round), and takes the ratios of its runs. Reported: the median of the rounds' ratios, and
the smallest and the largest. Every receiver looks into each message, contiguous in memory.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import report

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROUNDS_MIN = 5
TIMEOUT = 600


class Contestant(NamedTuple):
    program: str
    share: float = 1  # of the messages that go one way, so that each takes about as long
    flags: tuple = ()


CONTESTANTS = {
    "bare sockets": Contestant("bare_sockets", 4),
    "bare, by packets": Contestant("bare_sockets", 4, ("--by-packets",)),
    "bare OpenSSL": Contestant("bare_tls"),
    "bare gRPC": Contestant("bare_grpc"),
    "bare libmosquitto": Contestant("bare_mqtt"),
    "net-queue": Contestant("queue_bench"),
    "libzmq": Contestant("zmq_bench"),
    "nng": Contestant("nng_bench", 0.1),
    "net-queue Python": Contestant("queue_bench.py", 0.1),
    "other Python": Contestant("queue_bench.py", 0.01),
}
PAIRS = ("bare sockets", "bare, by packets", "net-queue", "libzmq", "nng", "net-queue Python",
         "other Python")
STARS = ("bare sockets", "net-queue", "libzmq")


class Workload(NamedTuple):
    title: str
    name: str
    figure: str  # of report.FIGURES
    size: int = 1
    count: int = 1
    mix: int = 0  # exponent; then neither size nor count
    clients: int = 1
    contestants: tuple = PAIRS  # the first is the yardstick
    flags: tuple = ()  # for all

    def scaled(self, factor):
        """With so much less to do; `factor` is at most 1."""
        scaled = self._replace(mix=self.mix and max(16, self.mix + round(math.log2(factor))))
        if self.name == "idle":
            scaled = scaled._replace(clients=max(50, int(self.clients * factor)),
                                     flags=(f"--idle-seconds={max(0.2, 2 * factor)}",))
        else:
            least = 1 if self.clients > 1 else 10
            scaled = scaled._replace(count=max(least, int(self.count * factor)))
        return scaled._replace(title=self.title.format(**scaled._asdict()))

    def arguments(self, share):
        if self.mix:
            return [self.name, f"--mix={self.mix}", *self.flags]
        count = max(1, int(self.count * share)) if self.name == "oneway" else self.count
        star = [f"--clients={self.clients}"] if self.clients > 1 else []
        return [self.name, f"--size={self.size}", f"--count={count}", *star, *self.flags]

    def moved(self, run):
        """How many messages a run moved, and octets."""
        times = self.clients * (2 if self.name in ("sync", "async") else 1)
        return run["messages"] * times, run["octets"] * times


WORKLOADS = (
    Workload("sync: 2 MiB, all there, then all back", "sync", "transfer", 2 << 20, 1000),
    Workload("async: 2 MiB, both ways at once", "async", "transfer", 2 << 20, 1000),
    Workload("mix: 256 to 2^{mix} octets, all there, then all back", "sync", "transfer", mix=30),
    Workload("16 octets, one way", "oneway", "messages", 16, 4_000_000),
    Workload("256 octets, one way", "oneway", "messages", 256, 4_000_000),
    Workload("4096 octets, one way", "oneway", "messages", 4096, 500_000),
    Workload("64 octets, there and back", "roundtrip", "time", 64, 10_000),
    Workload("64 KiB, there and back", "roundtrip", "time", 64 << 10, 5_000),
    Workload("1 MiB to each of 100 clients", "fanout", "transfer", 1 << 20, 20, clients=100,
             contestants=STARS),
    Workload("256 octets from each of 100 clients", "fanin", "messages", 256, 20_000, clients=100,
             contestants=STARS),
    Workload("{clients} idle clients", "idle", "idle", clients=10_000,
             contestants=("bare sockets", "net-queue")),
    Workload("TLS sync: 2 MiB", "sync", "transfer", 2 << 20, 400,
             contestants=("bare OpenSSL", "net-queue"), flags=("--authority", "AUTHORITY")),
    Workload("gRPC sync: 2 MiB", "sync", "transfer", 2 << 20, 400,
             contestants=("bare gRPC", "net-queue"), flags=("--protocol", "grpc")),
    Workload("MQTT sync: 2 MiB", "sync", "transfer", 2 << 20, 200,
             contestants=("bare libmosquitto", "net-queue"),
             flags=("--protocol", "mqtt", "--port", "BROKER")),
)


def make_authority(folder):
    """Keys and certificates for the encrypted workloads."""
    subprocess.run([ROOT / "scripts" / "test-authority", folder], check=True)
    return folder


@contextlib.contextmanager
def running_broker(folder):
    """The port of a mosquitto that drops nothing; None where none is installed."""
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = pathlib.Path(folder) / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n"
                        "max_queued_messages 0\nlog_type error\n", encoding="utf-8")
    broker = subprocess.Popen([program, "-c", settings])
    try:
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.01)
        yield str(port)
    finally:
        broker.terminate()
        broker.wait()


class Programs:
    """Where the contestants are, and how each is started."""

    def __init__(self, arguments):
        self.folder = pathlib.Path(arguments.bin)
        self.packages = {"net-queue Python": (self.folder.parent / "python", sys.executable),
                         "other Python": (arguments.python_package, arguments.python)}

    def has(self, name):
        if name in self.packages:
            package = self.packages[name][0]
            return package is not None and (package / "net_queue").exists()
        return (self.folder / CONTESTANTS[name].program).exists()

    def run(self, name, workload):
        """What one contestant says about one workload."""
        program, share, own = CONTESTANTS[name]
        command, environment = [self.folder / program], None
        if name in self.packages:
            package, python = self.packages[name]
            command = [python, "-B", ROOT / "bench" / program]
            environment = {**os.environ, "PYTHONPATH": str(package)}
        done = subprocess.run([*command, *workload.arguments(share), *own], env=environment,
                              stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True)
        return json.loads(done.stdout.splitlines()[-1])


def choose(programs, arguments, factor, known):
    """The workloads asked for, with those contestants that are there."""
    for workload in WORKLOADS:
        flags = tuple(known.get(flag, flag) for flag in workload.flags)
        names = tuple(name for name in workload.contestants if programs.has(name))
        if (None not in flags and names[:1] == workload.contestants[:1] and len(names) > 1
                and arguments.only in workload.title):
            yield workload._replace(flags=flags, contestants=names).scaled(factor)


def measure(programs, workloads, rounds):
    """For each workload, for each round: what each contestant said."""
    runs = {workload: [] for workload in workloads}
    for number in range(rounds):
        for workload in workloads:
            names = workload.contestants
            first = number % len(names)
            said = {}
            for name in names[first:] + names[:first]:
                if sys.stderr.isatty():
                    print(f"\rround {number + 1} of {rounds}: {workload.title}: {name}\033[K",
                          end="", file=sys.stderr, flush=True)
                said[name] = programs.run(name, workload)
            runs[workload].append(said)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return runs


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=ROOT / "build" / "release" / "bin",
                        help="where the programs are")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a fifth of the messages, 5 rounds")
    parser.add_argument("--smoke", action="store_true", help="one small round: no measurement")
    parser.add_argument("--only", default="", metavar="TEXT",
                        help="the workloads with this in their title")
    parser.add_argument("--python-package", type=pathlib.Path, metavar="PATH",
                        help="a folder with another package net_queue of the same interface")
    parser.add_argument("--python", default=sys.executable, metavar="EXECUTABLE",
                        help="what runs that package")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--chart", type=pathlib.Path)
    arguments = parser.parse_args()
    if not arguments.smoke and arguments.rounds < ROUNDS_MIN:
        parser.error(f"a median of fewer than {ROUNDS_MIN} rounds says nothing")
    return arguments


def main():
    arguments = parse_arguments()
    rounds, factor = arguments.rounds, 1
    if arguments.quick:
        rounds, factor = ROUNDS_MIN, 0.2
    if arguments.smoke:
        rounds, factor = 1, 0.002
    where = report.machine(rounds)
    programs = Programs(arguments)
    with tempfile.TemporaryDirectory() as folder, running_broker(folder) as broker:
        known = {"AUTHORITY": make_authority(folder), "BROKER": broker}
        workloads = list(choose(programs, arguments, factor, known))
        runs = measure(programs, workloads, rounds)
    where["load_average_after"] = os.getloadavg()[0]
    where["libraries"] = sorted({run["library"] for said in runs.values() for one in said
                                 for run in one.values() if run["library"] != "bare sockets"})
    results = [report.summarise(workload, runs[workload]) for workload in workloads]
    print(f"{report.about(where)}\n\n{report.table(results)}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": where, "results": results}, indent=1)
                                  + "\n", encoding="utf-8")
    if arguments.chart:
        arguments.chart.write_text(report.chart(results, where), encoding="utf-8")


if __name__ == "__main__":
    main()
