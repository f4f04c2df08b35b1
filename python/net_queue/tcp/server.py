# SPDX-License-Identifier: Apache-2.0
"""A server over TCP."""

from net_queue.core import server
from net_queue.core.options import Protocol

__all__ = ["Communicator"]


class Communicator(server.Communicator):
    """A server over TCP."""

    _protocol = Protocol.TCP
