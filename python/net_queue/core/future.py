# SPDX-License-Identifier: Apache-2.0
"""What becomes of a put."""

from __future__ import annotations

import concurrent.futures
import os
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from net_queue import _native

__all__ = ["Future"]

#: What `concurrent.futures.Future.__init__` sets.
_STATE = frozenset(
    ("_condition", "_state", "_result", "_exception", "_waiters", "_done_callbacks"))
#: Held for no more than an update of a dict; may be wanted again by what that collects.
_dressing = threading.RLock()


def _renew_lock() -> None:
    global _dressing
    _dressing = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


class Future(concurrent.futures.Future[None]):
    """What becomes of a put: a `concurrent.futures.Future` whose result is None.

    It is done when the transport has taken every octet, so that the memory of what was put may be
    reused (not when the peer has it). It fails with ConnectionAbortedError(id) if we closed first,
    ConnectionResetError(peer) if the peer went or is not known, ValueError for a message that the
    peer would read as the end of the session.

    A put to several peers is done when the last of them is, and fails with the first failure in
    the order of its peers; `futures` tells them apart. Dropping a Future neither waits nor cancels.

    Thread safety: all methods, from any thread. Callbacks run on the callback thread of the queue.
    """

    # Most futures are dropped, or asked once for their result: the library's own answers that.
    # The state of Python's Future, a lock among it, is only made when somebody looks at it.

    def __init__(self, put: _native.Put) -> None:
        self._put = put

    def __getattr__(self, name: str) -> Any:
        if name not in _STATE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        state = vars(concurrent.futures.Future[None]())
        with _dressing:
            fresh = name not in self.__dict__
            if fresh:
                self.__dict__.update(state)
        if fresh:
            # Not under the lock: after close it completes here and now, which other locks may
            # have to wait for.
            self._put.on_ready(self._complete)
        return self.__dict__[name]

    def _complete(self, error: BaseException | None) -> None:
        if isinstance(error, concurrent.futures.CancelledError):
            super().cancel()
            super().set_running_or_notify_cancel()
        elif error is None:
            super().set_result(None)
        else:
            super().set_exception(error)

    def _outcome(self, timeout: float | None) -> BaseException | None:
        if not self._put.wait(timeout):
            raise TimeoutError
        error = self._put.outcome()
        if isinstance(error, concurrent.futures.CancelledError):
            raise error
        return error

    def result(self, timeout: float | None = None) -> None:
        """Waits at most `timeout` seconds (None: as long as it takes), raises what went wrong.

        Raises TimeoutError if it is not done in time, CancelledError if it was cancelled.
        """
        error = self._outcome(timeout)
        if error is not None:
            raise error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `result`, but returns what went wrong, None if nothing did.

        Raises TimeoutError and CancelledError as `result` does.
        """
        return self._outcome(timeout)

    def cancel(self) -> bool:
        """Takes the message back for every peer to which no octet of it was offered yet.

        True: for at least one; the future ends as cancelled, when the last of its peers is done.
        False: it is too late, or it is done already. May wait for a send under way (microseconds).
        """
        if self.cancelled():
            return True
        return self._put.cancel()

    def done(self) -> bool:
        """Done, failed or cancelled? Never waits."""
        return self._put.ready()

    def running(self) -> bool:
        """Never waits."""
        return not self.done()

    def cancelled(self) -> bool:
        """Never waits."""
        return self.done() and isinstance(self._put.outcome(), concurrent.futures.CancelledError)

    @property
    def futures(self) -> Mapping[UUID, Future]:
        """One Future for each peer, by its id, in the order of the put. Never waits.

        Each fails with what went wrong at its own peer.
        """
        return MappingProxyType({peer: Future(put) for peer, put in self._put.futures().items()})

    def __repr__(self) -> str:
        state = "pending"
        if self.done():
            error = self._put.outcome()
            state = "done" if error is None else f"raised {type(error).__name__}"
        return f"<{type(self).__name__} at {id(self):#x}: {state}>"
