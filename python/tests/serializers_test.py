# SPDX-License-Identifier: Apache-2.0
"""Other serializers than pickle, and options that change how messages arrive."""

import json
import queue

import numpy
import pytest
from support import TIMEOUT, eventually, stats_of

import net_queue as nq
from net_queue.utils.stream import (BufferSerializer, BytesSerializer, PickleSerializer, Stream,
                                    StreamSerializer)

SIZES = [0, 1, 1000, 65_535, 65_536, 3_000_000]


def with_serializer(link, serializer, **connection):
    options = nq.SerializationOptions(serializer.load, serializer.dump)
    return link.pair(serialization=options, connection=nq.ConnectionOptions(**connection))


class Json:
    """As a user would write it."""

    def __init__(self):
        self.streams = []

    def dump(self, data):
        return Stream([json.dumps(data).encode()])

    def load(self, stream):
        self.streams.append(stream)
        return json.loads(stream.tobytes())


def test_a_serializer_of_the_users(link):
    serializer = Json()
    server, client = with_serializer(link, serializer)
    for data in (None, [1, 2.5, "text"], {"a": ["x" * 100_000]}, list(range(50_000))):
        client.put(data)
        assert server.get(timeout=TIMEOUT).data == data
        server.put(data, client.id)
        assert client.get(timeout=TIMEOUT).data == data
    assert all(type(stream) is Stream for stream in serializer.streams)
    with pytest.raises(TypeError, match="JSON"):
        client.put({1, 2})
    client.put("fine")
    assert server.get(timeout=TIMEOUT).data == "fine"


def test_what_a_load_of_the_users_raises(link):
    server, client = with_serializer(link, Json())
    other = nq.SerializationOptions(dump=Stream.frombytes)
    with link.client(serialization=other) as stranger:
        stranger.put(b"no json")
        with pytest.raises(json.JSONDecodeError) as caught:
            server.get(timeout=TIMEOUT)
        assert any(str(stranger.id) in note for note in caught.value.__notes__)
        stranger.put(b"[1]")
        assert server.get(timeout=TIMEOUT) == (stranger.id, [1])


@pytest.mark.parametrize("dumped", [None, "text", 1, [b"list"], object()])
def test_a_dump_that_returns_nonsense_raises_at_put(tcp, dumped):
    server, client = tcp.pair(
        serialization=nq.SerializationOptions(dump=lambda _: dumped))
    with pytest.raises(TypeError):
        client.put(1)
    with pytest.raises(queue.Empty):
        server.get(timeout=0.02)


@pytest.mark.parametrize("dump", [bytes, bytearray, memoryview, Stream.frombytes,
                                  lambda octets: numpy.frombuffer(octets, "u1")])
def test_a_dump_may_return_anything_with_a_buffer(tcp, dump):
    server, client = tcp.pair(
        serialization=nq.SerializationOptions(load=Stream.tobytes, dump=dump))
    for size in SIZES:
        client.put(bytes(size))
        assert server.get(timeout=TIMEOUT).data == bytes(size)


