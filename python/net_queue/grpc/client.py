# SPDX-License-Identifier: Apache-2.0
"""A client over gRPC."""

from net_queue.core import client
from net_queue.core.options import Protocol

__all__ = ["Communicator"]


class Communicator(client.Communicator):
    """A client over gRPC."""

    _protocol = Protocol.GRPC
