# SPDX-License-Identifier: Apache-2.0
"""Communicators over MQTT."""

from net_queue.mqtt import client, server

__all__ = ["client", "server"]
