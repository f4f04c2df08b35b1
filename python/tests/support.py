# SPDX-License-Identifier: Apache-2.0
"""What the tests share: deadlines, processes of our own, pairs of queues."""

import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import net_queue as nq

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: Where the package under test is, for the processes that tests start.
PACKAGE = pathlib.Path(nq.__file__).resolve().parents[1]
#: Seconds. Nothing here takes a twentieth of it, unless it hangs, or the machine does other work.
TIMEOUT = int(os.environ.get("NQ_TIMEOUT", "60"))


def eventually(condition, what, timeout=TIMEOUT):
    """Polls until `condition()` is something true, and returns that."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.002)
    return result


def environment(**more):
    # From 3.12 on Python warns of a fork of a process with threads, which is what we try.
    warnings = "ignore:This process:DeprecationWarning"
    return os.environ | {"PYTHONPATH": str(PACKAGE), "PYTHONFAULTHANDLER": "1",
                         "PYTHONWARNINGS": warnings} | more


#: By this test: they are ended with it.
_started = []


def start(program, *arguments, memory=None):
    """Starts a Python program, given as text, with pipes to it; `memory` bounds its addresses.

    With whatever it forks it is a process group: see `outputs`.
    """
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=limit if memory else None, process_group=0)
    _started.append(process)
    return process


def end_all():
    """Ends what is left of the programs, where a test failed before they had ended."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def outputs(process, timeout=TIMEOUT):
    """What it wrote to stdout and stderr, once it ended, and all that it forked."""
    try:
        return process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # A child of its own that hangs holds the pipes, too.
        os.killpg(process.pid, signal.SIGABRT)  # faulthandler tells where they hang
        try:
            _, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, err = process.communicate()
        raise AssertionError(f"did not end within {timeout} s: {err}") from None


def finish(process, code=0, timeout=TIMEOUT):
    """Its output, once it ended as it should: with `code`, and nothing on stderr."""
    out, err = outputs(process, timeout)
    assert (process.returncode, err) == (code, ""), (process.returncode, err)
    return out


def run(program, *arguments, memory=None, code=0, timeout=TIMEOUT):
    """Runs a Python program to its end: see `start` and `finish`."""
    return finish(start(program, *arguments, memory=memory), code, timeout)


def wait_for_line(process, line):
    """Reads up to this line."""
    for read in process.stdout:
        if read.strip() == line:
            return
    raise AssertionError(f"ended before it said {line!r}: {process.stderr.read()}")


class Link:
    """Makes servers and clients that find each other, over one transport; closes them all."""

    def __init__(self, kind, authority=None, broker=None):
        self.kind = kind
        self.protocol = "tcp" if kind == "tls" else kind
        self._authority = authority
        self._broker = broker
        self._netloc = None
        self._made = []

    def options(self, purpose, **more):
        if self._broker is not None:
            netloc = nq.NetworkLocation(self._broker.host, self._broker.port)
        else:
            netloc = self._netloc if purpose == "client" else nq.NetworkLocation("127.0.0.1", 0)
        if self._authority is not None:
            more.setdefault("security", self._security(purpose))
        return nq.CommunicatorOptions(netloc=netloc, **more)

    def _security(self, purpose):
        if purpose == "server":
            return nq.SecurityOptions(self._authority / "server.key",
                                      self._authority / "server.pem")
        return nq.SecurityOptions(certificate=self._authority / "authority.pem")

    def server(self, **more):
        server = nq.new(self.protocol, "server", self.options("server", **more))
        self._netloc = server.options.netloc
        self._made.append(server)
        return server

    def client(self, **more):
        client = nq.new(self.protocol, "client", self.options("client", **more))
        self._made.append(client)
        return client

    def pair(self, **more):
        """A server and a client that know each other; both with these options."""
        server = self.server(**more)
        client = self.client(**more)
        met(server, client)
        return server, client

    def close(self):
        for queue in reversed(self._made):
            queue.close(timeout=0)


def met(server, *clients):
    """Waits until the server knows these clients, and they the server."""
    wanted = {client.id for client in clients}
    eventually(lambda: wanted <= set(server.peers()), "the clients' names at the server")
    for client in clients:
        eventually(client.peers, "the server's name at a client")


def stats_of(queue, peer):
    """What a queue counts about a peer; None: it does not know it."""
    return next((stats for stats in queue.stats().peers if stats.peer == peer), None)
