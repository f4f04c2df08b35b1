# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: the C++ peer on a string, processes, deadlines, /proc."""

import os
import re
import resource
import subprocess
import tempfile
import threading
import time
import unittest
import uuid
import zlib

from old_peer import OldClient, OldServer, Wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("NQ_BIN", os.path.join(ROOT, "build", "release", "bin"))
# Builds under a sanitizer are slower and larger: limits on time are wider, on memory not tested.
SANITIZED = os.environ.get("NQ_SANITIZED") == "1"
TIMEOUT = 60
# How long to watch for what must not happen.
ABSENCE = 0.3
NIL = uuid.UUID(int=0)
# Thousands of connections at once; what is started from here inherits it.
_, _MOST = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST, _MOST))
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def fill(size, seed):
    """The octets of interop_peer's command fill."""
    period = bytes(range(251))
    start = seed % 251
    return (period * ((size + start) // 251 + 2))[start:start + size]


def eventually(condition, what, timeout=TIMEOUT):
    """Polls until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.005)
    return result


def cpu_ticks(pid):
    """User and system time of a process so far, in clock ticks."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def cpu_seconds_while(pid, seconds):
    """CPU time a process takes while nothing is asked of it."""
    before = cpu_ticks(pid)
    time.sleep(seconds)
    return (cpu_ticks(pid) - before) / TICKS_PER_SECOND


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024


def peak_bytes(pid):
    """The most that was ever resident."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def open_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Puppet:
    """interop_peer: a C++ server or client that is told what to do, line by line."""

    def __init__(self, purpose, *, port=0, **options):
        arguments = [os.path.join(BIN, "interop_peer"), purpose, f"--port={port}"]
        arguments += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1, encoding="utf-8",
                                        errors="backslashreplace")
        self.lines = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = self.expect(r"listening (\S+) (\d+) (\S+)")
        self.host, self.port, self.id = line[1], int(line[2]), uuid.UUID(line[3])

    @property
    def pid(self):
        return self.process.pid

    def tell(self, command):
        self.process.stdin.write(command + "\n")

    def ask(self, command, pattern, timeout=TIMEOUT):
        self.tell(command)
        return self.expect(pattern, timeout)

    def expect(self, pattern, timeout=TIMEOUT):
        """The first line, of those not expected before, that is all of `pattern`; waits for it."""
        def find():
            for number, line in enumerate(self.lines):
                if line is not None and (match := re.fullmatch(pattern, line)):
                    self.lines[number] = None
                    return match
            return None

        deadline = time.monotonic() + timeout
        with self._changed:
            while not (match := find()):
                if self._ended or not self._changed.wait(max(0, deadline - time.monotonic())):
                    raise AssertionError(f"no line {pattern!r} within {timeout} s; there are:\n  "
                                         + "\n  ".join(filter(None, self.lines)))
        return match

    def said(self, pattern):
        """How many lines, of those not expected before, there are of `pattern`."""
        with self._changed:
            return sum(1 for line in self.lines if line and re.fullmatch(pattern, line))

    def get(self, timeout_ms=TIMEOUT * 1000):
        """The next message: (peer, size, Adler-32, octets if few)."""
        line = self.ask(f"get {timeout_ms}", r"(message|error) (.*)")
        if line[1] == "error":
            raise AssertionError(f"get: {line[2]}")
        peer, size, digest, *octets = line[2].split(" ")
        octets = bytes.fromhex(octets[0]) if octets else None
        return uuid.UUID(peer), int(size), int(digest), octets

    def get_octets(self, timeout_ms=TIMEOUT * 1000):
        return self.get(timeout_ms)[3]

    def put(self, octets, *peers):
        names = "".join(f" {peer}" for peer in peers)
        return self.ask(f"put {octets.hex() or '-'}{names}", r"put (\d+)")[1]

    def has_nothing(self):
        """Is there no message within a moment?"""
        return "timed out" in self.ask(f"get {int(ABSENCE * 1000)}", r"(?:message|error) (.*)")[1]

    def state_of(self, peer):
        return self.ask(f"stats {peer}", r"stats (\S+).*")[1]

    def finish(self, timeout=TIMEOUT):
        """Ends the puppet as a program ends: the queue's destructor closes. Its exit code."""
        self.process.stdin.close()
        return self.process.wait(timeout)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class InteropTest(unittest.TestCase):
    def puppet(self, purpose, **options):
        puppet = Puppet(purpose, **options)
        self.addCleanup(puppet.stop)
        return puppet

    def server(self, **options):
        """A C++ server."""
        return self.puppet("server", **options)

    def wire(self, server, timeout=TIMEOUT):
        """A bare connection to a C++ server."""
        wire = Wire.connect(server.host, server.port, timeout)
        self.addCleanup(wire.close)
        return wire

    def old_client(self, server, **options):
        client = OldClient(server.host, server.port, raw=options.pop("raw", True),
                           timeout=TIMEOUT, **options)
        self.addCleanup(client.link.abort)
        return client

    def old_server(self, **options):
        server = OldServer(raw=options.pop("raw", True), timeout=TIMEOUT, **options)
        self.addCleanup(server.abort)
        return server

    def assert_silent(self, wire):
        """Nothing comes, and the connection stays, for a moment."""
        wire.socket.settimeout(ABSENCE)
        with self.assertRaises(TimeoutError):
            wire.socket.recv(1)
        wire.socket.settimeout(TIMEOUT)

    def assert_echoes(self, client, octets=b"are you there?"):
        """An old client of an echoing server gets back what it put."""
        client.put(octets)
        self.assertEqual(client.get(), octets)

    def assert_message(self, message, peer, octets):
        self.assertEqual(message[:3], (peer, len(octets), zlib.adler32(octets)))


class AuthorityTest(InteropTest):
    """With keys and certificates: see scripts/test-authority."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        subprocess.run([os.path.join(ROOT, "scripts", "test-authority"), cls.folder], check=True)

    def file(self, name):
        return os.path.join(self.folder, name)
