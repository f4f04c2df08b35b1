# SPDX-License-Identifier: Apache-2.0
"""What both programs can be told on their command line."""

import argparse

import net_queue as nq

__all__ = ["add_arguments", "octets_of", "options_of"]

#: Sizes of options: up to this an exponent of 2, above it octets.
_EXPONENT_MAX = 62
#: Unread messages per session: what is measured is the network, not what may be held back. Through
#: a broker nothing can be held back: what is beyond the bound is dropped.
_RECEIVE_BYTES = 16 << 20
_RECEIVE_BYTES_MQTT = 1 << 40

_YES = frozenset(("true", "yes", "on", "1"))
_NO = frozenset(("false", "no", "off", "0"))


def octets_of(size: int) -> int:
    """What the argument of --efficient-size or --transport-size stands for."""
    return 1 << size if size <= _EXPONENT_MAX else size


def _switch(text: str) -> bool:
    word = text.lower()
    if word not in _YES | _NO:
        raise argparse.ArgumentTypeError(f"true or false, not {text!r}")
    return word in _YES


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {text}")
    return number


def _size(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"an exponent of 2, or octets, not {text}")
    return number


def _add_switch(parser: argparse.ArgumentParser, name: str, default: bool, help: str) -> None:
    target = name.replace("-", "_")
    parser.add_argument(f"--{name}", dest=target, type=_switch, nargs="?", const=True,
                        default=default, metavar="BOOL", help=f"{help} (default: {default})")
    parser.add_argument(f"--no-{name}", dest=target, action="store_false",
                        help=argparse.SUPPRESS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The protocol, the purpose, and how to connect."""
    parser.add_argument("protocol", type=nq.Protocol, choices=list(nq.Protocol),
                        help="tcp, mqtt or grpc")
    parser.add_argument("purpose", type=nq.Purpose, choices=list(nq.Purpose),
                        help="server or client")
    location = nq.NetworkLocation()
    connection = nq.ConnectionOptions()
    parser.add_argument("--clients", type=_positive, default=1, metavar="N",
                        help="clients in the client program (default: 1)")
    parser.add_argument("--host", default=location.host,
                        help=f"address or name; MQTT: of the broker (default: {location.host})")
    parser.add_argument("--port", type=int, default=location.port,
                        help=f"port; MQTT: of the broker (default: {location.port})")
    _add_switch(parser, "get-merge", connection.get_merge,
                "receive each message into one block")
    _add_switch(parser, "put-merge", connection.put_merge, "coalesce small chunks")
    sizes = "an exponent of 2, or octets above 62"
    parser.add_argument("--efficient-size", type=_size, default=connection.efficient_size,
                        metavar="SIZE", help=f"chunks at least this long are sent as they are: "
                        f"{sizes} (default: {connection.efficient_size})")
    parser.add_argument("--transport-size", type=_size, default=connection.transport_size,
                        metavar="SIZE", help=f"largest unit handed to the network: {sizes} "
                        f"(default: {connection.transport_size})")
    _add_switch(parser, "secure", False,
                "TLS with key.pem and cert.pem of the working directory")
    parser.add_argument("--workers", type=_positive, default=1, metavar="N",
                        help="threads that serve connections (default: 1)")


def options_of(arguments: argparse.Namespace) -> nq.CommunicatorOptions:
    """Options for one communicator: each call makes those of another."""
    mqtt = arguments.protocol == nq.Protocol.MQTT
    security = None
    if arguments.secure:
        server = arguments.purpose == nq.Purpose.SERVER
        security = nq.SecurityOptions("key.pem" if server and not mqtt else None, "cert.pem")
    return nq.CommunicatorOptions(
        netloc=nq.NetworkLocation(arguments.host, arguments.port),
        connection=nq.ConnectionOptions(
            get_merge=arguments.get_merge, put_merge=arguments.put_merge,
            efficient_size=octets_of(arguments.efficient_size),
            transport_size=octets_of(arguments.transport_size),
            receive_bytes=_RECEIVE_BYTES_MQTT if mqtt else _RECEIVE_BYTES),
        security=security, workers=arguments.workers)
