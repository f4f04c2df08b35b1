# SPDX-License-Identifier: Apache-2.0
"""The installed programs nq-test-api and nq-test-iops, with all of their arguments."""

import os
import pathlib
import shutil
import subprocess

import pytest
from support import ROOT, TIMEOUT, finish, outputs, start

from net_queue.cli import iops

NQ = pathlib.Path(os.environ.get("NQ_BIN", ROOT / "build" / "release" / "bin")) / "nq"
KINDS = ["tcp", "tls", "grpc", "grpc over tls", "mqtt"]

# Runs a program's main, in a folder; each of its queues is told of on a line.
PROGRAM = """\
import importlib, os, sys
import net_queue as nq
module, folder = sys.argv[1:3]
del sys.argv[1:3]
os.chdir(folder)
def told(*arguments, new=nq.new):
    queue = new(*arguments)
    sys.stdout.write(f"at {queue.options.netloc.port}\\n")
    sys.stdout.flush()
    return queue
nq.new = told
sys.exit(importlib.import_module("net_queue.cli." + module).main())
"""
COMMON = ["--clients", 2, "--get-merge", "false", "--put-merge", "no", "--efficient-size", 10,
          "--transport-size", 16, "--workers", 2]
IOPS = ["--min-size", 8, "--step-size", 2, "--max-size", 14, "--step-expo", 0.5, "--reps", 2]


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """Arguments: the protocol, and flags; and a folder with the files of --secure."""
    kind = request.param
    protocol, flags, port = kind.partition(" ")[0], [], 0
    if kind.endswith("tls"):
        protocol = "tcp" if kind == "tls" else protocol
        folder = request.getfixturevalue("authority")
        shutil.copy(folder / "server.key", tmp_path / "key.pem")
        shutil.copy(folder / "server.pem", tmp_path / "cert.pem")
        flags = ["--secure"]
    if kind == "mqtt":
        port = request.getfixturevalue("broker").port
    return protocol, flags, port, tmp_path


def both(module, place, *words, client_words=()):
    """What a server and a client program print, besides where their queues are."""
    protocol, flags, port, folder = place

    def begin(purpose, port, *more):
        return start(PROGRAM, module, folder, protocol, purpose, *words, *COMMON, *flags,
                     "--host", "127.0.0.1", "--port", port, *more)

    server = begin("server", port)
    client = begin("client", server.stdout.readline().split()[1], *client_words)
    texts = [finish(client, timeout=2 * TIMEOUT), finish(server, timeout=2 * TIMEOUT)]
    return [[line for line in text.splitlines() if not line.startswith("at ")] for text in texts]


def test_api(place):
    client, server = both("api", place)
    assert server[-1].startswith("server: all ") and server[-1].endswith(" steps ok")
    assert {line.partition(":")[0] for line in client if "all " in line} >= {"client 1", "client 2"}
    assert all(line.endswith(" ok") for line in client + server)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_iops(place, mode):
    client, server = both("iops", place, mode, *IOPS, client_words=["--delay", "0.01"])
    # 2 x (8 + 4 + 2 + 1) messages each way for each of two clients.
    for role, (header, row) in (("client", client), ("server", server)):
        assert header.split() == ("time count x average size transfer Gbps operations "
                                  "operations/s peak memory").split()
        assert row.split()[:1] + row.split()[3:5] == [role, "60", "x"]
        assert row.split()[10] == "120"


@pytest.mark.skipif(not NQ.exists(), reason=f"no {NQ}: build nq, or give its folder as NQ_BIN")
def test_iops_prints_what_nq_bench_prints(tmp_path):
    bench = subprocess.run([NQ, "bench", "tcp", "both", "sync", *map(str, IOPS)], check=True,
                           capture_output=True, text=True, timeout=TIMEOUT).stdout.splitlines()
    client, _ = both("iops", ("tcp", [], 0, tmp_path), "sync", *IOPS)
    assert client[0].split() == bench[0].split()
    # The size of a message, and the number of columns.
    assert client[1].split()[4:7] == bench[1].split()[4:7]
    assert len(client[1].split()) == len(bench[1].split())


def test_what_goes_wrong_is_one_line(tmp_path):
    for module, words in (("api", []), ("iops", ["sync", *IOPS])):
        process = start(PROGRAM, module, tmp_path, "tcp", "server", *words, "--secure")
        out, err = outputs(process)
        assert process.returncode == 1 and err.count("\n") == 1 and "key.pem" in err
        for wrong in (["udp", "server"], ["tcp", "spectator"], ["tcp", "client", "--clients", "0"]):
            process = start(PROGRAM, module, tmp_path, *wrong, *words)
            out, err = outputs(process)
            assert process.returncode == 2 and "usage: nq-test-" in err


@pytest.mark.parametrize("words, named", [
    (["--step-size", "0", "--max-size", "41"], "--max-size"),
    (["--max-size", "-1"], "--max-size"),
    (["--step-size", "-1"], "--step-size"),
    (["--min-size", "9", "--max-size", "8"], "--min-size")])
def test_sizes_that_cannot_be_are_named(capsys, words, named):
    with pytest.raises(SystemExit) as left:
        iops.main(["tcp", "client", "sync", *words])
    assert left.value.code == 2 and f"error: {named}: " in capsys.readouterr().err
