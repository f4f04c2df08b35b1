# SPDX-License-Identifier: Apache-2.0
"""WIRE.md, Objects: what Python puts arrives in C++ as Values, and comes back as the same."""

import collections
import datetime
import decimal
import fractions
import math
import pickle
import random
import unittest
import uuid

import numpy

from harness import TIMEOUT, InteropTest

UTC = datetime.timezone.utc
CEST = datetime.timezone(datetime.timedelta(hours=2), "CEST")

# (the ValueType it arrives as, the object)
OBJECTS = [
    ("None", None),
    ("bool", True), ("bool", False),
    ("int", 0), ("int", -1), ("int", 255), ("int", 256), ("int", 2**31), ("int", -2**63),
    ("int", 2**63 - 1), ("int", 2**63), ("int", 10**40), ("int", -10**400),
    ("float", 0.0), ("float", -1.5), ("float", 1e308), ("float", math.inf), ("float", 5e-324),
    ("str", ""), ("str", "text"), ("str", "g\u00fc \u4e16\u754c \U0001f600"), ("str", "\0"),
    ("str", "\ud800"), ("str", "x" * 100_000),
    ("bytes", b""), ("bytes", bytes(range(256))), ("bytes", bytes(1 << 20)),
    ("bytearray", bytearray(b"change me")), ("bytearray", bytearray(100_000)),
    ("list", []), ("list", [1, [2, [3, []]]]), ("list", list(range(5000))),
    ("tuple", ()), ("tuple", (1,)), ("tuple", (1, 2, 3, 4)), ("tuple", ((), ([],))),
    ("dict", {}), ("dict", {"a": 1, 2: "b", (3,): [None], b"k": {}}),
    ("set", set()), ("set", {1, "a", (2,)}), ("frozenset", frozenset({1, 2, 3})),
    ("complex", 1 - 2.5j),
    ("uuid", uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")),
    ("date", datetime.date(2024, 2, 29)),
    ("time", datetime.time(23, 59, 59, 999_999)),
    ("time", datetime.time(1, 2, 3, tzinfo=UTC, fold=1)),
    ("datetime", datetime.datetime(1, 1, 1)),
    ("datetime", datetime.datetime(2024, 10, 27, 2, 30, tzinfo=CEST, fold=1)),
    ("timedelta", datetime.timedelta(days=-1, microseconds=1)),
    ("timezone", UTC), ("timezone", CEST),
    ("decimal", decimal.Decimal("-1.50")), ("decimal", decimal.Decimal("Infinity")),
    ("array", numpy.arange(10, dtype="<i4")),
    ("array", numpy.linspace(0, 1, 30_000).reshape(100, 300)),
    ("array", numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3))),
    ("array", numpy.array([7, 8], dtype=">u2")), ("array", numpy.array(7)),
    ("array", numpy.zeros((3, 0, 2), dtype=bool)),
    ("array", numpy.array(["2024-02-29", "NaT"], dtype="M8[s]")),
    ("scalar", numpy.float64(2.5)), ("scalar", numpy.int8(-3)), ("scalar", numpy.bool_(True)),
    ("object", fractions.Fraction(3, 4)),
    ("object", collections.OrderedDict([("z", 1), ("a", 2)])),
    ("object", collections.Counter("abracadabra")),
    ("object", collections.deque([1, 2, 3], maxlen=5)),
    ("object", range(1, 10, 3)),
    ("global", int), ("global", collections.OrderedDict),
    ("list", [None, True, 1, 2.5, "s", b"b", (1,), {"k": {1, 2}}, uuid.UUID(int=1), UTC,
              numpy.arange(3)]),
]


def same(a, b):
    """Equal in type and in content, in the containers too."""
    if type(a) is not type(b):
        return False
    if isinstance(a, numpy.ndarray):
        # In this machine's order of octets, to which numpy turns what it unpickles.
        a, b = (array.astype(array.dtype.newbyteorder("="), copy=False) for array in (a, b))
        return (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
                and a.flags.f_contiguous == b.flags.f_contiguous)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return (list(map(type, a)) == list(map(type, b)) and list(a) == list(b)
                and all(map(same, a.values(), b.values())))
    if isinstance(a, (datetime.time, datetime.datetime)):
        return a == b and a.tzinfo == b.tzinfo and a.fold == b.fold
    if isinstance(a, float):
        return math.copysign(1, a) == math.copysign(1, b) and (a == b or a != a and b != b)
    return a == b


