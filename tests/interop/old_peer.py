#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A peer of the base wire protocol over TCP, in the standard library alone.

Written from the page WIRE.md ("Framing", "Session", "TCP"), behaving as that page says old peers
do, and sharing nothing with the C++ library: what the two agree on, the page says.

    connection = ini *message [fin]        in each direction
    ini, fin   = frame whose payload is the sender's UUID, 16 octets
    frame      = size payload              size: u64, big-endian

As a library: OldServer and OldClient (put, get, close), Wire for scripted octets. By itself:

    old_peer.py server --port 0 --count 2           prints where it listens, answers two messages
    old_peer.py client --port 51966 Hello World     puts both, gets two answers, prints them
"""

import argparse
import pickle
import queue
import socket
import struct
import sys
import threading
import time
import uuid
import zlib

SIZE = struct.Struct(">Q")
READ_SIZE = 1 << 20


class LinkLost(ConnectionError):
    """The peer went without a fin, or said what the protocol does not allow."""


class Ended(ConnectionError):
    """Nothing more will come: the session ended as it should."""


def frame(payload):
    return SIZE.pack(len(payload)) + payload


class Wire:
    """One TCP connection as octets and frames. One thread reads, one thread writes."""

    def __init__(self, connection, timeout=None):
        self.socket = connection
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)

    @classmethod
    def connect(cls, host, port, timeout=30):
        return cls(socket.create_connection((host, port), timeout), timeout)

    def send(self, octets):
        self.socket.sendall(octets)

    def send_frame(self, payload):
        self.send(frame(payload))

    def read_exactly(self, size):
        """The next `size` octets; None at the end of the stream."""
        octets = bytearray(size)
        with memoryview(octets) as view:
            filled = 0
            while filled < size:
                count = self.socket.recv_into(view[filled:])
                if count == 0:
                    return None
                filled += count
        return octets

    def read_digest(self, size):
        """Reads `size` octets without keeping them: (size, Adler-32); None at the end."""
        digest, left, block = 1, size, bytearray(READ_SIZE)
        with memoryview(block) as view:
            while left:
                count = self.socket.recv_into(view[:min(left, READ_SIZE)])
                if count == 0:
                    return None
                digest = zlib.adler32(view[:count], digest)
                left -= count
        return size, digest

    def read_size(self):
        header = self.read_exactly(SIZE.size)
        return None if header is None else SIZE.unpack(header)[0]

    def read_frame(self):
        """The payload of the next frame; None at the end of the stream."""
        size = self.read_size()
        payload = None if size is None else self.read_exactly(size)
        return None if payload is None else bytes(payload)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class Link:
    """One connection of a session: a thread that writes what is queued, a thread that reads.

    `deliver(link, payload)` is called for each message, on the reading thread.
    """

    def __init__(self, wire, own_id, deliver, *, speaks_first, digest=False):
        self.wire = wire
        self.own_id = own_id
        self.peer_id = None
        self.deliver = deliver
        self.digest = digest
        self.error = None
        self.identified = threading.Event()
        self.fin_received = threading.Event()
        self.fin_sent = threading.Event()
        self.over = threading.Event()
        self._outbox = queue.SimpleQueue()
        self._may_speak = threading.Event()
        if speaks_first:
            self._may_speak.set()
        self._threads = [threading.Thread(target=run, daemon=True) for run in
                         (self._write, self._read)]

    def start(self):
        for thread in self._threads:
            thread.start()

    # Commands

    def put(self, *buffers, size=None):
        """Queues one message: the buffers one after the other, or, with `size`, an iterable of
        buffers that is run while it is sent."""
        if size is None:
            size = sum(len(memoryview(buffer).cast("B")) if not isinstance(buffer, bytes)
                       else len(buffer) for buffer in buffers)
            self._outbox.put((size, buffers))
        else:
            self._outbox.put((size, buffers[0]))

    def finish(self):
        """Fin after everything queued."""
        self._outbox.put(None)

    def abort(self):
        """Leaves without a word, as a process that is killed does."""
        self.wire.close()
        self.over.set()

    # Threads

    def _write(self):
        self._may_speak.wait()
        try:
            self.wire.send_frame(self.own_id.bytes)
            while (item := self._outbox.get()) is not None:
                size, buffers = item
                self.wire.send(SIZE.pack(size))
                for buffer in buffers:
                    self.wire.send(buffer)
            self.wire.send_frame(self.own_id.bytes)
            self.fin_sent.set()
        except OSError as error:
            self._fail(error)

    def _read(self):
        try:
            self._read_session()
        except (OSError, ValueError) as error:
            self._fail(error)
        self.over.set()
        self.deliver(self, None)

    def _read_session(self):
        # An old server speaks as soon as one octet has arrived, before it has read the ini.
        if not self._may_speak.is_set():
            if not self.wire.socket.recv(1, socket.MSG_PEEK):
                raise LinkLost("the peer connected and left")
            self._may_speak.set()
        while (size := self.wire.read_size()) is not None:
            if self.peer_id is None and size != 16:
                raise LinkLost(f"a frame of {size} octets where the ini belongs")
            if size != 16 and self.digest:
                payload = self.wire.read_digest(size)
            else:
                payload = self.wire.read_exactly(size)
            if payload is None:
                break
            if self.peer_id is None:
                self.peer_id = uuid.UUID(bytes=bytes(payload))
                self.identified.set()
            elif size == 16 and payload == self.peer_id.bytes:
                self.fin_received.set()
                return
            else:
                self.deliver(self, payload)
        raise LinkLost("end of stream without a fin")

    def _fail(self, error):
        if self.error is None and not self.over.is_set():
            self.error = error
        self.identified.set()


class _Serializer:
    """How objects become messages. With `raw` they are octets already; with `digest` (raw too)
    what is received is told as (size, Adler-32) and not kept."""

    def __init__(self, raw, digest):
        self.raw = raw or digest
        self.digest = digest

    def dump(self, thing):
        return thing if self.raw else pickle.dumps(thing, protocol=4)

    def load(self, payload):
        if self.raw:
            return payload if isinstance(payload, tuple) else bytes(payload)
        return pickle.loads(payload)


class OldClient:
    """client = OldClient(host, port); client.put(thing); client.get(); client.close()"""

    def __init__(self, host, port, *, own_id=None, raw=False, digest=False, timeout=30):
        self.id = own_id or uuid.uuid4()
        self.timeout = timeout
        self.serializer = _Serializer(raw, digest)
        self._inbox = queue.SimpleQueue()
        wire = Wire.connect(host, port, timeout)
        wire.socket.settimeout(None)
        self.link = Link(wire, self.id, self._deliver, speaks_first=True, digest=digest)
        self.link.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.link.abort()

    def put(self, thing):
        self.link.put(self.serializer.dump(thing))

    def put_pieces(self, pieces, size):
        """One raw message of `size` octets from an iterable of buffers."""
        self.link.put(pieces, size=size)

    def get(self, timeout=None):
        """The next message. Raises Ended or LinkLost once none will come, queue.Empty if none came
        in time."""
        payload = self._inbox.get(timeout=self.timeout if timeout is None else timeout)
        if payload is None:
            self._inbox.put(None)
            raise self.link.error or Ended("the server said fin")
        return self.serializer.load(payload)

    def close(self, timeout=None):
        """Sends what is queued and fin, reads on until the server's fin."""
        deadline = self.timeout if timeout is None else timeout
        self.link.finish()
        if not self.link.over.wait(deadline):
            self.link.abort()
            raise TimeoutError("no fin from the server in time")
        if self.link.fin_received.is_set() and not self.link.fin_sent.wait(deadline):
            self.link.abort()
            raise TimeoutError("the server does not read")
        self.link.wire.close()
        if self.link.error:
            raise self.link.error

    def _deliver(self, link, payload):
        if payload is None and link.fin_received.is_set() and not link.fin_sent.is_set():
            link.finish()  # A fin it did not ask for: an old client leaves.
        self._inbox.put(payload)


