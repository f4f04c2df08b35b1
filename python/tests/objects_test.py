# SPDX-License-Identifier: Apache-2.0
"""Objects from Python to Python: equal, and large arrays without a copy."""

import collections
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import pickle
import uuid

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import TIMEOUT, Link

import net_queue as nq
from net_queue.utils.stream import Stream
from net_queue.utils.streamtools import BytesSerializer, PickleSerializer

BIG = 1 << 20


class Color(enum.Enum):
    RED = 1


class Thing:
    def __init__(self, data):
        self.data = data

    def __eq__(self, other):
        return type(other) is Thing and self.data == other.data


class Slotted:
    __slots__ = ("data",)

    def __eq__(self, other):
        return type(other) is Slotted and self.data == other.data


slotted = Slotted()
slotted.data = [b"x" * BIG]

OBJECTS = [
    None, True, False, 0, -1, 2**31, -2**63, 2**64, -10**400, 0.0, -1.5, math.inf, 5e-324,
    "", "text", "g\u00fc \u4e16 \U0001f600", "\0", "\ud800", "x" * BIG, "\u4e16" * BIG,
    b"", bytes(range(256)), b"x" * 65_535, b"x" * 65_536, b"x" * BIG, bytearray(b"text"),
    bytearray(BIG), [], [1, [2, []]], list(range(100_000)), (), (1,), ((), ([],)), {},
    {"a": 1, 2: "b", (3,): None}, set(), {1, "a"}, frozenset({1}), 1 - 2.5j, ..., range(1, 9, 3),
    slice(1, None), int, Thing, Color.RED, Thing([1]), Thing(b"x" * BIG), slotted,
    uuid.UUID(int=1), datetime.datetime(2024, 10, 27, 2, 30, tzinfo=datetime.timezone.utc),
    datetime.datetime.min, datetime.datetime(2024, 10, 27, 2, 30, fold=1), datetime.date.max,
    datetime.time(23, 59, 59, 999_999), datetime.time(2, 30, tzinfo=datetime.timezone.utc, fold=1),
    datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=-5, seconds=1), "east"),
    datetime.timedelta(-1, 5), decimal.Decimal("-1.50"), fractions.Fraction(3, 4),
    collections.OrderedDict([("z", 1)]), collections.Counter("abc"), collections.deque([1], 5),
    pathlib.PurePosixPath("/a/b"), ValueError("text", 1).args,
    [b"x" * BIG, "y", b"z" * BIG, bytearray(BIG), {"deep": [b"x" * BIG]}],
]


@pytest.fixture(scope="module")
def pair():
    link = Link("tcp")
    yield link.pair()
    link.close()


def sent(pair, thing):
    server, client = pair
    client.put(thing)
    peer, arrived = server.get(timeout=TIMEOUT)
    return arrived


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: repr(thing)[:30])
def test_each_arrives_equal(pair, thing):
    arrived = sent(pair, thing)
    assert type(arrived) is type(thing) and arrived == thing


def test_over_each_transport(link):
    server, client = link.pair()
    for thing in OBJECTS:
        client.put(thing)
    for thing in OBJECTS:
        assert server.get(timeout=TIMEOUT).data == thing


def test_what_stands_for_itself_stays_itself(pair):
    shared = [b"x" * BIG]
    arrived = sent(pair, [shared, shared, shared[0]])
    assert arrived[0] is arrived[1] and arrived[2] is arrived[0][0]
    cycle = []
    cycle.append(cycle)
    arrived = sent(pair, cycle)
    assert arrived[0] is arrived


@settings(max_examples=40, deadline=None)
@given(data=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary() | st.uuids() | st.decimals(allow_nan=False) | st.datetimes()
    | st.binary(min_size=1, max_size=9).map(lambda octets: octets * 20_000),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5)
    | st.tuples(inner, inner)))
def test_any(pair, data):
    assert sent(pair, data) == data


