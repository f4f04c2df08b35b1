# SPDX-License-Identifier: Apache-2.0
"""The pickle reader and writer against CPython's own, on generated objects.

Each object is pickled by CPython (protocols 0 to 5 in turn), loaded and dumped by pickle_echo, and
loaded by CPython again: the result must be equal in type and content, keep what was shared, and
be accepted by pickletools.dis. Prints its seed; --seed replays a run.
"""

import argparse
import collections
import datetime
import decimal
import enum
import fractions
import io
import math
import pathlib
import pickle
import pickletools
import random
import struct
import subprocess
import sys
import time
import uuid

import numpy


class Plain:
    """An instance with a __dict__."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self, left, right):
        self.left, self.right = left, right


class Keywords:
    """Made by __new__ with keyword arguments (NEWOBJ_EX)."""

    def __new__(cls, *, size):
        self = super().__new__(cls)
        self.size = size
        return self

    def __getnewargs_ex__(self):
        return (), {"size": self.size}


class ListChild(list):
    pass


class DictChild(dict):
    pass


class Color(enum.Enum):
    red = 1
    green = "g"


class Outer:
    class Inner(Plain):
        pass


Point = collections.namedtuple("Point", "x y")


class Generator:
    """Makes objects of every type that the reader knows, and of some that it does not."""

    DTYPES = ("? i1 u1 <i2 >i2 <u2 <i4 >i4 <u4 <i8 >u8 <f2 <f4 >f4 <f8 >f8 <c8 <c16 S5 <U3 >U3 V6 "
              "<M8[D] <M8[25us] <m8[ns] <m8 g").split()

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numpy = numpy.random.default_rng(seed)
        self.shared = []
        self.leaves = [
            self.none, self.boolean, self.small_int, self.int64, self.big_int, self.float,
            self.complex, self.text, self.bytes, self.bytearray, self.uuid, self.date, self.time,
            self.datetime, self.timedelta, self.timezone, self.decimal, self.scalar, self.named]
        self.keys = [self.none, self.boolean, self.small_int, self.int64, self.big_int, self.text,
                     self.bytes, self.uuid, self.date, self.timedelta, self.decimal]
        self.containers = [
            self.list, self.tuple, self.dict, self.set, self.frozenset, self.instance]

    def object(self, depth):
        roll = self.random.random()
        if self.shared and roll < 0.08:
            return self.random.choice(self.shared)
        if depth > 0 and roll < 0.55:
            made = self.random.choice(self.containers)(depth - 1)
        elif roll < 0.65:
            made = self.array()
        else:
            made = self.random.choice(self.leaves)()
        if self.random.random() < 0.15:
            self.shared.append(made)
        return made

    def fresh(self):
        """An object that shares nothing with those before it."""
        self.shared = []
        return self.object(self.random.randrange(5))

    def some(self, make, most=6):
        return [make() for _ in range(self.random.randrange(most))]

    # Leaves.
    def none(self):
        return None

    def boolean(self):
        return self.random.random() < 0.5

    def small_int(self):
        return self.random.choice([0, 1, -1, 127, 128, 255, 256, 65535, 65536, -128, -129])

    def int64(self):
        bits = self.random.randrange(64)
        return self.random.choice([1, -1]) * self.random.getrandbits(bits + 1)

    def big_int(self):
        bits = self.random.choice([62, 63, 64, 65, 127, 128, 200, 1000, 2040, 2048, 14000])
        edge = 1 << bits
        return self.random.choice(
            [edge, edge - 1, -edge, -edge - 1, self.random.getrandbits(bits)])

    def float(self):
        return self.random.choice([
            0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, sys.float_info.max, 0.1, -1.5,
            self.random.gauss(0, 1),
            self.random.gauss(0, 1) * 10.0 ** self.random.randrange(-300, 300)])

    def complex(self):
        return complex(self.float(), self.float())

    def text(self):
        alphabet = self.random.choice([
            "abcxyz ", "a\\u'\"\n\r\0\x1a\x7f", "aé\u0100\u20ac\ud7ff\ue000\uffff",
            "\U00010000\U0010ffff\U0001f600",
            "\ud800\udbff\udc00\udfffz"])
        length = self.random.choice([0, 1, 2, 5, 20, 255, 256, 1500])
        return "".join(self.random.choice(alphabet) for _ in range(length))

    def bytes(self):
        return self.random.randbytes(self.random.choice([0, 1, 2, 7, 255, 256, 1200]))

    def bytearray(self):
        return bytearray(self.bytes())

    def uuid(self):
        return self.random.choice([
            uuid.UUID(int=0), uuid.UUID(int=(1 << 128) - 1), uuid.uuid1(),
            uuid.UUID(int=self.random.getrandbits(128)),
            uuid.UUID(int=self.random.getrandbits(40))])

    def date(self):
        return self.random.choice([
            datetime.date.min, datetime.date.max, datetime.date(2024, 2, 29),
            datetime.date.fromordinal(self.random.randrange(1, 3652059))])

    def zone(self):
        return self.random.choice([None, None, datetime.timezone.utc, self.timezone()])

    def time(self):
        return datetime.time(
            self.random.randrange(24), self.random.randrange(60), self.random.randrange(60),
            self.random.choice([0, 1, 999999, self.random.randrange(10 ** 6)]), self.zone(),
            fold=self.random.randrange(2))

    def datetime(self):
        return datetime.datetime.combine(self.date(), self.time())

    def timedelta(self):
        return self.random.choice([
            datetime.timedelta.min, datetime.timedelta.max, datetime.timedelta(),
            datetime.timedelta(microseconds=-1),
            datetime.timedelta(
                self.random.randrange(-10 ** 6, 10 ** 6), self.random.randrange(86400),
                self.random.randrange(10 ** 6))])

    def timezone(self):
        offset = datetime.timedelta(microseconds=self.random.choice([
            0, 1, -1, 3600 * 10 ** 6, -86399999999, 86399999999,
            self.random.randrange(-86399999999, 86400000000)]))
        return self.random.choice([
            datetime.timezone(offset), datetime.timezone(offset, self.text()[:30])])

    def decimal(self):
        return decimal.Decimal(self.random.choice([
            "0", "-0", "1.50", "NaN", "-NaN123", "sNaN", "Infinity", "-Infinity", "1E+999999",
            "1e-400", "0E-10", "123456789012345678901234567890.0987654321",
            str(self.random.gauss(0, 1))]))

    def named(self):
        return self.random.choice(
            [int, len, Plain, Outer.Inner, numpy.ndarray, uuid.UUID, Exception])

    # numpy.
    def dtype(self):
        return numpy.dtype(self.random.choice(self.DTYPES))

    def octet_array(self, dtype, count):
        if dtype.kind == "U":
            codes = self.numpy.integers(32, 0x1000, count * dtype.itemsize // 4, dtype=numpy.uint32)
            return codes.astype(dtype.byteorder.replace("=", "<") + "u4").view(dtype)
        if dtype.kind == "b":
            return self.numpy.integers(0, 2, count, dtype=numpy.uint8).view(dtype)
        if dtype.char == "g":
            return self.numpy.standard_normal(count).astype(dtype)
        return numpy.frombuffer(self.random.randbytes(count * dtype.itemsize), dtype)

    def scalar(self):
        return self.octet_array(self.dtype(), 1)[0]

    def array(self):
        if self.random.random() < 0.15:
            return self.strange_array()
        shape = tuple(self.random.choice([0, 1, 2, 3, 7]) for _ in range(self.random.randrange(4)))
        if self.random.random() < 0.02:
            shape = (9000,)
        made = self.octet_array(self.dtype(), math.prod(shape)).copy().reshape(shape)
        way = self.random.randrange(4)
        if way == 0:
            made = numpy.asfortranarray(made)
        elif way == 1 and made.ndim > 0:
            made = made[::2]
        elif way == 2:
            made = made.T
        return made

    def strange_array(self):
        """Arrays that arrive as Objects: fields, object items, dtypes by themselves."""
        fields = numpy.dtype([("a", "<i4"), ("b", ">f8", (2,)), ("c", "U2")])
        return self.random.choice([
            numpy.zeros(3, fields), numpy.array([1, "a", None], dtype=object), fields,
            numpy.dtype("f8"), numpy.zeros(2, numpy.dtype("i4", metadata={"k": 1})),
            numpy.zeros((), fields)[()], numpy.ma.masked_array([1, 2], [True, False])])

    # Containers.
    def list(self, depth):
        if self.random.random() < 0.01:
            return list(range(self.random.choice([999, 1000, 1001, 2500])))
        return self.some(lambda: self.object(depth))

    def tuple(self, depth):
        return tuple(self.list(depth))

    def key(self, depth=1):
        if depth > 0 and self.random.random() < 0.1:
            return tuple(self.some(lambda: self.key(depth - 1), 4))
        made = self.random.choice(self.keys)()
        signals = isinstance(made, decimal.Decimal) and made.is_snan()
        return None if signals else made  # sNaN has no hash

    def dict(self, depth):
        if self.random.random() < 0.01:
            return {n: str(n) for n in range(self.random.choice([999, 1000, 1001, 2500]))}
        return {key: self.object(depth) for key in self.some(self.key)}

    def set(self, depth):
        if self.random.random() < 0.01:
            return set(range(self.random.choice([999, 1000, 1001, 2500])))
        return set(self.some(self.key, 8))

    def frozenset(self, depth):
        return frozenset(self.some(self.key, 8))

    def instance(self, depth):
        inner = self.object(depth)
        return self.random.choice([
            lambda: Plain(a=inner, b=1), lambda: Outer.Inner(c=inner), lambda: Slotted(inner, 2),
            lambda: Keywords(size=inner), lambda: ListChild([inner, 1]),
            lambda: DictChild({1: inner, "k": 2}), lambda: Color.green, lambda: Point(inner, 3),
            lambda: collections.OrderedDict([("z", inner), ("a", 1)]),
            lambda: collections.deque([inner, 1], 5), lambda: collections.Counter("abca"),
            lambda: fractions.Fraction(3, 7), lambda: range(1, 9, 2),
            lambda: pathlib.PurePosixPath("/a/b"), lambda: ValueError("x", 1),
            lambda: collections.defaultdict(list, {1: [inner]}), lambda: slice(1, None, 3)])()


def same_float(a, b):
    return struct.pack("<d", a) == struct.pack("<d", b) or (math.isnan(a) and math.isnan(b))


class Comparison:
    """Equality in type, content and sharing: two graphs are walked side by side."""

    MUTABLE = (list, dict, set, bytearray, numpy.ndarray, Plain, Slotted)

    def __init__(self):
        self.partners = {}

    def differ(self, a, b, path):
        return f"{path}: {a!r:.200} became {b!r:.200}"

    def compare(self, a, b, path="value"):
        """What is different, or None."""
        if type(a) is not type(b):
            return self.differ(a, b, path)
        if isinstance(a, self.MUTABLE):
            # Both are kept, so that no id is used again.
            known = self.partners.setdefault(id(a), (a, b))
            if known[1] is not b:
                return f"{path}: what was shared is no longer"
        if isinstance(a, float) and not isinstance(a, numpy.generic):
            return None if same_float(a, b) else self.differ(a, b, path)
        if isinstance(a, complex) and not isinstance(a, numpy.generic):
            same = same_float(a.real, b.real) and same_float(a.imag, b.imag)
            return None if same else self.differ(a, b, path)
        if isinstance(a, decimal.Decimal):
            return None if str(a) == str(b) else self.differ(a, b, path)
        if isinstance(a, (numpy.ndarray, numpy.generic, numpy.dtype)):
            return None if self.same_numpy(a, b) else self.differ(a, b, path)
        if isinstance(a, (datetime.time, datetime.datetime)):
            same = a == b and a.fold == b.fold and repr(a) == repr(b)
            return None if same else self.differ(a, b, path)
        if isinstance(a, datetime.timezone):
            return None if repr(a) == repr(b) else self.differ(a, b, path)
        return self.compare_container(a, b, path)

    def same_numpy(self, a, b):
        if isinstance(a, numpy.dtype):
            return a == b and a.metadata == b.metadata
        if isinstance(a, numpy.ma.MaskedArray):
            return repr(a) == repr(b)
        if a.dtype != b.dtype and a.dtype == b.dtype.newbyteorder():
            # In protocols 0 to 4 numpy reads its big-endian arrays as native; we keep the order.
            b = b.astype(a.dtype)
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if isinstance(a, numpy.ndarray) and not b.flags.writeable:
            return False
        if a.dtype.hasobject:
            return a.tolist() == b.tolist()
        if a.dtype.char == "g":
            return numpy.array_equal(a, b, equal_nan=True)
        if numpy.isfortran(numpy.asarray(a)) != numpy.isfortran(numpy.asarray(b)):
            return False
        return a.tobytes() == b.tobytes()

    def compare_container(self, a, b, path):
        if isinstance(a, (list, tuple, collections.deque)):
            if len(a) != len(b):
                return self.differ(a, b, path)
            for i, (left, right) in enumerate(zip(a, b)):
                if found := self.compare(left, right, f"{path}[{i}]"):
                    return found
            return self.compare_fields(a, b, path)
        if isinstance(a, dict):
            if len(a) != len(b):
                return self.differ(a, b, path)
            for (key, left), (other, right) in zip(a.items(), b.items()):
                found = self.compare(key, other, f"{path} key")
                found = found or self.compare(left, right, f"{path}[{key!r:.50}]")
                if found:
                    return found
            return self.compare_fields(a, b, path)
        if isinstance(a, (set, frozenset)):
            left, right = (
                sorted(s, key=lambda item: (type(item).__name__, repr(item))) for s in (a, b))
            return self.compare(left, right, path + " items")
        if isinstance(a, Slotted):
            return self.compare([a.left, a.right], [b.left, b.right], path)
        if isinstance(a, BaseException):
            return self.compare(a.args, b.args, path)
        if hasattr(a, "__dict__") and not isinstance(a, (type, enum.Enum)) and not callable(a):
            return self.compare_fields(a, b, path)
        return None if a == b else self.differ(a, b, path)

    def compare_fields(self, a, b, path):
        left, right = getattr(a, "__dict__", None), getattr(b, "__dict__", None)
        if not left and not right:
            return None
        return self.compare(dict(left), dict(right), f"{path}.__dict__")


class Echo:
    """The C++ side: one answer for each pickle."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, octets):
        self.process.stdin.write(struct.pack("=Q", len(octets)) + octets)
        self.process.stdin.flush()
        header = self.process.stdout.read(8)
        if len(header) < 8:
            raise SystemExit(f"pickle_echo ended with {self.process.wait()} on {octets[:2000]!r}")
        answer = self.process.stdout.read(struct.unpack("=Q", header)[0])
        return chr(answer[0]), answer[1:]

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def check(echo, made, protocol):
    """What went wrong with one object, or None."""
    try:
        original = pickle.dumps(made, protocol)
    except TypeError:  # __slots__ ask for protocol 2
        original = pickle.dumps(made, 2)
    kind, answer = echo.ask(original)
    if kind != "V":
        return f"refused: {answer.decode()}"
    # CPython itself loses some things on the way, such as fold in protocols 0 to 3.
    return compare_answer(pickle.loads(original), answer)


def compare_answer(expected, answer):
    loaded = pickle.loads(answer)
    pickletools.dis(answer, io.StringIO())
    return Comparison().compare(expected, loaded)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("echo", help="path of pickle_echo")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--count", type=int, default=12000)
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.count} objects, numpy {numpy.__version__}", flush=True)
    generator, echo = Generator(options.seed), Echo(options.echo)
    started = time.monotonic()
    for number in range(options.count):
        made, protocol = generator.fresh(), number % 6
        if problem := check(echo, made, protocol):
            print(f"object {number}, protocol {protocol}: {problem}\n{made!r:.2000}")
            print(f"replay with --seed {options.seed}")
            return 1
    if echo.close() != 0:
        print("pickle_echo failed at its end")
        return 1
    print(f"{options.count} objects agree, {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
