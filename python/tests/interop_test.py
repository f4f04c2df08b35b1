# SPDX-License-Identifier: Apache-2.0
"""Python to C++ and back: the command line tool hands on what it got, as the Values it read."""

import os
import pathlib
import subprocess
import uuid

import numpy
import pytest
from objects_test import DTYPES, OBJECTS, assert_same, filled
from support import ROOT, TIMEOUT, Link, eventually

BIN = pathlib.Path(os.environ.get("NQ_BIN", ROOT / "build" / "release" / "bin"))
PEER = BIN / "interop_peer"
pytestmark = pytest.mark.skipif(not PEER.exists(),
                                reason=f"no {PEER}: build interop_peer, or give its folder as "
                                       "NQ_BIN")


@pytest.fixture(scope="module")
def echo():
    """A client, and a C++ peer that reads each message into a Value and sends that back."""
    link = Link("tcp")
    server = link.server()
    name = uuid.uuid4()
    peer = subprocess.Popen([PEER, "client", f"--port={server.options.netloc.port}",
                             f"--id={name}"],
                            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    peer.stdin.write("echo-objects\n")
    peer.stdin.flush()
    for line in peer.stdout:
        if line.startswith("echoing"):
            break
    # By its name: who dials a port that was another server's a moment ago is a peer, too.
    eventually(lambda: name in server.peers(), "the C++ peer")

    def send(thing):
        server.put(thing, name).result(TIMEOUT)
        return server.get(name, timeout=TIMEOUT).data

    yield send
    peer.stdin.close()
    link.close()
    assert peer.wait(TIMEOUT) == 0


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: repr(thing)[:30])
def test_each_comes_back_equal(echo, thing):
    arrived = echo(thing)
    assert type(arrived) is type(thing) and arrived == thing


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [0, 1, 24_000])
def test_arrays_come_back(echo, dtype, count):
    array = filled(dtype, count)
    arrived = echo(array)
    # numpy turns what it unpickles to this machine's order of octets.
    if numpy.dtype(dtype).names is None:
        array = array.astype(array.dtype.newbyteorder("="))
        arrived = arrived.astype(arrived.dtype.newbyteorder("="))
    assert_same(arrived, array)
    assert arrived.flags.writeable


def test_shapes_come_back(echo):
    for array in (numpy.array(5.0), numpy.zeros((3, 0)), numpy.arange(60_000.0).reshape(200, 300).T,
                  numpy.arange(24).reshape(2, 3, 4), numpy.asfortranarray(numpy.ones((2, 3)))):
        assert_same(echo(array), array)


def test_an_array_of_objects_comes_back(echo):
    array = numpy.array([None, "text", 1, {"key": [2.5]}, b"x" * 100_000], dtype=object)
    arrived = echo(array)
    assert arrived.dtype == object and arrived.tolist() == array.tolist()


@pytest.mark.parametrize("scalar", [numpy.float64(2.5), numpy.int8(-3), numpy.bool_(True),
                                    numpy.datetime64("2024-02-29")])
def test_scalars_come_back(echo, scalar):
    arrived = echo(scalar)
    assert type(arrived) is type(scalar) and arrived == scalar
