# SPDX-License-Identifier: Apache-2.0
"""Stream against a model: any operations in any order, on streams that share memory.

A failure prints the steps and a line that replays them.
"""

import copy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from net_queue.utils.stream import Stream

OCTETS = st.lists(st.sampled_from(b"\nab"), max_size=8).map(bytes)
BUFFERS = st.one_of(
    OCTETS,
    OCTETS.map(bytearray),
    OCTETS.map(lambda octets: memoryview(b"<" + octets + b">")[1:-1]),
)
SIZES = st.one_of(st.none(), st.integers(-2, 40))
TAKES = ("readchunk", "unwritechunk", "peekchunk", "read", "read1", "readline")


class Piece:
    """What the model knows of a chunk: its octets, and whose they are."""

    def __init__(self, octets, owner):
        self.octets, self.owner = octets, owner

    @classmethod
    def of(cls, buffer):
        return cls(bytes(buffer), memoryview(buffer).obj)


class Model:
    """A stream and the pieces it should hold."""

    def __init__(self, stream, pieces=()):
        self.stream = stream
        self.pieces = [piece for piece in pieces if piece.octets]

    @property
    def octets(self):
        return b"".join(piece.octets for piece in self.pieces)

    def most(self, size):
        return len(self.octets) if size is None or size < 0 else min(size, len(self.octets))

    def first_line(self, size):
        return self.octets[:self.most(size)].partition(b"\n")

    def take(self, count):
        """The first `count` octets, and their owner if it is only one."""
        octets, within = self.octets[:count], count <= len(self.pieces[0].octets)
        owner = self.pieces[0].owner if within else None
        while count and count >= len(self.pieces[0].octets):
            count -= len(self.pieces.pop(0).octets)
        if count:
            self.pieces[0] = Piece(self.pieces[0].octets[count:], self.pieces[0].owner)
        return octets, owner


def check_view(view, octets, owner):
    """`view` shows `octets`: the owner's own, or a block of nobody else."""
    assert type(view) is memoryview
    assert (view.format, view.ndim) == ("B", 1)
    assert bytes(view) == octets
    if owner is not None:
        assert view.obj is owner
    elif octets:
        assert type(view.obj) is bytearray
        view[:] = bytes(len(octets))  # no stream may see this: the invariant looks


class StreamMachine(RuleBasedStateMachine):
    streams = Bundle("streams")

    def __init__(self):
        super().__init__()
        self.models = []

    def added(self, model):
        self.models.append(model)
        return model

    @rule(target=streams, buffers=st.lists(BUFFERS, max_size=4))
    def make(self, buffers):
        return self.added(Model(Stream(buffers), map(Piece.of, buffers)))

    @rule(target=streams, buffer=BUFFERS)
    def make_of_one(self, buffer):
        return self.added(Model(Stream(buffer), [Piece.of(buffer)]))

    @rule(target=streams, of=streams, how=st.sampled_from((Stream.copy, copy.copy, Stream)))
    def copy(self, of, how):
        return self.added(Model(how(of.stream), of.pieces))

    @rule(model=streams, buffer=BUFFERS, name=st.sampled_from(("write", "writechunk")))
    def write(self, model, buffer, name):
        returned = getattr(model.stream, name)(buffer)
        assert returned == (len(buffer) if name == "write" else None)
        model.pieces += [Piece.of(buffer)] if buffer else []

    @rule(model=streams, buffer=BUFFERS)
    def unreadchunk(self, model, buffer):
        model.stream.unreadchunk(buffer)
        model.pieces[:0] = [Piece.of(buffer)] if buffer else []

    @rule(model=streams, buffers=st.lists(BUFFERS, max_size=4),
          name=st.sampled_from(("writechunks", "writelines")))
    def write_many(self, model, buffers, name):
        getattr(model.stream, name)(iter(buffers))
        model.pieces += [Piece.of(buffer) for buffer in buffers if buffer]

    @rule(model=streams, other=streams)
    def update(self, model, other):
        if len(model.pieces) + len(other.pieces) > 40:
            return  # updating itself doubles
        model.stream.update(other.stream)
        model.pieces += other.pieces[:]

    @rule(model=streams, size=SIZES, name=st.sampled_from(TAKES))
    def take(self, model, size, name):
        arguments = (size,) if name in ("read", "read1", "readline") else ()
        operation = getattr(model.stream, name)
        if arguments and size == 0:
            assert operation(size).nbytes == 0
        elif not model.pieces:
            with pytest.raises(BlockingIOError):
                operation(*arguments)
        elif name == "unwritechunk":
            last = model.pieces.pop()
            check_view(operation(), last.octets, last.owner)
        elif name == "peekchunk":
            check_view(operation(), model.pieces[0].octets, model.pieces[0].owner)
        else:
            first = len(model.pieces[0].octets)
            counts = {"readchunk": first, "read": model.most(size),
                      "read1": min(first, model.most(size)),
                      "readline": len(b"".join(model.first_line(size)[:2]))}
            check_view(operation(*arguments), *model.take(counts[name]))

    @rule(model=streams, size=st.integers(0, 40),
          name=st.sampled_from(("readinto", "readinto1")))
    def readinto(self, model, size, name):
        target = bytearray(b"." * size)
        operation = getattr(model.stream, name)
        if size and not model.pieces:
            with pytest.raises(BlockingIOError):
                operation(target)
            return
        most = len(model.pieces[0].octets) if size and name == "readinto1" else size
        count = min(most, model.most(size))
        octets = model.take(count)[0] if count else b""
        assert operation(target) == count
        assert target == octets + b"." * (size - count)

    @rule(model=streams)
    def readchunks(self, model):
        pieces, model.pieces = model.pieces, []
        for view, piece in zip(model.stream.readchunks(), pieces, strict=True):
            check_view(view, piece.octets, piece.owner)

    @rule(model=streams, hint=SIZES)
    def readlines(self, model, hint):
        expected, taken = [], 0
        for line in model.octets.splitlines(keepends=True):
            if hint is not None and 0 < hint <= taken:
                break
            expected.append(line)
            taken += len(line)
        lines = model.stream.readlines(hint)
        for view, line in zip(lines, expected, strict=True):
            check_view(view, *model.take(len(line)))

    @rule(model=streams)
    def iterate(self, model):
        expected = model.octets.splitlines(keepends=True)
        model.pieces = []
        assert [bytes(line) for line in model.stream] == expected

    @rule(model=streams)
    def clear(self, model):
        model.pieces = []
        model.stream.clear()

    @invariant()
    def all_as_expected(self):
        for model in self.models:
            stream = model.stream
            assert stream.nbytes == len(model.octets)
            assert stream.nchunks == len(model.pieces)
            assert stream.empty() == (not model.octets)
            assert bytes(stream) == stream.tobytes() == model.octets
            for view, piece in zip(stream.copy().readchunks(), model.pieces, strict=True):
                assert bytes(view) == piece.octets
                assert view.obj is piece.owner


StreamMachine.TestCase.settings = settings(
    deadline=None, print_blob=True, max_examples=200, stateful_step_count=40)
TestStream = StreamMachine.TestCase
