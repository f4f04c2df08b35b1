# SPDX-License-Identifier: Apache-2.0
"""A peer of the base wire protocol over gRPC, on Debian's python3-grpcio.

Written from the page WIRE.md ("gRPC"), behaving as that page says old peers do, and sharing nothing
with the C++ library: rounds in both roles, calls tied together by the peer's address, a server with
one worker. As a library: OldGrpcServer and OldGrpcClient (put, get, close), all messages octets.
"""

import queue
import threading
import time
import uuid
from concurrent import futures

import grpc

from old_peer import SIZE, Ended, frame

METHOD = "/grpc/comm"
PIECE = 4 << 20           # what a message of an old peer holds at most
POLL_MIN, POLL_MAX = 2 ** -10, 0.5
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0),
           ("grpc.enable_http_proxy", 0), ("grpc.so_reuseport", 0),
           ("grpc.max_send_message_length", -1))


class Stream:
    """One session's octets: what is queued to be sent, and frames out of what was received."""

    def __init__(self, own_id):
        self.own_id = own_id
        self.peer_id = None
        self.fin_received = False
        self.lock = threading.Lock()
        self._outgoing = [frame(own_id.bytes)]
        self._incoming = bytearray()

    def put(self, payload):
        with self.lock:
            self._outgoing.append(frame(payload))

    def finish(self):
        self.put(self.own_id.bytes)

    def take(self):
        """All that is queued, in pieces."""
        with self.lock:
            octets, self._outgoing = b"".join(self._outgoing), []
        return [octets[at:at + PIECE] for at in range(0, len(octets), PIECE)]

    def feed(self, octets):
        """The messages that are complete now."""
        self._incoming += octets
        messages = []
        while len(self._incoming) >= SIZE.size:
            end = SIZE.size + SIZE.unpack_from(self._incoming)[0]
            if len(self._incoming) < end:
                break
            payload = bytes(self._incoming[SIZE.size:end])
            del self._incoming[:end]
            if self.peer_id is None:
                self.peer_id = uuid.UUID(bytes=payload)
            elif payload == self.peer_id.bytes:
                self.fin_received = True
            else:
                messages.append(payload)
        return messages


class OldGrpcClient:
    """Calls only inside put, get and close, one at a time."""

    def __init__(self, host, port, *, own_id=None, credentials=None, metadata=None, timeout=30):
        self.id = own_id or uuid.uuid4()
        self.timeout = timeout
        self.metadata = metadata
        target = f"{host}:{port}"
        self.channel = (grpc.secure_channel(target, credentials, OPTIONS) if credentials
                        else grpc.insecure_channel(target, OPTIONS))
        self.comm = self.channel.stream_stream(METHOD)
        self.stream = Stream(self.id)
        self.rounds = 0
        self.fullest = 0  # octets received in one
        self._inbox = queue.SimpleQueue()

    def round(self):
        """Writes all that is queued, half-closes, reads to the end. Raises grpc.RpcError."""
        self.rounds += 1
        call = self.comm(iter(self.stream.take()), metadata=self.metadata, timeout=self.timeout)
        octets = 0
        for piece in call:
            octets += len(piece)
            for message in self.stream.feed(piece):
                self._inbox.put(message)
        self.fullest = max(self.fullest, octets)

    def put(self, payload):
        self.stream.put(payload)
        self.round()

    def get(self, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        pause = POLL_MIN
        while self._inbox.empty():
            if self.stream.fin_received:
                raise Ended("the server said fin")
            if time.monotonic() > deadline:
                raise queue.Empty
            self.round()
            time.sleep(pause)
            pause = min(2 * pause, POLL_MAX)
        return self._inbox.get()

    def close(self):
        """Fin, then empty rounds until the server's."""
        self.stream.finish()
        deadline = time.monotonic() + self.timeout
        self.round()
        while not self.stream.fin_received:
            if time.monotonic() > deadline:
                raise TimeoutError("no fin from the server in time")
            self.round()
            time.sleep(POLL_MIN)
        self.channel.close()

    def abort(self):
        """Leaves without a word, as a process that is killed does."""
        self.channel.close()


class OldGrpcServer:
    """With one worker: an open call blocks all other clients."""

    def __init__(self, port=0, *, own_id=None, credentials=None, timeout=30):
        self.id = own_id or uuid.uuid4()
        self.timeout = timeout
        self.calls = []           # the metadata of each
        self.longest = 0          # of the messages received
        self.fullest = 0          # octets received in one round
        self.open_calls = {}      # by address
        self.overlaps = 0         # calls of one address at the same time
        self._lock = threading.Lock()
        self._sessions = {}
        self._inbox = queue.SimpleQueue()
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(self._comm)
        service, method = METHOD.strip("/").split("/")
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.host = "127.0.0.1"
        place = f"{self.host}:{port}"
        self.port = (self._server.add_secure_port(place, credentials) if credentials
                     else self._server.add_insecure_port(place))
        self._server.start()

    def _comm(self, requests, context):
        address = context.peer()
        with self._lock:
            self.calls.append(dict(context.invocation_metadata()))
            self.overlaps += self.open_calls.get(address, 0)
            self.open_calls[address] = self.open_calls.get(address, 0) + 1
            session = self._sessions.setdefault(address, Stream(self.id))
        context.send_initial_metadata(())
        try:
            yield from session.take()
            pieces = list(requests)
        finally:
            with self._lock:
                self.open_calls[address] -= 1
        self.fullest = max(self.fullest, sum(map(len, pieces)))
        for piece in pieces:
            self.longest = max(self.longest, len(piece))
            for message in session.feed(piece):
                self._inbox.put((session.peer_id, message))
        if session.fin_received:
            session.finish()  # it goes out in the next call
            session.fin_received = False

    def sessions(self):
        with self._lock:
            return list(self._sessions.values())

    def put(self, payload, peer):
        for session in self.sessions():
            if session.peer_id == peer:
                session.put(payload)

    def get(self, timeout=None):
        """(peer, octets)"""
        return self._inbox.get(timeout=self.timeout if timeout is None else timeout)

    def stop(self):
        self._server.stop(None).wait(self.timeout)


__all__ = ["METHOD", "OldGrpcClient", "OldGrpcServer", "Stream", "Ended"]
