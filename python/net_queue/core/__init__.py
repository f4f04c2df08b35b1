# SPDX-License-Identifier: Apache-2.0
"""The communicator, its messages and its options."""

from net_queue.core import client, comm, server
from net_queue.core.comm import Communicator
from net_queue.core.future import Future
from net_queue.core.message import CloseReport, Message, PeerStats, Stats
from net_queue.core.options import (
    BrokerOptions, Certificate, CommunicatorOptions, ConnectionOptions, EventOptions,
    NetworkLocation, OnFull, OnOversize, Protocol, Purpose, SecurityOptions,
    SerializationOptions,
)

__all__ = [
    "BrokerOptions", "Certificate", "CloseReport", "Communicator", "CommunicatorOptions",
    "ConnectionOptions", "EventOptions", "Future", "Message", "NetworkLocation", "OnFull",
    "OnOversize", "PeerStats", "Protocol", "Purpose", "SecurityOptions", "SerializationOptions",
    "Stats", "client", "comm", "server",
]
