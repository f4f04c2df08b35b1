# SPDX-License-Identifier: Apache-2.0
"""Communicators over gRPC."""

from net_queue.grpc import client, server

__all__ = ["client", "server"]
