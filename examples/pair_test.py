# SPDX-License-Identifier: Apache-2.0
"""Runs a server that says where it listens, and clients of it, until all have ended well.

usage: pair_test.py server [argument ...] -- client [argument ...] [-- client ...]
The server is given port 0, the clients the port that it tells.
"""

import itertools
import subprocess
import sys

TIMEOUT = 60


def main(words: list[str]) -> int | str:
    programs = [list(group) for dashes, group in itertools.groupby(words, "--".__eq__)
                if not dashes]
    server = subprocess.Popen([*programs[0], "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = server.stdout.readline().rpartition(":")[2].strip()
        clients = [subprocess.Popen([*program, port]) for program in programs[1:]]
        codes = [client.wait(TIMEOUT) for client in clients]
        codes.append(server.wait(TIMEOUT))
    finally:
        server.kill()
        server.wait()
    return 0 if not any(codes) else f"exit codes {codes}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
