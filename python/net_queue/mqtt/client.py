# SPDX-License-Identifier: Apache-2.0
"""A client over MQTT."""

from net_queue.core import client
from net_queue.core.options import Protocol

__all__ = ["Communicator"]


class Communicator(client.Communicator):
    """A client over MQTT."""

    _protocol = Protocol.MQTT