def test_what_we_write_any_pickle_loads():
    serializer = PickleSerializer()
    for thing in OBJECTS:
        octets = serializer.dump(thing).tobytes()
        assert pickle.loads(octets) == thing and pickle._loads(octets) == thing
        for protocol in range(6):
            if protocol < 2 and isinstance(thing, Slotted):
                continue
            octets = pickle.dumps(thing, protocol)
            assert serializer.load(Stream.frombytes(octets)) == thing
            halves = Stream([octets[:len(octets) // 2], octets[len(octets) // 2:]])
            assert serializer.load(halves) == thing


# Arrays.

DTYPES = ["?", "i1", "u1", "<i2", ">i2", "<u2", "<i4", ">i4", "<u4", "<i8", "<u8", ">u8", "<f2",
          "<f4", ">f4", "<f8", "<f16", "<c8", "<c16", ">c16", "<c32", "S5", "<U7", ">U3", "M8[ns]",
          "m8[s]", "V3",
          [("a", "<i4"), ("b", "<f8", (2, 3)), ("c", "S3")],
          numpy.dtype([("a", "u1"), ("b", "<f8")], align=True)]


def filled(dtype, count):
    dtype = numpy.dtype(dtype)
    octets = numpy.random.default_rng(count).integers(0, 2, count * dtype.itemsize, dtype="u1")
    return numpy.frombuffer(octets.tobytes(), dtype, count).copy()


def assert_same(arrived, array):
    assert type(arrived) is type(array)
    assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)
    assert arrived.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("count", [0, 1, 24, 24_000])
def test_arrays(pair, dtype, count):
    array = filled(dtype, count)
    arrived = sent(pair, array)
    assert_same(arrived, array)
    assert arrived.flags.writeable and arrived.flags.aligned
    if count:
        arrived[0] = arrived[-1]
    for shape in ((2, 3, -1), (-1, 4), (1, -1, 1)) if count % 6 == 0 and count else ():
        assert_same(sent(pair, array.reshape(shape)), array.reshape(shape))


SHAPES = {
    "0-d": lambda: numpy.array(5.0),
    "0-d of octets": lambda: numpy.array(b"x" * BIG),
    "Fortran": lambda: numpy.asfortranarray(numpy.arange(60_000.0).reshape(200, 300)),
    "transposed": lambda: numpy.arange(60_000.0).reshape(200, 300).T,
    "every second": lambda: numpy.arange(60_000.0)[::2],
    "backwards": lambda: numpy.arange(60_000.0)[::-1],
    "a column": lambda: numpy.arange(60_000.0).reshape(-1, 3)[:, 1],
    "broadcast": lambda: numpy.broadcast_to(numpy.arange(1000.0), (100, 1000)),
    "empty": lambda: numpy.zeros((3, 0, 70_000)),
    "of objects": lambda: numpy.array([None, "text", 1, b"x" * BIG], dtype=object),
    "a matrix": lambda: numpy.arange(10_000.0).reshape(100, 100).view(numpy.matrix),
    "a masked one": lambda: numpy.ma.masked_less(numpy.arange(20_000.0), 7),
    "unaligned": lambda: numpy.zeros(80_001, "u1")[1:].view("<f8"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(pair, shape):
    array = SHAPES[shape]()
    arrived = sent(pair, array)
    if shape == "of objects":
        assert arrived.tolist() == array.tolist() and arrived.dtype == object
        return
    assert_same(arrived, array)
    if shape == "a masked one":
        assert (arrived.mask == array.mask).all()
    if shape in ("Fortran", "transposed"):
        assert arrived.flags.f_contiguous and not arrived.flags.c_contiguous


def block_of(array):
    """The object that an array's memory belongs to."""
    while isinstance(array, (numpy.ndarray, memoryview)):
        array = array.obj if isinstance(array, memoryview) else array.base
    return array


@pytest.mark.parametrize("make", [
    lambda: numpy.arange(BIG, dtype="<f8"), lambda: numpy.arange(BIG, dtype=">i2"),
    lambda: numpy.arange(60_000.0).reshape(200, 300).T, lambda: filled(DTYPES[-2], 10_000),
    lambda: numpy.zeros(65_536, "u1")], ids=["f8", "big-endian", "Fortran", "structured", "64 KiB"])
def test_a_large_array_is_a_view_of_its_message(pair, make):
    array = make()
    for prefix in range(0, 70, 7):
        before, arrived, after = sent(pair, ["x" * prefix, array, array.copy()])
        for each in (arrived, after):
            assert type(block_of(each)).__name__ == "Block"
            assert each.flags.writeable and not each.flags.owndata
            assert each.__array_interface__["data"][0] % 16 == 0
            assert_same(each, array)
        arrived[0] = 0  # what one may do to it is seen nowhere else
        assert_same(after, array)


def test_a_read_only_array(pair):
    array = numpy.arange(BIG, dtype="<f8")
    array.flags.writeable = False
    arrived = sent(pair, array)
    assert_same(arrived, array)
    assert not arrived.flags.writeable and type(block_of(arrived)).__name__ == "Block"


def test_an_array_outlives_its_queue():
    link = Link("tcp")
    array = sent(link.pair(), numpy.arange(BIG))
    link.close()
    assert (array == numpy.arange(BIG)).all()
    array += 1


@pytest.mark.parametrize("scalar", [numpy.float64(2.5), numpy.int8(-3), numpy.bool_(True),
                                    numpy.datetime64("2024-02-29"), numpy.str_("text")])
def test_scalars(pair, scalar):
    arrived = sent(pair, scalar)
    assert type(arrived) is type(scalar) and arrived == scalar


@pytest.mark.parametrize("make", [
    lambda: memoryview(b"x" * BIG), lambda: bytearray(BIG), lambda: numpy.arange(BIG),
    lambda: numpy.asfortranarray(numpy.arange(60_000.0).reshape(200, 300)), lambda: b"small"])
def test_pickle_buffers(pair, make):
    buffer = make()
    arrived = sent(pair, pickle.PickleBuffer(buffer))
    assert bytes(arrived) == bytes(pickle.loads(pickle.dumps(pickle.PickleBuffer(buffer), 5)))


def test_what_is_no_buffer_in_a_row_raises(pair):
    server, client = pair
    with pytest.raises((pickle.PicklingError, BufferError, ValueError)):
        client.put(pickle.PickleBuffer(numpy.arange(60_000)[::2]))
    assert sent(pair, "fine") == "fine"


# Octets.


def test_bytes(link):
    serializer = BytesSerializer()
    server, client = link.pair(
        serialization=nq.SerializationOptions(serializer.load, serializer.dump))
    for octets in (b"", b"x", bytes(range(256)), b"x" * 65_536, b"x" * 5_000_000):
        for sent_as in (octets, bytearray(octets), memoryview(octets),
                        numpy.frombuffer(octets, "u1")):
            client.put(sent_as)
            arrived = server.get(timeout=TIMEOUT).data
            assert type(arrived) is bytes and arrived == octets
    for wrong in ("text", 1, None, [b"x"]):
        with pytest.raises(TypeError):
            client.put(wrong)


def test_the_own_id_as_a_message(link):
    serializer = BytesSerializer()
    server, client = link.pair(
        serialization=nq.SerializationOptions(serializer.load, serializer.dump))
    with pytest.raises(ValueError, match="own id"):
        client.put(client.id.bytes).result(TIMEOUT)
    client.put(server.id.bytes).result(TIMEOUT)
    assert server.get(timeout=TIMEOUT).data == server.id.bytes
