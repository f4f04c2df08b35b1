# SPDX-License-Identifier: Apache-2.0
# Reading returns views, where io's classes return bytes. mypy's newer releases mind that, and
# older ones would mind that they are told not to.
# mypy: no-warn-unused-ignores
"""Octets in pieces: the form in which messages travel."""

import collections
import errno
import io
import itertools
import operator
import pickle
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeAlias

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from net_queue.utils.serializers import (BufferSerializer, BytesSerializer, PickleSerializer,
                                             StreamSerializer)
elif sys.version_info >= (3, 12):
    from collections.abc import Buffer as ReadableBuffer

    WriteableBuffer: TypeAlias = ReadableBuffer
else:
    ReadableBuffer: TypeAlias = bytes | bytearray | memoryview
    WriteableBuffer: TypeAlias = bytearray | memoryview

__all__ = ["BufferSerializer", "BytesSerializer", "PickleSerializer", "Stream", "StreamSerializer"]


def __getattr__(name: str) -> Any:
    """The serializers, which later releases had here: they are made of Streams, so not at once."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from net_queue.utils import serializers

    return getattr(serializers, name)


# Searches memory where it is: a memoryview has no find().
_NEWLINE = re.compile(b"\n")


def _flat(buffer: ReadableBuffer) -> memoryview:
    """The memory of `buffer` as octets in a row, not copied."""
    view = memoryview(buffer)
    if view.format == "B" and view.ndim == 1 and view.c_contiguous:
        return view
    if isinstance(buffer, pickle.PickleBuffer):
        return buffer.raw()  # stands for memory as it lies, Fortran's order included
    if not view.c_contiguous:
        raise BufferError(
            f"the octets of a chunk lie in a row (C-contiguous); these have shape {view.shape} "
            f"and strides {view.strides}: pass a copy, such as bytes(view)")
    if view.format == "O":
        raise TypeError("an array of references to objects has no octets of its own")
    # Not cast(): it refuses a shape with a 0 in it.
    return pickle.PickleBuffer(view).raw()


def _is_buffer(candidate: Any) -> bool:
    try:
        memoryview(candidate)
    except TypeError:
        return False
    return True


class Stream(io.BufferedIOBase):
    """A queue of octets in chunks: written at the back, read at the front, never moved.

    Stream() is empty; Stream(buffers) holds each of the given bytes-like objects as a chunk;
    Stream(buffer) holds a single one; Stream(stream) shares the other's memory, as copy() does.

    Memory. A chunk is a memoryview of one dimension and format "B" (octets) of memory that
    belongs to somebody: writing borrows the object given, it does not copy it. So what is
    written must not change, nor be resized, while the stream (or a queue it was put into) holds
    it. Whoever reads gets a memoryview: of the borrowed memory where the result lies within one
    chunk; otherwise of a new, writable block. Apart from that only tobytes(), bytes(stream),
    readinto() and readinto1() copy. Empty chunks are never held. All sizes are in octets.

    As a file it is a pipe: readable, writable, not seekable, without a file descriptor. An empty
    one has nothing to read yet, not an end: reading it raises BlockingIOError. Only readlines(),
    readchunks() and iteration, which yields lines, end there without an error. Like every file,
    it is true even when it is empty: ask empty(). After close(), or at the end of `with`, the
    memory is given back and every operation raises ValueError.

    Can't be pickled (TypeError): tobytes() can. copy.copy() is copy(), copy.deepcopy() refuses.

    Thread safety: none; one stream belongs to one thread at a time. Streams that share memory may
    belong to different ones.
    """

    # _nbytes is the sum over _chunks; each of _chunks is as _flat() returns it, and not empty.
    __slots__ = ("_chunks", "_closed", "_nbytes")

    _chunks: collections.deque[memoryview]
    _nbytes: int
    _closed: bool

    def __init__(self, buffers: "Iterable[ReadableBuffer] | ReadableBuffer | Stream" = ()) -> None:
        self._chunks = collections.deque()
        self._nbytes = 0
        self._closed = False
        if isinstance(buffers, (tuple, list)):
            self.writechunks(buffers)
        elif isinstance(buffers, Stream):
            self.update(buffers)
        elif _is_buffer(buffers):
            self.writechunk(buffers)  # type: ignore[arg-type]
        else:
            self.writechunks(buffers)  # type: ignore[arg-type]

    def __del__(self) -> None:
        """Nothing: the inherited one would close(), which costs more than dropping the chunks."""

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"nchunks={len(self._chunks)} nbytes={self._nbytes}"
        return f"<{type(self).__module__}.{type(self).__qualname__} {state}>"

    # How much there is.

    @property
    def nchunks(self) -> int:
        """Number of chunks."""
        return len(self._open())

    @property
    def nbytes(self) -> int:
        """Octets in all."""
        self._open()
        return self._nbytes

    def empty(self) -> bool:
        """Is there nothing to read?"""
        return not self._open()

    # Chunks.

    def readchunk(self) -> memoryview:
        """Take the first chunk. Raises BlockingIOError on an empty stream."""
        chunk = self._filled("readchunk").popleft()
        self._nbytes -= chunk.nbytes
        return chunk

    def unreadchunk(self, chunk: ReadableBuffer, /) -> None:
        """Put a chunk in front of the first one, so that it is read next.

        The memory is borrowed, not copied. Raises TypeError for what is no bytes-like object and
        BufferError for one whose octets do not lie in a row.
        """
        chunks = self._open()
        view = _flat(chunk)
        if view.nbytes:
            chunks.appendleft(view)
            self._nbytes += view.nbytes

    def writechunk(self, chunk: ReadableBuffer, /) -> None:
        """Append a chunk. What is said of unreadchunk()'s argument holds here too."""
        chunks = self._open()
        view = _flat(chunk)
        if view.nbytes:
            chunks.append(view)
            self._nbytes += view.nbytes

    def unwritechunk(self) -> memoryview:
        """Take the last chunk back. Raises BlockingIOError on an empty stream."""
        chunk = self._filled("unwritechunk").pop()
        self._nbytes -= chunk.nbytes
        return chunk

    def peekchunk(self) -> memoryview:
        """The first chunk, which stays where it is. Raises BlockingIOError on an empty stream."""
        return self._filled("peekchunk")[0]

    def readchunks(self) -> list[memoryview]:
        """Take all chunks, first to last: an empty list on an empty stream."""
        chunks = list(self._open())
        self.clear()
        return chunks

    def writechunks(self, chunks: Iterable[ReadableBuffer], /) -> None:
        """Append each chunk of an iterable, as writechunk() does: all of them or, with an error,
        none."""
        self._open()
        views = [view for view in map(_flat, chunks) if view.nbytes]
        self._open().extend(views)  # the iterable is anybody's code
        self._nbytes += sum(view.nbytes for view in views)

    # Whole streams.

    def update(self, other: "Stream", /) -> None:
        """Append all of another stream, which keeps it too: the memory is shared, not copied."""
        mine = self._open()
        if not isinstance(other, Stream):
            raise TypeError(f"update: a Stream is required, not {type(other).__name__!r}")
        mine.extend(other._open())  # itself too: deque provides for that
        self._nbytes += other._nbytes

    def clear(self) -> None:
        """Drop all chunks."""
        self._open().clear()
        self._nbytes = 0

    def copy(self) -> Self:
        """A second stream over the same memory, of which each is read on its own."""
        twin = type(self).__new__(type(self))
        twin._chunks = self._open().copy()
        twin._nbytes = self._nbytes
        twin._closed = False
        return twin

    __copy__ = copy

    def tobytes(self) -> bytes:
        """All octets in one block: a copy. The stream keeps them."""
        return b"".join(self._open())

    __bytes__ = tobytes

    @classmethod
    def frombytes(cls, octets: ReadableBuffer, /) -> Self:
        """A stream of one chunk: the octets given, borrowed, not copied."""
        stream = cls()
        stream.writechunk(octets)
        return stream

    # As a file.

    def read(self, size: int | None = -1, /) -> memoryview:  # type: ignore[override]
        """Take up to `size` octets: all there are if it is negative or None.

        The result is shorter than `size` if the stream is. It is a view of the chunk it lies in,
        or, if it crosses chunks, a writable copy. Raises BlockingIOError on an empty stream,
        except for size 0.
        """
        return self._take("read", self._most(size))

    def read1(self, size: int | None = -1, /) -> memoryview:  # type: ignore[override]
        """Take up to `size` octets of the first chunk, all of it if that is negative or None.

        Never copies. Raises BlockingIOError on an empty stream, except for size 0.
        """
        most = self._most(size)
        return self._take("read1", min(most, self._chunks[0].nbytes) if self._chunks else most)

    def readinto(self, target: WriteableBuffer, /) -> int:
        """Take as many octets as `target` has room for, or there are, and copy them to its start.

        Returns how many. Raises BlockingIOError on an empty stream, unless there is no room
        either; TypeError for memory that can't be written, BufferError where it isn't in a row.
        """
        return self._take_into("readinto", target, self._nbytes)

    def readinto1(self, target: WriteableBuffer, /) -> int:
        """As readinto(), but no more than the first chunk."""
        first = self._chunks[0].nbytes if self._chunks else 0
        return self._take_into("readinto1", target, first)

    def readline(self, size: int | None = -1, /) -> memoryview:  # type: ignore[override]
        r"""Take octets up to and including the first b"\n": all if there is none.

        At most `size`, unless that is negative or None. A view or a copy as for read(). Raises
        BlockingIOError on an empty stream, except for size 0.
        """
        most = self._most(size)
        return self._take("readline", self._line_size(most) if self._chunks else most)

    def readlines(self, hint: int | None = -1, /) -> list[memoryview]:  # type: ignore[override]
        """Take lines up to the end of what is there, or until they have `hint` octets or more.

        A `hint` that is 0, negative or None means all; so says io.IOBase.
        """
        stop = operator.index(hint or 0)
        lines: list[memoryview] = []
        taken = 0
        while self._open() and (stop <= 0 or taken < stop):
            lines.append(self.readline())
            taken += lines[-1].nbytes
        return lines

    def __iter__(self) -> Self:  # type: ignore[override]
        """The stream itself: what it yields are its lines, taken as by readline()."""
        self._open()
        return self

    def __next__(self) -> memoryview:  # type: ignore[override]
        """The next line; StopIteration on an empty stream."""
        if not self._open():
            raise StopIteration
        return self.readline()

    def write(self, octets: ReadableBuffer, /) -> int:
        """Append octets as a chunk. Returns how many: always all.

        The memory is borrowed, not copied, writable or not: whoever changes it afterwards changes
        what is read. Raises TypeError for what is no bytes-like object and BufferError for one
        whose octets do not lie in a row.
        """
        chunks = self._open()
        view = _flat(octets)
        nbytes = view.nbytes
        if nbytes:
            chunks.append(view)
            self._nbytes += nbytes
        return nbytes

    def writelines(self, lines: Iterable[ReadableBuffer], /) -> None:
        """Append each of the lines, as writechunks() does. Adds no line ends."""
        self.writechunks(lines)

    def readable(self) -> bool:
        """True."""
        self._open()
        return True

    def writable(self) -> bool:
        """True."""
        self._open()
        return True

    def seekable(self) -> bool:
        """False: seek(), tell() and truncate() raise io.UnsupportedOperation."""
        self._open()
        return False

    def flush(self) -> None:
        """Nothing: what is written can be read at once."""
        self._open()

    @property
    def closed(self) -> bool:
        """Was close() called?"""
        return self._closed

    def close(self) -> None:
        """Drop all chunks; from now on operations raise ValueError, but for another close()."""
        self._chunks.clear()
        self._nbytes = 0
        self._closed = True

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        raise TypeError("a Stream borrows its memory and can't say how to copy it: "
                        "Stream.frombytes(stream.tobytes()) copies the octets")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("cannot pickle a Stream: pickle its octets, stream.tobytes()")

    def _open(self) -> collections.deque[memoryview]:
        """The chunks of a stream that is not closed."""
        if self._closed:
            raise ValueError("I/O operation on a closed Stream")
        return self._chunks

    def _filled(self, operation: str) -> collections.deque[memoryview]:
        """The chunks, of which there must be some."""
        chunks = self._open()
        if not chunks:
            raise BlockingIOError(errno.EAGAIN, f"{operation}: the stream is empty")
        return chunks

    def _most(self, size: int | None) -> int:
        """What a file's `size` means here, in octets: 0, or from 1 to what there is."""
        self._open()
        available = self._nbytes or 1
        if size is None:
            return available
        size = operator.index(size)
        return min(size, available) if size >= 0 else available

    def _take(self, operation: str, count: int) -> memoryview:
        """Take as many of the octets as _most() allowed. If it fails, nothing is taken."""
        if count == 0:
            return memoryview(b"")
        chunks = self._filled(operation)
        first = chunks[0]
        if count < first.nbytes:
            chunks[0] = first[count:]
            self._nbytes -= count
            return first[:count]
        if count == first.nbytes:
            return self.readchunk()
        whole, rest = self._span(count)
        parts = list(itertools.islice(chunks, whole))
        if rest:
            parts.append(chunks[whole][:rest])
        # Not bytearray(count), which fills the block with zeros first.
        block = memoryview(bytearray().join(parts))
        self._drop(whole, rest)
        return block

    def _take_into(self, operation: str, target: WriteableBuffer, most: int) -> int:
        """Move up to `most` octets, as many as fit, into `target`."""
        self._open()
        view = _flat(target)
        if view.readonly:
            raise TypeError(f"{operation}: a read-write bytes-like object is required, "
                            f"not {type(target).__name__!r}")
        if not view.nbytes:
            return 0
        chunks = self._filled(operation)
        count = min(view.nbytes, most)
        whole, rest = self._span(count)
        done = 0
        for chunk in itertools.islice(chunks, whole):
            view[done:done + chunk.nbytes] = chunk
            done += chunk.nbytes
        if rest:
            view[done:count] = chunks[whole][:rest]
        self._drop(whole, rest)
        return count

    def _span(self, count: int) -> tuple[int, int]:
        """What the first `count` octets are: whole chunks, and octets of the one after."""
        for whole, chunk in enumerate(self._chunks):
            if count < chunk.nbytes:
                return whole, count
            count -= chunk.nbytes
        return len(self._chunks), 0

    def _drop(self, whole: int, rest: int) -> None:
        """Drop what _span() returned."""
        chunks = self._chunks
        for _ in range(whole):
            self._nbytes -= chunks.popleft().nbytes
        if rest:
            chunks[0] = chunks[0][rest:]
            self._nbytes -= rest

    def _line_size(self, most: int) -> int:
        """Octets of the first line, or `most` if it is longer."""
        size = 0
        for chunk in self._chunks:
            found = _NEWLINE.search(chunk, 0, most - size)
            if found:
                return size + found.end()
            size += chunk.nbytes
            if size >= most:
                return most
        return size