def random_object(source, depth=0):
    """An object of the plain types, nested at most five deep."""
    leaves = [lambda: None, lambda: source.random() < 0.5, lambda: source.getrandbits(80) - 2**79,
              lambda: source.gauss(0, 1e10), lambda: "".join(chr(source.randrange(1, 0x3000))
                                                             for _ in range(source.randrange(20))),
              lambda: source.randbytes(source.randrange(300)),
              lambda: uuid.UUID(int=source.getrandbits(128))]
    if depth == 5 or source.random() < 0.4:
        return source.choice(leaves)()
    items = [random_object(source, depth + 1) for _ in range(source.randrange(6))]
    return source.choice([lambda: items, lambda: tuple(items),
                          lambda: {str(number): item for number, item in enumerate(items)}])()


class ObjectsAtServerTest(InteropTest):
    def setUp(self):
        self.cpp = self.server()
        self.client = self.old_client(self.cpp, raw=False)

    def test_same_tells_what_differs(self):
        for a, b in ((1, True), (1, 1.0), ([1], (1,)), (0.0, -0.0), ({"a": 1}, {"a": True}),
                     (b"", bytearray()), (numpy.arange(3), numpy.arange(3.0)),
                     (numpy.zeros((2, 3)), numpy.zeros((2, 3), order="F"))):
            self.assertFalse(same(a, b), (a, b))
        for _, thing in OBJECTS:
            self.assertTrue(same(thing, pickle.loads(pickle.dumps(thing))), thing)

    def test_each_type_arrives_as_its_value(self):
        names = {"array": "numpy array", "scalar": "numpy scalar"}
        for kind, thing in OBJECTS:
            with self.subTest(kind=kind, thing=str(thing)[:40]):
                self.client.put(thing)
                line = self.cpp.ask("repr", r"(value \S+|error) (.*)")[2]
                self.assertRegex(line.lower(), rf"^(?:[\w.]*\.)?{names.get(kind, kind.lower())}\b")

    def test_each_type_comes_back_as_the_same_object(self):
        self.cpp.ask("echo-objects", "echoing")
        for kind, thing in OBJECTS:
            with self.subTest(kind=kind, thing=str(thing)[:40]):
                self.client.put(thing)
                self.assertTrue(same(self.client.get(), thing))

    def test_each_type_in_each_protocol(self):
        self.cpp.ask("echo-objects", "echoing")
        self.client.serializer.dump = lambda octets: octets
        for protocol in range(6):
            for kind, thing in OBJECTS:
                with self.subTest(protocol=protocol, kind=kind, thing=str(thing)[:40]):
                    octets = pickle.dumps(thing, protocol)
                    self.client.put(octets)
                    # Not the thing itself: the oldest protocols drop a fold.
                    self.assertTrue(same(self.client.get(), pickle.loads(octets)))

    def test_random_objects_come_back(self):
        seed = random.SystemRandom().getrandbits(32)
        source = random.Random(seed)
        self.cpp.ask("echo-objects", "echoing")
        things = [random_object(source) for _ in range(500)]
        for thing in things:
            self.client.put(thing)
        for thing in things:
            with self.subTest(seed=seed):
                self.assertTrue(same(self.client.get(), thing))

    def test_a_message_that_is_no_pickle_is_an_error_and_the_session_goes_on(self):
        self.client.serializer.dump = lambda octets: octets
        self.client.put(b"no pickle")
        self.cpp.ask("repr", "error .*")
        self.client.put(pickle.dumps("a pickle"))
        self.cpp.ask("repr", rf"value {self.client.id} str .*a pickle.*")


class ObjectsAtClientTest(InteropTest):
    def test_each_type_comes_back_as_the_same_object(self):
        server = self.old_server(raw=False)
        client = self.puppet("client", port=server.port)
        client.ask("echo-objects", "echoing")
        server.wait_for_peers(1, TIMEOUT)
        for kind, thing in OBJECTS:
            with self.subTest(kind=kind, thing=str(thing)[:40]):
                server.put(thing, client.id)
                self.assertTrue(same(server.get()[1], thing))


if __name__ == "__main__":
    unittest.main()
