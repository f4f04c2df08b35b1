# SPDX-License-Identifier: Apache-2.0
"""The communicator: what servers and clients of every protocol have in common."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import queue
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, ClassVar, Self
from uuid import UUID

from net_queue import _native
from net_queue.core.arrivals import Arrivals
from net_queue.core.future import Future
from net_queue.core.message import CloseReport, Message, PeerStats, Stats
from net_queue.core.options import CommunicatorOptions, NetworkLocation, Protocol, Purpose
from net_queue.utils import serializers

__all__ = ["Communicator"]

_logger = logging.getLogger("net_queue")
_logger.addHandler(logging.NullHandler())


class Communicator:
    """A queue between this program and others: put objects, get objects, close.

    A server talks to all its clients, a client to its server. Made by `net_queue.new`, or by one of
    the concrete classes such as `net_queue.tcp.server.Communicator`. Use it in `with`, or close it.

    Thread safety: all methods, from any thread. A process that was forked has to open its own.
    """

    #: Of the concrete classes.
    _protocol: ClassVar[Protocol]
    _purpose: ClassVar[Purpose]

    def __init__(self, options: CommunicatorOptions | None = None) -> None:
        """Opens it. Never waits for a peer: connecting goes on behind it.

        Raises what is wrong here: ValueError and TypeError for options, OSError for a port in use
        and for a host that nobody knows, FileNotFoundError and ssl.SSLError for keys and
        certificates, NotImplementedError for a protocol that was left out of this build.
        """
        if not hasattr(type(self), "_protocol") or not hasattr(type(self), "_purpose"):
            raise TypeError(f"{type(self).__module__}.{type(self).__qualname__} is abstract: "
                            "use net_queue.new, or net_queue.tcp.server.Communicator and its kin")
        if options is None:
            options = CommunicatorOptions()
        if not isinstance(options, CommunicatorOptions):
            raise TypeError(f"options: CommunicatorOptions or None, not {options!r}")
        _require_files(options)
        native_options = options
        if options.log is None:
            native_options = dataclasses.replace(options, log=_log)
        self._native = _native.Communicator(
            self._protocol, self._purpose, native_options,
            serializers.native_of(options.serialization.dump),
            serializers.native_of(options.serialization.load))
        self._options = dataclasses.replace(
            options, netloc=NetworkLocation(*self._native.location()))
        self._arrivals = Arrivals(self._native)

    @property
    def id(self) -> UUID:
        """Who we are to our peers."""
        return self._options.id

    @property
    def options(self) -> CommunicatorOptions:
        """As given; where a server was left the choice of its port, with that port."""
        return self._options

    def put(self, data: Any, *peers: UUID) -> Future:
        """Sends `data` to the peers named; to none: a client's server, or each client of a server.

        Never waits for a peer, and queues without bound. Clients whose connection is lost but not
        given up are among a server's. What can't be pickled raises here, and nothing is sent; every
        other failure arrives in the future. Large buffers (bytes, numpy arrays) are sent from where
        they are: don't change them before the future is done.
        """
        return Future(self._native.put(data, peers))

    def get(self, *peers: UUID, timeout: float | None = None) -> Message:
        """Waits for the first message available, or the first from the peers named.

        timeout: seconds; None: as long as it takes; queue.Empty when they are over. Raises
        ConnectionAbortedError(id) after close, and ConnectionResetError(peer) when a client's
        server, or each of the peers named, is gone: once what had arrived was handed out, and then
        every time. What a message's loading raises comes through; that message is gone then.
        """
        return Message(*self._native.get(peers, timeout))

    def try_get(self, *peers: UUID) -> Message:
        """As `get`, without waiting: queue.Empty if nothing is there."""
        return Message(*self._native.get(peers, 0))

    def peers(self) -> list[UUID]:
        """A server's identified clients, lost ones included; a client's server once it answered."""
        return self._native.peers()

    def stats(self) -> Stats:
        """What is queued, unread, sent, received and dropped, by peer."""
        stats = self._native.stats()
        stats["peers"] = tuple(PeerStats(**peer) for peer in stats["peers"])
        return Stats(**stats)

    def close(self, *, timeout: float | None = None) -> CloseReport:
        """Sends what is queued and says goodbye; returns what could not be delivered.

        A client waits for its server's goodbye; a server stops accepting and waits for its clients
        to leave. At most `timeout` seconds, if given, or options.close_timeout: what is left then
        is ended. Closing again does no harm; another thread's close keeps to the timeout too.
        """
        clean, undelivered = self._native.close(timeout)
        return CloseReport(clean, tuple(PeerStats(**peer) for peer in undelivered))

    def reload_certificates(self) -> None:
        """Reads the files of options.security again, for connections made from now on (TCP, MQTT).

        Raises if they are not in order, and goes on with those read before.
        """
        self._native.reload_certificates()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        """Closes; where an exception leaves the block, without waiting for anybody."""
        self.close(timeout=None if kind is None else 0)

    async def aget(self, *peers: UUID) -> Message:
        """As `get`, for coroutines: only this one waits. Cancelled, it has taken no message."""
        while True:
            try:
                return self.try_get(*peers)
            except queue.Empty:
                await self._arrivals.wait(peers)

    async def aput(self, data: Any, *peers: UUID) -> None:
        """As `put`, then waits until it is done. Cancelled in time, it takes the message back."""
        await asyncio.wrap_future(self.put(data, *peers))

    async def aclose(self, *, timeout: float | None = None) -> CloseReport:
        """As `close`, for coroutines."""
        return await asyncio.to_thread(self.close, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await self.aclose(timeout=None if kind is None else 0)

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Messages until we close; ConnectionResetError when a client's server is gone."""
        while True:
            try:
                message = await self.aget()
            except ConnectionAbortedError:
                return
            yield message

    def __repr__(self) -> str:
        kind = f"{self._protocol} {self._purpose}"
        return f"<net_queue {kind} {self.id} at {self._options.netloc}>"


def _log(level: str, category: str, text: str) -> None:
    _logger.log(logging.getLevelNamesMapping()[level.upper()], "%s: %s", category, text)


def _require_files(options: CommunicatorOptions) -> None:
    """Files that can't be opened raise as `open` does, with their names."""
    if options.security is None:
        return
    for field in dataclasses.fields(options.security):
        path = getattr(options.security, field.name)
        if path is not None and os.fspath(path):
            with open(path, "rb"):
                pass
