# SPDX-License-Identifier: Apache-2.0
"""Stream, edge by edge. What it does in any order of operations: stream_model_test.py."""

import array
import copy
import ctypes
import errno
import io
import pickle

import pytest

from net_queue.utils.stream import Stream


def stream_of(*chunks):
    return Stream(chunks)


def chunks_of(stream):
    return [bytes(chunk) for chunk in stream.copy().readchunks()]


class TestMaking:
    def test_nothing(self):
        stream = Stream()
        assert (stream.nchunks, stream.nbytes, stream.empty()) == (0, 0, True)
        assert bytes(stream) == b""

    @pytest.mark.parametrize("buffers", [
        [b"ab", bytearray(b"c")], (b"ab", memoryview(b"c")), iter([b"ab", b"c"]),
        {b"ab": 1, b"c": 2}])
    def test_chunks_of_an_iterable(self, buffers):
        assert chunks_of(Stream(buffers)) == [b"ab", b"c"]

    @pytest.mark.parametrize("buffer", [
        b"abc", bytearray(b"abc"), memoryview(b"abc"), array.array("B", b"abc"),
        pickle.PickleBuffer(b"abc"), (ctypes.c_char * 3)(*b"abc")])
    def test_a_single_buffer_is_one_chunk(self, buffer):
        assert chunks_of(Stream(buffer)) == [b"abc"]

    def test_of_a_stream_shares_its_chunks(self):
        first = stream_of(b"a\nb", b"c")
        second = Stream(first)
        assert chunks_of(first) == chunks_of(second) == [b"a\nb", b"c"]
        assert second.readchunk().obj is first.readchunk().obj

    def test_frombytes_borrows(self):
        octets = bytearray(b"abc")
        stream = Stream.frombytes(octets)
        octets[0] = ord("x")
        assert stream.nchunks == 1
        assert stream.tobytes() == b"xbc"

    def test_empty_chunks_are_not_held(self):
        stream = stream_of(b"", bytearray(), memoryview(b"abc")[1:1], array.array("d"),
                           (ctypes.c_int * 0 * 3)())
        stream.writechunk(b"")
        stream.unreadchunk(b"")
        assert stream.write(b"") == 0
        stream.writelines([b"", b""])
        assert stream.nchunks == 0

    @pytest.mark.parametrize("wrong", ["text", 5, None, ["text"], [5], object()])
    def test_of_something_else(self, wrong):
        with pytest.raises(TypeError):
            Stream(wrong)

    def test_repr(self):
        stream = stream_of(b"ab", b"c")
        assert repr(stream) == "<net_queue.utils.stream.Stream nchunks=2 nbytes=3>"
        stream.close()
        assert repr(stream) == "<net_queue.utils.stream.Stream closed>"

    def test_is_true_like_any_file(self):
        assert Stream()
        with pytest.raises(TypeError):
            len(Stream())


class TestMemory:
    @pytest.mark.parametrize("buffer", [
        array.array("d", [1.5, 2.5]),
        memoryview(bytes(12)).cast("B", (3, 4)),
        memoryview(array.array("i", range(6))).cast("B").cast("i", (2, 3)),
        (ctypes.c_int32 * 4)(1, 2, 3, 4),
        ctypes.c_double(1.5),
    ])
    def test_chunks_are_flat(self, buffer):
        chunk = Stream(buffer).readchunk()
        assert (chunk.format, chunk.ndim, chunk.itemsize) == ("B", 1, 1)
        assert chunk.c_contiguous
        assert chunk.tobytes() == memoryview(buffer).tobytes()

    def test_numpy_formats_that_have_no_letter_of_struct(self):
        numpy = pytest.importorskip("numpy")
        for dtype in (">i4", "c16", "f2", [("a", "i2"), ("b", "f8")], "S3"):
            values = numpy.zeros((2, 3), dtype)
            stream = Stream(values)
            assert stream.nbytes == values.nbytes, dtype
            assert numpy.shares_memory(numpy.frombuffer(stream.peekchunk(), "u1"), values), dtype

    @pytest.mark.parametrize("operation", [
        Stream.write, Stream.writechunk, Stream.unreadchunk,
        lambda stream, view: stream.writechunks([b"more", view]),
        lambda stream, view: stream.writelines([b"more", view])])
    def test_octets_not_in_a_row_are_refused(self, operation):
        stream = stream_of(b"before")
        with pytest.raises(BufferError, match="C-contiguous.*pass a copy"):
            operation(stream, memoryview(b"abcdef")[::2])
        with pytest.raises(TypeError, match="bytes-like"):
            operation(stream, "text")
        assert chunks_of(stream) == [b"before"]

    def test_fortran_order_is_refused_unless_pickle_hands_it_over(self):
        numpy = pytest.importorskip("numpy")
        values = numpy.asfortranarray(numpy.arange(6, dtype="u1").reshape(2, 3))
        with pytest.raises(BufferError):
            Stream(values)
        assert bytes(Stream(pickle.PickleBuffer(values))) == values.tobytes("A")

    def test_references_are_no_octets(self):
        numpy = pytest.importorskip("numpy")
        with pytest.raises(TypeError, match="references"):
            Stream(numpy.array([object()]))

    def test_written_memory_is_borrowed(self):
        octets = bytearray(b"abc")
        stream = Stream()
        assert stream.write(octets) == 3
        with pytest.raises(BufferError):
            octets.append(0)
        octets[1] = ord("x")
        assert stream.read().obj is octets
        octets.append(0)  # nobody holds it any more

    def test_within_a_chunk_nothing_is_copied(self):
        octets = b"ab\ncdefgh"
        stream = Stream(octets)
        for view in (stream.readline(), stream.read(1), stream.read1(1), stream.peekchunk(),
                     stream.read()):
            assert view.obj is octets

    def test_across_chunks_the_result_is_a_writable_block(self):
        block = stream_of(b"ab", b"cd", b"ef").read(5)
        assert not block.readonly
        assert bytes(block) == b"abcde"
        block[0] = 0

    def test_a_failed_read_takes_nothing(self, monkeypatch):
        stream = stream_of(b"ab", b"cd")
        monkeypatch.setattr("net_queue.utils.stream.bytearray", None, raising=False)
        with pytest.raises(TypeError):
            stream.read()
        assert chunks_of(stream) == [b"ab", b"cd"]

    def test_a_dropped_stream_gives_its_memory_back(self):
        octets = bytearray(b"abc")
        stream = Stream(octets)
        del stream
        octets.append(0)

    def test_a_subclass_is_not_closed_behind_its_back(self):
        closed = []

        class Noted(Stream):
            def close(self):
                closed.append(True)
                super().close()

        Noted(b"abc")
        assert not closed


