# SPDX-License-Identifier: Apache-2.0
"""Network communication through queues: put objects, get objects, close.

    import net_queue as nq

    with nq.new(purpose=nq.Purpose.SERVER) as queue:      # one program
        message = queue.get()
        queue.put("Hello, Client!")

    with nq.new(purpose=nq.Purpose.CLIENT) as queue:      # another
        queue.put("Hello, Server!")
        message = queue.get()

A server talks to any number of clients, over TCP (with TLS, if wanted), gRPC, or MQTT through a
broker. `new` opens a `Communicator`; `CommunicatorOptions` tells where and how.
"""

import importlib
import sys
from typing import Final

from net_queue import core, grpc, mqtt, tcp, utils
from net_queue._native import version as __version__
from net_queue.core import (
    BrokerOptions, Certificate, CloseReport, Communicator, CommunicatorOptions,
    ConnectionOptions, EventOptions, Future, Message, NetworkLocation, OnFull,
    OnOversize, PeerStats, Protocol, Purpose, SecurityOptions, SerializationOptions,
    Stats,
)

__all__ = [
    "BrokerOptions", "Certificate", "CloseReport", "Communicator", "CommunicatorOptions",
    "ConnectionOptions", "EventOptions", "Future", "Message", "NetworkLocation", "OnFull",
    "OnOversize", "PeerStats", "Protocol", "Purpose", "SecurityOptions", "SerializationOptions",
    "Stats", "core", "gprc", "grpc", "mqtt", "new", "tcp", "utils",
]

# A spelling of old, for who has got used to it.
gprc: Final = grpc
for _name in ("", ".client", ".server"):
    sys.modules[f"net_queue.gprc{_name}"] = importlib.import_module(f"net_queue.grpc{_name}")


def new(protocol: Protocol = Protocol.TCP, purpose: Purpose = Purpose.CLIENT,
        options: CommunicatorOptions | None = None) -> Communicator:
    """Opens a server or a client. Never waits for a peer; raises as the Communicator does.

    `protocol` and `purpose` may be given as texts ("tcp", "server").
    """
    module = importlib.import_module(f"net_queue.{Protocol(protocol)}.{Purpose(purpose)}")
    communicator: Communicator = module.Communicator(options)
    return communicator
