# SPDX-License-Identifier: Apache-2.0
"""Communicators over TCP."""

from net_queue.tcp import client, server

__all__ = ["client", "server"]
