# SPDX-License-Identifier: Apache-2.0
"""Runs the two programs of the README against each other, and checks that the README shows them."""

import pathlib
import socket
import subprocess
import sys

DEFAULT_PORT = 51966
SKIPPED = 77


def program(path: pathlib.Path) -> list[str]:
    """The code of an example without comments and blank lines: what the README must show."""
    lines = (line.split("//")[0].rstrip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("# ")]


def check_readme(readme: pathlib.Path, suffix: str) -> None:
    """Each program's lines stand in the README, in order and without a gap."""
    shown = [line.split("//")[0].rstrip() for line in readme.read_text().splitlines()]
    shown = [line for line in shown if line]
    here = pathlib.Path(__file__).parent
    folder = here / "python" if suffix == ".py" else here
    for name in (f"hello_server{suffix}", f"hello_client{suffix}"):
        code = program(folder / name)
        starts = range(len(shown) - len(code) + 1)
        if not any(shown[i : i + len(code)] == code for i in starts):
            sys.exit(f"README.md does not show examples/{name} as it is")


def default_port_is_free() -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            return False
    return True


def main() -> int:
    interpreter = [sys.executable, "-B"] if sys.argv[1] == "--python" else []
    *both, readme = sys.argv[2 if interpreter else 1:]
    check_readme(pathlib.Path(readme), ".py" if interpreter else ".cpp")
    if not default_port_is_free():
        print(f"skipped: port {DEFAULT_PORT} is in use on this machine")
        return SKIPPED
    programs = [subprocess.Popen([*interpreter, path]) for path in both]
    try:
        codes = [running.wait(timeout=30) for running in programs]
    finally:
        for running in programs:
            if running.poll() is None:
                running.kill()
    print("exit codes of server and client:", codes)
    return 0 if codes == [0, 0] else 1


if __name__ == "__main__":
    sys.exit(main())
