# SPDX-License-Identifier: Apache-2.0
"""A server over gRPC."""

from net_queue.core import server
from net_queue.core.options import Protocol

__all__ = ["Communicator"]


class Communicator(server.Communicator):
    """A server over gRPC."""

    _protocol = Protocol.GRPC