class TestEmpty:
    @pytest.mark.parametrize("operation", [
        Stream.readchunk, Stream.peekchunk, Stream.unwritechunk,
        Stream.read, lambda s: s.read(1), lambda s: s.read(-1), lambda s: s.read(None),
        Stream.read1, lambda s: s.read1(3), Stream.readline, lambda s: s.readline(3),
        lambda s: s.readinto(bytearray(1)), lambda s: s.readinto1(bytearray(1))])
    def test_reading_would_block(self, operation):
        stream = Stream()
        with pytest.raises(BlockingIOError) as raised:
            operation(stream)
        assert raised.value.errno == errno.EAGAIN
        assert "the stream is empty" in str(raised.value)
        stream.write(b"abc")
        assert operation(stream)

    @pytest.mark.parametrize("octets", [b"", b"abc"])
    def test_reading_nothing_never_blocks(self, octets):
        stream = Stream(octets)
        for view in (stream.read(0), stream.read1(0), stream.readline(0)):
            assert isinstance(view, memoryview)
            assert view.nbytes == 0
        assert stream.readinto(bytearray()) == stream.readinto1(bytearray()) == 0
        assert stream.nbytes == len(octets)

    def test_lines_end(self):
        assert Stream().readlines() == []
        assert list(Stream()) == []
        assert Stream().readchunks() == []
        assert Stream().tobytes() == b""


class TestReading:
    def test_read_is_short_at_the_end(self):
        assert bytes(stream_of(b"ab", b"c").read(1 << 80)) == b"abc"
        assert bytes(stream_of(b"ab", b"c\n").readline(1 << 80)) == b"abc\n"

    @pytest.mark.parametrize("size", [2.0, "2"])
    def test_sizes_are_integers(self, size):
        for operation in (Stream.read, Stream.read1, Stream.readline, Stream.readlines):
            stream = Stream(b"abc")
            with pytest.raises(TypeError):
                operation(stream, size)
            assert stream.nbytes == 3

    def test_readinto_other_formats(self):
        target = array.array("H", [0, 0])
        assert stream_of(b"a", b"bcd", b"e").readinto(target) == 4
        assert target.tobytes() == b"abcd"

    def test_readinto_refuses_before_it_takes(self):
        stream = Stream(b"abc")
        for operation in (stream.readinto, stream.readinto1):
            with pytest.raises(TypeError, match="read-write"):
                operation(b"abc")
            with pytest.raises(BufferError):
                operation(memoryview(bytearray(6))[::2])
        assert bytes(stream) == b"abc"

    def test_readinto_overlapping_memory(self):
        octets = bytearray(b"abcdef")
        stream = Stream(memoryview(octets)[:4])
        assert stream.readinto(memoryview(octets)[2:]) == 4
        assert octets == b"ababcd"

    def test_lines_cross_chunks(self):
        stream = stream_of(b"a", b"b\nc", b"\n", b"\nd")
        assert [bytes(line) for line in stream] == [b"ab\n", b"c\n", b"\n", b"d"]
        assert stream.empty()

    @pytest.mark.parametrize("size, line", [
        (1, b"a"), (2, b"ab"), (3, b"abc"), (4, b"abcd"), (5, b"abcd\n"), (6, b"abcd\n")])
    def test_a_line_is_cut_at_the_size(self, size, line):
        stream = stream_of(b"ab", b"cd\n", b"\n")
        assert bytes(stream.readline(size)) == line
        assert line + bytes(stream) == b"abcd\n\n"

    def test_readlines_stops_at_the_hint(self):
        stream = stream_of(b"a\nb\nc\n")
        assert [bytes(line) for line in stream.readlines(3)] == [b"a\n", b"b\n"]
        assert [bytes(line) for line in stream.readlines(0)] == [b"c\n"]

    def test_update_with_itself_and_with_no_stream(self):
        stream = stream_of(b"ab", b"c")
        stream.update(stream)
        assert chunks_of(stream) == [b"ab", b"c"] * 2
        with pytest.raises(TypeError, match="Stream is required"):
            stream.update(b"abc")