class OldServer:
    """server = OldServer(host); peer, thing = server.get(); server.put(thing, peer)"""

    def __init__(self, host="127.0.0.1", port=0, *, own_id=None, raw=False, digest=False,
                 timeout=30):
        self.id = own_id or uuid.uuid4()
        self.timeout = timeout
        self.serializer = _Serializer(raw, digest)
        self.digest = digest
        self._inbox = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._links = []
        self._listener = socket.create_server((host, port), backlog=1024)
        self.host, self.port = self._listener.getsockname()[:2]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.abort()

    def links(self):
        with self._changed:
            return list(self._links)

    def link(self, peer):
        """The latest connection of that peer."""
        return [link for link in self.links() if link.peer_id == peer][-1]

    def peers(self):
        return [link.peer_id for link in self.links()
                if link.peer_id is not None and not link.over.is_set()]

    def wait_for_peers(self, count, timeout=None):
        """Until `count` clients have said who they are; their ids."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        for number in range(count):
            with self._changed:
                if not self._changed.wait_for(lambda n=number: len(self._links) > n,
                                              deadline - time.monotonic()):
                    raise TimeoutError(f"{number} clients of {count} came")
            self.links()[number].identified.wait(max(0, deadline - time.monotonic()))
        return self.peers()

    def put(self, thing, peer=None):
        """To one peer, or to all."""
        payload = self.serializer.dump(thing)
        for target in self.peers() if peer is None else [peer]:
            self.link(target).put(payload)

    def get(self, timeout=None):
        """(peer, thing). queue.Empty if nothing came in time."""
        peer, payload = self._inbox.get(timeout=self.timeout if timeout is None else timeout)
        return peer, self.serializer.load(payload)

    def close(self, timeout=None):
        """Stops accepting and waits for the clients to leave."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._stop_accepting()
        for link in self.links():
            if not link.over.wait(max(0, deadline - time.monotonic())):
                self.abort()
                raise TimeoutError(f"{link.peer_id} does not leave")
            if link.error is None and not link.fin_sent.wait(max(0, deadline - time.monotonic())):
                self.abort()
                raise TimeoutError(f"{link.peer_id} does not read")
            link.wire.close()
        errors = [link.error for link in self.links() if link.error]
        if errors:
            raise errors[0]

    def abort(self):
        self._stop_accepting()
        for link in self.links():
            link.abort()

    def _stop_accepting(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            link = Link(Wire(connection), self.id, self._deliver, speaks_first=False,
                        digest=self.digest)
            with self._changed:
                self._links.append(link)
                self._changed.notify_all()
            link.start()

    def _deliver(self, link, payload):
        if payload is not None:
            self._inbox.put((link.peer_id, payload))
        elif link.fin_received.is_set():
            link.finish()  # What is queued for it goes out first: the outbox is in order.


def show(thing):
    return thing.decode("utf-8", "backslashreplace") if isinstance(thing, bytes) else str(thing)


def run_client(arguments):
    with OldClient(arguments.host, arguments.port, own_id=arguments.id, raw=arguments.bytes,
                   timeout=arguments.timeout) as client:
        for message in arguments.messages:
            client.put(message.encode() if arguments.bytes else message)
        count = len(arguments.messages) if arguments.count is None else arguments.count
        for _ in range(count):
            print(show(client.get()), flush=True)


def run_server(arguments):
    with OldServer(arguments.host, arguments.port, own_id=arguments.id, raw=arguments.bytes,
                   timeout=arguments.timeout) as server:
        print(f"listening on {server.host}:{server.port}", flush=True)
        if arguments.put:
            peer = server.wait_for_peers(1)[0]
            for message in arguments.put:
                server.put(message.encode() if arguments.bytes else message, peer)
        for _ in range(1 if arguments.count is None else arguments.count):
            peer, thing = server.get()
            print(f"{peer}: {show(thing)}", flush=True)
            reply = thing if arguments.reply is None else arguments.reply
            server.put(reply.encode() if arguments.bytes and isinstance(reply, str) else reply,
                       peer)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    roles = parser.add_subparsers(dest="role", required=True)
    for role, text in (("client", "puts each MESSAGE, then gets and prints --count messages"),
                       ("server", "prints --count messages and answers each")):
        options = roles.add_parser(role, help=text, description=text)
        options.add_argument("--host", default="127.0.0.1")
        options.add_argument("--port", type=int, default=51966, help="server: 0 picks a free one")
        options.add_argument("--id", type=uuid.UUID, help="default: a random one")
        options.add_argument("--bytes", action="store_true", help="octets instead of pickles")
        options.add_argument("--count", type=int,
                             help="messages to get (client: default as many as were put; "
                                  "server: 1)")
        options.add_argument("--timeout", type=float, default=30, help="seconds for each step")
        if role == "client":
            options.add_argument("messages", nargs="*", metavar="MESSAGE")
        else:
            options.add_argument("--put", action="append", metavar="MESSAGE",
                                 help="put to the first client that comes; may be repeated")
            options.add_argument("--reply", help="what to answer; default: the message itself")
    arguments = parser.parse_args()
    try:
        run_client(arguments) if arguments.role == "client" else run_server(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except queue.Empty:
        sys.exit(f"old_peer: nothing came within {arguments.timeout} s")
    except OSError as error:
        sys.exit(f"old_peer: {error}")


if __name__ == "__main__":
    main()
