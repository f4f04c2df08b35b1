#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How a server's two workers share the work: 20 clients put over TLS, and the processor time of
each of the server's threads is read while they do. Each worker should have 40 to 60 % of what both
take.

usage: bench/workers.py [--bin FOLDER] [--reps N]
"""

import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from compare import ROOT, make_authority

CLIENTS = "20"
TICKS = os.sysconf("SC_CLK_TCK")


def processor_times(pid):
    """Seconds of each thread."""
    times = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        times[int(task.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    return times


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def run(folder, where, reps):
    """The processor times of the server's threads, as last seen."""
    shutil.copy(where / "server.key", where / "key.pem")
    shutil.copy(where / "server.pem", where / "cert.pem")
    # The client verifies the server by its very certificate.
    more = ["sync", "--secure", "--clients", CLIENTS, "--step-size", "0", "--max-size", "16",
            "--reps", reps, "--port", free_port()]
    server = subprocess.Popen([folder / "nq", "bench", "tcp", "server", *more, "--workers", "2"],
                              cwd=where, stdout=subprocess.DEVNULL)
    client = subprocess.Popen([folder / "nq", "bench", "tcp", "client", *more, "--delay", "0.3"],
                              cwd=where, stdout=subprocess.DEVNULL)
    times = {}
    while server.poll() is None:
        times.update(processor_times(server.pid))
        time.sleep(0.01)
    if client.wait() or server.returncode:
        raise SystemExit("nq bench failed")
    times.pop(server.pid, None)  # the thread that puts and gets
    return sorted(times.values(), reverse=True)[:2]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    parser.add_argument("--reps", default="2000", help="messages of 64 KiB from each client")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = pathlib.Path(make_authority(folder))
        first, second = run(arguments.bin.resolve(), where, arguments.reps)
    share = first / (first + second)
    print(f"workers took {first:.2f} s and {second:.2f} s: {share:.0%} and {1 - share:.0%}")
    return 0 if share <= 0.6 else 1


if __name__ == "__main__":
    raise SystemExit(main())
