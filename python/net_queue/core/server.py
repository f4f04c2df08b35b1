# SPDX-License-Identifier: Apache-2.0
"""What the servers of every protocol have in common."""

from net_queue.core import comm
from net_queue.core.options import Purpose

__all__ = ["Communicator"]


class Communicator(comm.Communicator):
    """A server: see `net_queue.core.Communicator`."""

    _purpose = Purpose.SERVER
