# SPDX-License-Identifier: Apache-2.0
"""Running nq: what the tests of this folder share."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("NQ_BIN", os.path.join(ROOT, "build", "release", "bin"))
NQ = os.path.join(BIN, "nq")
TIMEOUT = 60


def nq(*arguments, stdin=b"", timeout=TIMEOUT, folder=None, variables=None):
    """Runs nq to its end, in `folder`, with environment variables of its own beside ours: a
    CompletedProcess with octets as output."""
    return subprocess.run([NQ, *map(str, arguments)], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, check=False, cwd=folder,
                          env=os.environ | (variables or {}))


class ToolTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, octets):
        with open(self.path(name), "wb") as file:
            file.write(octets)
        return self.path(name)

    def make_authority(self):
        """Keys and certificates in the folder, see scripts/test-authority; and key.pem and
        cert.pem, as bench wants them: the server's, and whom clients trust."""
        subprocess.run([os.path.join(ROOT, "scripts", "test-authority"), self.folder], check=True)
        shutil.copy(self.path("server.key"), self.path("key.pem"))
        with open(self.path("cert.pem"), "wb") as chain:
            for name in ("server.pem", "authority.pem"):
                with open(self.path(name), "rb") as part:
                    chain.write(part.read())

    def start(self, *arguments, **options):
        """A running nq; killed at the end of the test if it still runs."""
        process = subprocess.Popen([NQ, *map(str, arguments)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        for pipe in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(pipe.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def start_server(self, command, *arguments):
        """A running server on a free port: (process, port)."""
        process = self.start(command, "--server", "--port", 0, *arguments)
        line = process.stderr.readline().decode()
        match = re.match(r"nq: listening on 127\.0\.0\.1:(\d+)", line)
        self.assertTrue(match, line)
        return process, int(match[1])

    def finish(self, process):
        """Waits for its end: (exit code, stdout, stderr)."""
        out, err = process.communicate(timeout=TIMEOUT)
        return process.returncode, out, err.decode()

    def assert_well(self, done):
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))

    def assert_finished_well(self, process, out=None):
        code, stdout, stderr = self.finish(process)
        self.assertEqual((code, stderr), (0, ""))
        if out is not None:
            self.assertEqual(stdout, out)

    def assert_fails(self, done, code, pattern):
        self.assertEqual(done.returncode, code, done.stderr.decode())
        self.assertRegex(done.stderr.decode(), pattern)


def unused_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
