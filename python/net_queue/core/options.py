# SPDX-License-Identifier: Apache-2.0
"""What a communicator can be told: frozen dataclasses with the defaults of the C++ library.

Nothing here is changed after it was made: dataclasses.replace() makes another one. A value of the
wrong type raises TypeError and one out of range ValueError, at once, with the option's name.
"""

import dataclasses
import enum
import math
import operator
import os
import sys
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

from net_queue.utils.serializers import PICKLE
from net_queue.utils.stream import Stream

__all__ = [
    "BrokerOptions", "Certificate", "CommunicatorOptions", "ConnectionOptions", "EventOptions",
    "NetworkLocation", "OnFull", "OnOversize", "Protocol", "Purpose", "SecurityOptions",
    "SerializationOptions",
]

FilePath: TypeAlias = str | os.PathLike[str]
Load: TypeAlias = Callable[[Stream], Any]
Dump: TypeAlias = Callable[[Any], Stream]
PeerEvent: TypeAlias = Callable[[uuid.UUID], object]
LogHook: TypeAlias = Callable[[str, str, str], object]

# Seconds: what C++ counts in nanoseconds does not overflow. 31 years.
_LONGEST = 1e9
# Seconds: C++ counts in milliseconds.
_SHORTEST = 1e-3
# MQTT's strings and its keep-alive have 16 bits for that.
_MQTT_MOST = 65535

_Choice = TypeVar("_Choice", bound=enum.StrEnum)


class Protocol(enum.StrEnum):
    """What carries the messages."""

    TCP = "tcp"
    MQTT = "mqtt"
    GRPC = "grpc"


class Purpose(enum.StrEnum):
    """Which end of a connection: a server has many peers, a client has one, the server."""

    SERVER = "server"
    CLIENT = "client"


class OnOversize(enum.StrEnum):
    """What becomes of a received message longer than message_size."""

    SPLIT = "split"
    """Delivered in pieces of message_size, the last one shorter."""
    REFUSE = "refuse"
    """Not held, not delivered; counted as a drop and told to the log; the session goes on."""


class OnFull(enum.StrEnum):
    """What happens when a peer's unread messages reach queue_size or receive_bytes."""

    BLOCK = "block"
    """Nothing is read from that peer until there is room (on MQTT: as DROP_NEWEST)."""
    DROP_NEWEST = "drop_newest"
    """The message that just arrived is dropped and counted."""
    DROP_OLDEST = "drop_oldest"
    """Unread ones are dropped, oldest first, and counted."""


class NetworkLocation(NamedTuple):
    """Where to listen (server) or connect to (client); on MQTT the broker, for both.

    A server may give port 0: the system picks a free one, and the communicator's options tell
    which. A server with an empty host listens on all addresses of the machine. str() gives
    host:port, with brackets around an IPv6 address.
    """

    host: str = "127.0.0.1"
    port: int = 51966

    def __str__(self) -> str:
        bare_ipv6 = ":" in self.host and not self.host.startswith("[")
        return f"[{self.host}]:{self.port}" if bare_ipv6 else f"{self.host}:{self.port}"


class Certificate(NamedTuple):
    """What a peer showed to prove who it is, after it was verified."""

    subject: str
    """As RFC 2253 writes it: CN=alice,O=Example."""
    names: tuple[str, ...]
    """Host names and addresses (subjectAltName)."""
    pem: str
    """All of it."""