class TestFile:
    def test_what_it_is(self):
        stream = Stream()
        assert isinstance(stream, io.BufferedIOBase)
        assert stream.readable() and stream.writable()
        assert not stream.seekable() and not stream.isatty()
        assert stream.flush() is None

    @pytest.mark.parametrize("operation", [
        Stream.fileno, lambda s: s.seek(0), Stream.tell, Stream.truncate, Stream.detach])
    def test_what_no_pipe_can(self, operation):
        with pytest.raises(io.UnsupportedOperation) as raised:
            operation(Stream(b"abc"))
        assert isinstance(raised.value, OSError)

    @pytest.mark.parametrize("operation", [
        lambda s: s.nchunks, lambda s: s.nbytes, Stream.empty, Stream.readchunk, Stream.peekchunk,
        lambda s: s.unreadchunk(b"a"), lambda s: s.writechunk(b"a"), Stream.unwritechunk,
        Stream.readchunks, lambda s: s.writechunks([]), lambda s: s.update(Stream()),
        lambda s: Stream().update(s), Stream.clear, Stream.copy, copy.copy, Stream.tobytes, bytes,
        Stream, Stream.read, lambda s: s.read(0), Stream.read1, lambda s: s.readinto(bytearray(1)),
        lambda s: s.readinto(bytearray()), lambda s: s.readinto1(bytearray(1)), Stream.readline,
        lambda s: s.readline(0), Stream.readlines, lambda s: s.write(b"a"), lambda s: s.write(b""),
        lambda s: s.writelines([]), iter, next, Stream.readable, Stream.writable, Stream.seekable,
        Stream.isatty, Stream.flush, Stream.__enter__])
    def test_after_close_operations_raise(self, operation):
        stream = Stream(b"abc")
        assert not stream.closed
        stream.close()
        stream.close()
        assert stream.closed
        with pytest.raises(ValueError, match="closed"):
            operation(stream)

    def test_with_gives_the_memory_back(self):
        octets = bytearray(b"abc")
        with Stream(octets) as stream:
            assert stream.nbytes == 3
        assert stream.closed
        octets.append(0)

    def test_closing_while_it_is_fed(self):
        stream = Stream()

        def chunks():
            yield b"ab"
            stream.close()

        with pytest.raises(ValueError, match="closed"):
            stream.writechunks(chunks())

    def test_copies(self):
        stream = stream_of(b"ab", b"cd")
        for twin in (stream.copy(), copy.copy(stream)):
            assert chunks_of(twin) == [b"ab", b"cd"]
            twin.read(3)
            twin.close()
        assert chunks_of(stream) == [b"ab", b"cd"]

    def test_a_copy_is_of_the_same_class(self):
        class Other(Stream):
            pass

        assert type(Other(b"a").copy()) is type(Other.frombytes(b"a")) is Other

    def test_what_cannot_be_copied_or_pickled(self):
        stream = Stream(b"abc")
        with pytest.raises(TypeError, match="borrows its memory"):
            copy.deepcopy([stream])
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="pickle"):
                pickle.dumps(stream, protocol)

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickle_writes_and_reads_it(self, protocol):
        large = bytes(1 << 20)
        stream = Stream()
        pickle.dump({"large": large, "small": [1, "two"]}, stream, protocol)
        if protocol >= 4:
            assert any(chunk.obj is large for chunk in stream.copy().readchunks())
        assert pickle.load(stream) == {"large": large, "small": [1, "two"]}
        assert stream.empty()

    def test_a_text_wrapper_reads_it(self):
        text = io.TextIOWrapper(stream_of(b"gr\xc3", b"\xbc\xc3\x9fe\n", b"more"), "utf-8")
        assert text.readline() == "grüße\n"
