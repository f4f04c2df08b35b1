# SPDX-License-Identifier: Apache-2.0
"""Hostile pickles, restricted: nothing runs, nothing crashes, memory stays in proportion."""

import pickle

import pytest
from hostile import ALL, BOMBS, GADGETS
from support import TIMEOUT, run

import net_queue as nq
from net_queue.utils.stream import Stream
from net_queue.utils.streamtools import PickleSerializer

# Each row in one process of its own kind: what was executed is told by audit events, what memory
# it took by the kernel.
PROGRAM = """
import gc, re, sys
sys.path.append(sys.argv[1])
import hostile
from net_queue.utils.stream import Stream
from net_queue.utils.streamtools import PickleSerializer

serializer = PickleSerializer(eval(sys.argv[2]))
watched, seen = False, []
EXECUTES = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "exec",
            "compile", "open", "import", "marshal.loads", "ctypes.dlopen", "socket.connect")
def watch(event, arguments):
    if watched and event in EXECUTES:
        seen.append((event, arguments))
sys.addaudithook(watch)

def memory(field):
    with open("/proc/self/status") as status:
        return int(re.search(field + r":\\s+(\\d+) kB", status.read())[1]) * 1024

for name, octets in hostile.ALL.items():
    gc.collect()
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")  # the peak is counted from here
    before = memory("VmRSS")
    stream = Stream.frombytes(octets)
    watched = True
    try:
        loaded = serializer.load(stream)
        outcome = "loaded"
        del loaded
    except Exception as error:
        outcome = type(error).__name__
        error = None
    watched = False
    grown = memory("VmHWM") - before
    assert not seen, (name, seen)
    assert not (name in hostile.GADGETS and outcome != "UnpicklingError"), (name, outcome)
    assert outcome != "MemoryError", name
    most = 100 * len(octets) + (16 << 20)
    assert grown <= most, f"{name}: {grown} of {most} octets for {len(octets)}"
print(len(hostile.ALL))
"""


@pytest.mark.parametrize("allowed", ["[]", '["builtins"]', "lambda module, name: False",
                                     '["uuid.UUID", "collections.OrderedDict"]'])
def test_each_row(allowed):
    out = run(PROGRAM, __file__.rpartition("/")[0], allowed, memory=4 << 30, timeout=3 * TIMEOUT)
    assert out == f"{len(ALL)}\n"


def test_over_a_queue_the_session_goes_on(link):
    serializer = PickleSerializer([])
    server = link.server(serialization=nq.SerializationOptions(load=serializer.load))
    client = link.client(serialization=nq.SerializationOptions(dump=Stream.frombytes))
    for name in GADGETS:
        client.put(GADGETS[name])
        client.put(pickle.dumps(name))
        with pytest.raises(pickle.UnpicklingError) as caught:
            server.get(timeout=TIMEOUT)
        assert str(client.id) in caught.value.__notes__[0]
        assert server.get(timeout=TIMEOUT).data == name


@pytest.mark.parametrize("name", ["memo: sparse entries", "memo: index of 2^64"])
def test_sparse_memos_are_refused(name):
    with pytest.raises(pickle.UnpicklingError, match="memo"):
        PickleSerializer([]).load(Stream.frombytes(BOMBS[name]))


def test_what_was_registered_by_a_number_is_refused():
    import copyreg
    import fractions
    octets = pickle.dumps(fractions.Fraction(1, 3))
    copyreg.add_extension("fractions", "Fraction", 240)
    try:
        numbered = pickle.dumps(fractions.Fraction(1, 3))
        assert pickle.loads(numbered) == fractions.Fraction(1, 3)  # from now on known by its number
        with pytest.raises(pickle.UnpicklingError, match="extension"):
            PickleSerializer([]).load(Stream.frombytes(numbered))
    finally:
        copyreg.remove_extension("fractions", "Fraction", 240)
    with pytest.raises(pickle.UnpicklingError):
        PickleSerializer([]).load(Stream.frombytes(octets))