AuthorizeHook: TypeAlias = Callable[[uuid.UUID, Certificate | None, str], bool]


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How messages are cut, merged and held.

    get_merge      True: each message is received into one contiguous block; False: the chunks
                   reach `load` as they came.
    put_merge      True: small chunks are coalesced into one block before they are sent; False:
                   each is sent from where it is.
    efficient_size Octets, 64 KiB. Chunks at least this long are sent as they are, never copied.
    transport_size Octets, 4 MiB, at least 64. The largest unit handed to the transport: a write,
                   an MQTT or gRPC payload.
    queue_size     Messages, 2**30, at least 1. Received ones held unread per peer.
    message_size   Octets, 1 TiB, at least 16. The largest message delivered in one piece.
    on_oversize    What becomes of a longer one: an OnOversize or its name; "split".
    on_full        What becomes of what does not fit into queue_size and receive_bytes: an OnFull
                   or its name; "block". With it two peers that both wait for their futures before
                   they get can wait for each other for ever: get in one thread while you put in
                   another, or do not wait.
    receive_bytes  Octets, 64 MiB, at least 1. Unread messages held per session. The message being
                   received does not count; close() lifts the bound.

    Sizes are at most sys.maxsize.
    """

    get_merge: bool = True
    put_merge: bool = True
    efficient_size: int = 64 << 10
    transport_size: int = 4 << 20
    queue_size: int = 1 << 30
    message_size: int = 1 << 40
    _: dataclasses.KW_ONLY
    on_oversize: OnOversize = OnOversize.SPLIT
    on_full: OnFull = OnFull.BLOCK
    receive_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        for name in ("get_merge", "put_merge"):
            _set(self, name, _flag(name, getattr(self, name)))
        for name, least in (("efficient_size", 0), ("transport_size", 64), ("queue_size", 1),
                            ("message_size", 16), ("receive_bytes", 1)):
            _set(self, name, _whole(name, getattr(self, name), least))
        _set(self, "on_oversize", _choice("on_oversize", self.on_oversize, OnOversize))
        _set(self, "on_full", _choice("on_full", self.on_full, OnFull))


@dataclasses.dataclass(frozen=True, slots=True)
class SerializationOptions:
    """How objects become octets, and octets objects: by default, or with None, with pickle.

    load   Called with a Stream, the message; returns the object that get() hands out.
    dump   Called with the object given to put(); returns a Stream.

    Both are called in the threads of those who get and put. What they raise, get() and put()
    raise; nothing is sent then, and a message that can't be loaded is gone.
    """

    load: Load = PICKLE.load
    dump: Dump = PICKLE.dump

    def __post_init__(self) -> None:
        for name in ("load", "dump"):
            _callable(name, getattr(self, name))
            if getattr(self, name) is None:
                _set(self, name, getattr(PICKLE, name))


@dataclasses.dataclass(frozen=True, slots=True, init=False)
class SecurityOptions:
    """Encrypts what passes (TLS 1.2 or newer). Paths of PEM files, None where there is none.

    key                 Server: its own, without a pass phrase.
    certificate         Server: its own, with the chain that vouches for it. Client: those it
                        trusts, None for the system's; the server's must be made out to the host
                        name or address in netloc.
    cert                Another word for certificate, to give and to read.
    client_authority    Server: demands a certificate of every client, vouched for by one in here.
    client_key          Client: its own, for a server (or broker) that demands one ...
    client_certificate  ... and the certificate that goes with it: both or neither.

    On MQTT both ends are clients, of the broker. Files are read when a communicator is made.
    dataclasses.replace() wants `certificate`, since it passes the old one along with any `cert`.
    """

    key: FilePath | None = None
    certificate: FilePath | None = None
    _: dataclasses.KW_ONLY
    client_authority: FilePath | None = None
    client_key: FilePath | None = None
    client_certificate: FilePath | None = None

    def __init__(
        self,
        key: FilePath | None = None,
        certificate: FilePath | None = None,
        *,
        cert: FilePath | None = None,
        client_authority: FilePath | None = None,
        client_key: FilePath | None = None,
        client_certificate: FilePath | None = None,
    ) -> None:
        if cert is not None:
            _path("cert", cert)
            if certificate is not None and certificate != cert:
                raise TypeError(f"cert: another word for certificate, so not {cert!r} when "
                                f"certificate is {certificate!r}: give one of them")
            certificate = cert
        _set(self, "key", _path("key", key))
        _set(self, "certificate", _path("certificate", certificate))
        _set(self, "client_authority", _path("client_authority", client_authority))
        _set(self, "client_key", _path("client_key", client_key))
        _set(self, "client_certificate", _path("client_certificate", client_certificate))
        if (client_key is None) != (client_certificate is None):
            given, missing = (("client_key", "client_certificate") if client_certificate is None
                              else ("client_certificate", "client_key"))
            raise ValueError(f"{missing}: needed with {given}, but None")

    @property
    def cert(self) -> FilePath | None:
        """The certificate."""
        return self.certificate


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """What is between us and an MQTT broker.

    user, password  As the broker knows us: each at most 65,535 octets (UTF-8); empty for none.
                    The password is not shown in the repr.
    payload_size    Octets, 40 KiB, at least 64. The largest payload published, or transport_size
                    if that is less: brokers move small ones faster, and refuse large ones.
    keep_alive      Whole seconds, 30, at most 65,535. A broker silent for one and a half times
                    this is lost; 0: it is never asked for a sign of life.
    """

    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    payload_size: int = 40 << 10
    keep_alive: float = 30.0

    def __post_init__(self) -> None:
        for name in ("user", "password"):
            _mqtt_text(f"broker.{name}", getattr(self, name), secret=name == "password")
        _set(self, "payload_size", _whole("broker.payload_size", self.payload_size, 64))
        keep_alive = _seconds("broker.keep_alive", self.keep_alive, 0, _MQTT_MOST)
        if not keep_alive.is_integer():
            raise ValueError(f"broker.keep_alive: whole seconds, not {keep_alive!r}")
        _set(self, "keep_alive", keep_alive)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """Called with the peer's id (a UUID), on the communicator's callback thread.

    ini  A peer identified itself, for the first time or on a new connection.
    fin  A peer's session ended: cleanly, or lost and expired.

    What they raise goes to sys.unraisablehook. While one blocks, other callbacks wait.
    """

    ini: PeerEvent | None = None
    fin: PeerEvent | None = None

    def __post_init__(self) -> None:
        _callable("events.ini", self.ini)
        _callable("events.fin", self.fin)


@dataclasses.dataclass(frozen=True, slots=True)
class CommunicatorOptions:
    """Everything a communicator can be told. Times are in seconds.

    id                The own identity, a UUID. A random one is made for each CommunicatorOptions;
                      dataclasses.replace() keeps it, so give two communicators options of their
                      own.
    netloc            Where to listen or connect to: a NetworkLocation or a (host, port).
    connection        How messages are cut, merged and held.
    serialization     How objects become octets: pickle.
    security          Keys and certificates; None: nothing is encrypted.
    workers           Threads that serve connections: 1, at most 1,024.

    busy_poll         1e-4; how long a thread that waits for the network keeps looking before it
                      sleeps, if what it waited for the last time came as soon; 0: it sleeps at
                      once. An answer is there several times as fast, and the processor, though
                      others may have it meanwhile, never rests while messages come at shorter
                      intervals.
    connect_timeout   Client: 30; how long the server may take to answer, from the start on,
                      before the session fails.
    session_expiry    Server: 120; how long a lost session is kept for its client to come back.
    lost_sessions     Server: 10,000; lost sessions kept at most, the oldest goes first.
    lost_bytes        Server: 16 MiB; octets queued at most for each lost session: the future of a
                      put beyond fails.
    handshake_timeout Server: 10; how long a connection may take to identify itself.
    close_timeout     How long close() waits for peers; None: as long as they live.
    broker            What is between us and an MQTT broker.
    events            Called when peers come and go.
    authorize         Server: authorize(id, certificate, address) -> bool; may this peer have this
                      identity? Called on the callback thread, before anything is delivered from
                      the peer or sent to it; False, or an exception, refuses. The certificate is
                      None where none was shown: without security.client_authority, and on MQTT,
                      where it is the broker's business.
    log               log(level, category, text) receives what the library, which never prints,
                      would print; the level is "debug", "info", "warning" or "error". Called on
                      the callback thread.

    Timeouts are at most 1e9 (31 years), connect_timeout and handshake_timeout at least 0.001;
    busy_poll is at most 60.
    """

    id: uuid.UUID = dataclasses.field(default_factory=uuid.uuid4)
    netloc: NetworkLocation = NetworkLocation()
    connection: ConnectionOptions = dataclasses.field(default_factory=ConnectionOptions)
    serialization: SerializationOptions = dataclasses.field(default_factory=SerializationOptions)
    security: SecurityOptions | None = None
    workers: int = 1
    _: dataclasses.KW_ONLY
    busy_poll: float = 1e-4
    connect_timeout: float = 30.0
    session_expiry: float = 120.0
    lost_sessions: int = 10_000
    lost_bytes: int = 16 << 20
    handshake_timeout: float = 10.0
    close_timeout: float | None = None
    broker: BrokerOptions = dataclasses.field(default_factory=BrokerOptions)
    events: EventOptions = dataclasses.field(default_factory=EventOptions)
    authorize: AuthorizeHook | None = None
    log: LogHook | None = None

    def __post_init__(self) -> None:
        _instance("id", self.id, uuid.UUID)
        if not self.id.int:
            raise ValueError("id: the nil UUID can't be an identity")
        _set(self, "netloc", _location(self.netloc))
        _instance("connection", self.connection, ConnectionOptions)
        _instance("serialization", self.serialization, SerializationOptions)
        if self.security is not None:
            _instance("security", self.security, SecurityOptions)
        _instance("broker", self.broker, BrokerOptions)
        _instance("events", self.events, EventOptions)
        for name, least, most in (("workers", 1, 1024), ("lost_sessions", 0, sys.maxsize),
                                  ("lost_bytes", 0, sys.maxsize)):
            _set(self, name, _whole(name, getattr(self, name), least, most))
        for name, shortest in (("connect_timeout", _SHORTEST), ("session_expiry", 0.0),
                               ("handshake_timeout", _SHORTEST), ("close_timeout", 0.0)):
            value = getattr(self, name)
            if name != "close_timeout" or value is not None:
                _set(self, name, _seconds(name, value, shortest, _LONGEST))
        _set(self, "busy_poll", _seconds("busy_poll", self.busy_poll, 0.0, 60.0))
        _callable("authorize", self.authorize)
        _callable("log", self.log)


def _set(options: object, name: str, value: object) -> None:
    """Give a field of a frozen dataclass its value, while it is made."""
    object.__setattr__(options, name, value)


def _wrong_type(name: str, value: object, wanted: str) -> TypeError:
    return TypeError(f"{name}: {wanted}, not {value!r} ({type(value).__name__})")


def _instance(name: str, value: object, wanted: type) -> None:
    if not isinstance(value, wanted):
        article = "an" if wanted.__name__[0] in "EIO" else "a"
        raise _wrong_type(name, value, f"{article} {wanted.__name__}")


def _callable(name: str, value: object) -> None:
    if value is not None and not callable(value):
        raise _wrong_type(name, value, "something to call, or None")


def _flag(name: str, value: object) -> bool:
    # 0 and 1 too, as programs take them from their command line.
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise _wrong_type(name, value, "True or False")


def _whole(name: str, value: Any, least: int, most: int = sys.maxsize) -> int:
    """`value` as an int; a bool is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise _wrong_type(name, value, "an int") from None
    if not least <= number <= most:
        allowed = f"at least {least}" if number < least else f"at most {most}"
        raise ValueError(f"{name}: {allowed}, not {number}")
    return number


