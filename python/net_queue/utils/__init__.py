# SPDX-License-Identifier: Apache-2.0
"""Streams, and what turns objects into them."""

from net_queue.utils import serializers, stream, streamtools

__all__ = ["serializers", "stream", "streamtools"]
