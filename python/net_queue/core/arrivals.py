# SPDX-License-Identifier: Apache-2.0
"""Where coroutines wait for messages."""

from __future__ import annotations

import asyncio
import threading
import weakref
from uuid import UUID

from net_queue import _native

__all__ = ["Arrivals"]


class Arrivals:
    """Coroutines that wait until a get need not wait.

    They take nothing themselves, so that one that is cancelled loses no message. However many of
    them come and go, the library is asked once for each choice of peers, until it answers.

    Thread safety: from any thread, with any number of event loops.
    """

    def __init__(self, native: _native.Communicator) -> None:
        self._native = native
        self._lock = threading.Lock()
        self._waiting: dict[tuple[UUID, ...], set[asyncio.Future[None]]] = {}

    async def wait(self, peers: tuple[UUID, ...]) -> None:
        """Returns when there may be something from these peers."""
        waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            waiting = self._waiting.get(peers)
            asked = waiting is not None
            if waiting is None:
                waiting = self._waiting[peers] = set()
            waiting.add(waiter)
        if not asked:
            # Weakly: coroutines that gave up must not keep a communicator that nobody has.
            arrivals = weakref.ref(self)
            self._native.when_readable(lambda: _wake(arrivals, peers), peers)
        try:
            await waiter
        finally:
            with self._lock:
                waiting.discard(waiter)

    def wake(self, peers: tuple[UUID, ...]) -> None:
        """Wakes all that wait for these peers."""
        with self._lock:
            waiting = self._waiting.pop(peers)
            for waiter in waiting:
                try:
                    waiter.get_loop().call_soon_threadsafe(_settle, waiter)
                except RuntimeError:
                    pass  # that loop was closed, and whoever waited went with it


def _wake(arrivals: weakref.ref[Arrivals], peers: tuple[UUID, ...]) -> None:
    living = arrivals()
    if living is not None:
        living.wake(peers)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