@pytest.mark.parametrize("get_merge", [True, False])
@pytest.mark.parametrize("put_merge", [True, False])
def test_streams(link, get_merge, put_merge):
    server, client = with_serializer(link, StreamSerializer(), get_merge=get_merge,
                                     put_merge=put_merge)
    for size in SIZES:
        octets = numpy.random.default_rng(size).bytes(size)
        stream = Stream([octets[:size // 3], octets[size // 3:size // 2], octets[size // 2:]])
        client.put(stream).result(TIMEOUT)
        assert stream.tobytes() == octets  # it keeps them
        arrived = server.get(timeout=TIMEOUT).data
        assert type(arrived) is Stream and arrived.tobytes() == octets
        if get_merge:
            assert arrived.nchunks == (size > 0)
    with pytest.raises(TypeError):
        client.put(b"no stream")


def test_what_arrived_can_be_written_and_sent_on(tcp):
    server, client = with_serializer(tcp, StreamSerializer())
    client.put(Stream.frombytes(bytes(100_000)))
    arrived = server.get(timeout=TIMEOUT).data
    arrived.peekchunk()[:3] = b"new"
    server.put(arrived, client.id)
    assert client.get(timeout=TIMEOUT).data.tobytes() == b"new" + bytes(99_997)


@pytest.mark.parametrize("get_merge", [True, False])
def test_buffers(link, get_merge):
    server, client = with_serializer(link, BufferSerializer(), get_merge=get_merge)
    for size in SIZES:
        octets = numpy.random.default_rng(size).bytes(size)
        for sent in (octets, numpy.frombuffer(octets, "u1"), memoryview(octets)):
            client.put(sent)
            arrived = server.get(timeout=TIMEOUT).data
            assert type(arrived) is memoryview and arrived == octets
            assert not size or not arrived.readonly
    with pytest.raises(TypeError):
        client.put("text")


@pytest.mark.parametrize("serializer", [PickleSerializer(), BytesSerializer(),
                                        PickleSerializer([])])
def test_without_merging(link, serializer):
    server, client = with_serializer(link, serializer, get_merge=False, put_merge=False,
                                     efficient_size=0, transport_size=1000)
    for size in SIZES:
        octets = numpy.random.default_rng(size).bytes(size)
        client.put(octets)
        server.put(octets, client.id)
        assert server.get(timeout=TIMEOUT).data == octets
        assert client.get(timeout=TIMEOUT).data == octets


def test_bound_methods_of_a_subclass_are_called(tcp):
    class Loud(PickleSerializer):
        def dump(self, data):
            return super().dump(["loud", data])

        def load(self, stream):
            return super().load(stream) + ["loaded"]

    server, client = with_serializer(tcp, Loud())
    client.put(1)
    assert server.get(timeout=TIMEOUT).data == ["loud", 1, "loaded"]


@pytest.mark.parametrize("serializer", [PickleSerializer, BytesSerializer, BufferSerializer])
def test_load_empties_its_stream(serializer):
    serializer = serializer()
    for data in (b"text", b"x" * 100_000):
        stream = serializer.dump(data)
        assert type(stream) is Stream and serializer.load(stream) == data
        assert stream.empty()


def test_load_of_part_of_a_pickle():
    serializer = PickleSerializer()
    octets = serializer.dump(["x" * 100_000, numpy.zeros(100_000), [1, 2]]).tobytes()
    for size in (0, 1, 2, 11, 1000, 100_000, 500_000, len(octets) - 1):
        with pytest.raises(Exception) as caught:
            serializer.load(Stream.frombytes(octets[:size]))
        assert not isinstance(caught.value, (SystemError, MemoryError)), caught.value


# Bounds.


def test_oversize_messages_are_split(link):
    server, client = with_serializer(link, BytesSerializer(), message_size=100_000)
    octets = numpy.random.default_rng(1).bytes(250_000)
    client.put(octets)
    pieces = [server.get(timeout=TIMEOUT).data for _ in range(3)]
    assert [len(piece) for piece in pieces] == [100_000, 100_000, 50_000]
    assert b"".join(pieces) == octets


def test_oversize_messages_are_refused(link):
    server, client = with_serializer(link, BytesSerializer(), message_size=100_000,
                                     on_oversize=nq.OnOversize.REFUSE)
    client.put(bytes(100_001))
    client.put(b"fine")
    assert server.get(timeout=TIMEOUT).data == b"fine"
    assert stats_of(server, client.id).dropped_messages == 1


@pytest.mark.parametrize("on_full, kept", [("drop_newest", [0, 1, 2]), ("drop_oldest", [7, 8, 9])])
def test_what_is_dropped_when_full(link, on_full, kept):
    server = link.server(connection=nq.ConnectionOptions(queue_size=3, on_full=on_full))
    client = link.client()
    for number in range(10):
        client.put(number).result(TIMEOUT)
    eventually(lambda: stats_of(server, client.id)
               and stats_of(server, client.id).dropped_messages == 7, "seven drops")
    assert [server.get(timeout=TIMEOUT).data for _ in range(3)] == kept


def test_blocking_when_full(tcp):
    server = tcp.server(connection=nq.ConnectionOptions(queue_size=3))
    client = tcp.client()
    for number in range(100):
        client.put([number, bytes(100_000)])
    eventually(lambda: stats_of(server, client.id)
               and stats_of(server, client.id).unread_messages >= 3, "a full queue")
    assert [server.get(timeout=TIMEOUT).data[0] for _ in range(100)] == list(range(100))
    assert stats_of(server, client.id).dropped_messages == 0


def test_stats_count(tcp):
    server, client = tcp.pair()
    for number in range(5):
        client.put(number).result(TIMEOUT)
    eventually(lambda: stats_of(server, client.id).unread_messages == 5, "five messages")
    before = stats_of(server, client.id)
    assert before.state == "open" and before.unread_bytes > 0 and before.queued_messages == 0
    server.get()
    assert stats_of(server, client.id).unread_messages == 4
    assert stats_of(client, server.id).sent_messages == 5
    assert isinstance(server.stats(), tuple) and server.stats().strangers == 0
