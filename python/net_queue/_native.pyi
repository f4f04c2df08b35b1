# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Mapping
from typing import Any, TypedDict
from uuid import UUID

from net_queue.core.options import CommunicatorOptions
from net_queue.utils.stream import Stream

version: str

class Block: ...

class Serializer:
    def dump(self, object: Any, /) -> list[memoryview]: ...
    def load(self, stream: Stream, /) -> Any: ...

class Pickling(Serializer):
    def __init__(self, pickler: Any, unpickler: Any, restricted: bool, /) -> None: ...

class Octets(Serializer):
    def __init__(self) -> None: ...

class Put:
    def ready(self) -> bool: ...
    def wait(self, timeout: float | None, /) -> bool: ...
    def outcome(self) -> BaseException | None: ...
    def on_ready(self, callback: Callable[[BaseException | None], object], /) -> None: ...
    def cancel(self) -> bool: ...
    def futures(self) -> Mapping[UUID, Put]: ...

class PeerStats(TypedDict):
    peer: UUID
    state: str
    queued_messages: int
    queued_bytes: int
    unread_messages: int
    unread_bytes: int
    sent_messages: int
    received_messages: int
    received_bytes: int
    dropped_messages: int

class Stats(TypedDict):
    peers: list[PeerStats]
    strangers: int
    strangers_dropped: int
    identities_refused: int
    sessions_expired: int

class Communicator:
    def __init__(
        self,
        protocol: str,
        purpose: str,
        options: CommunicatorOptions,
        dump: Any,
        load: Any,
        /,
    ) -> None: ...
    def put(self, data: Any, peers: tuple[UUID, ...], /) -> Put: ...
    def get(self, peers: tuple[UUID, ...], timeout: float | None, /) -> tuple[UUID, Any]: ...
    def when_readable(
        self, callback: Callable[[], object], peers: tuple[UUID, ...], /
    ) -> None: ...
    def close(self, timeout: float | None, /) -> tuple[bool, list[PeerStats]]: ...
    def peers(self) -> list[UUID]: ...
    def stats(self) -> Stats: ...
    def location(self) -> tuple[str, int]: ...
    def reload_certificates(self) -> None: ...
