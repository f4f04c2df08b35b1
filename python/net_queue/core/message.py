# SPDX-License-Identifier: Apache-2.0
"""What a get returns, and what can be asked about a communicator.

Tuples with names: a message is (peer, data). All counts are of one moment; asking never waits.
"""

from typing import Any, Literal, NamedTuple
from uuid import UUID

__all__ = ["CloseReport", "Message", "PeerStats", "Stats"]


class Message(NamedTuple):
    """What `get` returns: `peer, data = queue.get()`."""

    #: Who sent it.
    peer: UUID
    #: What, as the serializer loaded it. Large arrays are views of the message: see docs/python.md.
    data: Any


class PeerStats(NamedTuple):
    """How one peer's session stands, at the time of asking."""

    peer: UUID
    #: connecting: a client whose server has not answered yet. lost: a server's client whose
    #: connection is gone and who may come back. ended: a client whose session is over.
    state: Literal["connecting", "open", "lost", "ended"]
    #: Put, and not wholly taken by the transport; here and below, bytes are octets of messages.
    queued_messages: int
    queued_bytes: int
    #: Received, and not got.
    unread_messages: int
    unread_bytes: int
    #: Wholly taken by the transport, since the session began.
    sent_messages: int
    #: Those that came whole, also if on_full dropped them.
    received_messages: int
    received_bytes: int
    #: By on_full and on_oversize.
    dropped_messages: int


class Stats(NamedTuple):
    """What a communicator counts."""

    peers: tuple[PeerStats, ...]
    #: Connections that have not identified themselves.
    strangers: int
    #: Those that were dropped: wrong octets, too slow, too many.
    strangers_dropped: int
    #: In use, the server's own, or nil.
    identities_refused: int
    #: Lost ones whose client did not come back in time.
    sessions_expired: int


class CloseReport(NamedTuple):
    """What close could not deliver."""

    #: Every peer had everything and said goodbye.
    clean: bool
    #: Peers, as stats() saw them last, with messages that were not sent.
    undelivered: tuple[PeerStats, ...]
