# SPDX-License-Identifier: Apache-2.0
"""The serializers, at the place where the first release had them."""

from net_queue.utils.serializers import (BufferSerializer, BytesSerializer, PickleSerializer,
                                         StreamSerializer)

__all__ = ["BufferSerializer", "BytesSerializer", "PickleSerializer", "StreamSerializer"]