def _seconds(name: str, value: Any, shortest: float, longest: float) -> float:
    """`value` as a float; a bool is none."""
    try:
        if isinstance(value, (bool, str, bytes, bytearray)):
            raise TypeError
        seconds = float(value)
    except TypeError:
        raise _wrong_type(name, value, "seconds, as a float or an int") from None
    except OverflowError:
        seconds = math.inf
    if not shortest <= seconds <= longest:  # nor is NaN
        raise ValueError(f"{name}: from {shortest:g} to {longest:g} seconds, not {value!r}")
    return seconds


def _choice(name: str, value: object, choices: type[_Choice]) -> _Choice:
    if not isinstance(value, str):
        raise _wrong_type(name, value, f"an {choices.__name__} or its name")
    try:
        return choices(value)
    except ValueError:
        allowed = " or ".join(repr(str(choice)) for choice in choices)
        raise ValueError(f"{name}: {allowed}, not {value!r}") from None


def _path(name: str, value: FilePath | None) -> FilePath | None:
    """`value` itself, as it was given."""
    if value is None:
        return None
    try:
        path = os.fspath(value)
    except TypeError:
        path = None
    if not isinstance(path, str):
        raise _wrong_type(name, value, "a path (str or os.PathLike) or None")
    if not path or "\0" in path:
        raise ValueError(f"{name}: the path of a file, or None for none, not {value!r}")
    return value


def _location(value: object) -> NetworkLocation:
    if not isinstance(value, tuple) or len(value) != 2:
        raise _wrong_type("netloc", value, "a NetworkLocation or a tuple (host, port)")
    host, port = value
    if not isinstance(host, str):
        raise _wrong_type("netloc.host", host, "a str")
    if "\0" in host:
        raise ValueError(f"netloc.host: a host name or address, not {host!r}")
    return NetworkLocation(host, _whole("netloc.port", port, 0, 65535))


def _mqtt_text(name: str, value: object, *, secret: bool) -> None:
    """Refuses what can't be sent as a string; shows no secret while it does."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: a str, not {type(value).__name__}")
    shown = "the one given" if secret else repr(value)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{name}: text that UTF-8 can express, not {shown}") from None
    if size > _MQTT_MOST:
        raise ValueError(f"{name}: at most {_MQTT_MOST} octets, not {size}")
