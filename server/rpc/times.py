"""Times as the contract's messages carry them."""

from __future__ import annotations

from datetime import datetime
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp


@overload
def timestamp(value: datetime) -> Timestamp: ...
@overload
def timestamp(value: datetime | None) -> Timestamp | None: ...
def timestamp(value: datetime | None) -> Timestamp | None:
    """The same instant, or None for none."""
    if value is None:
        return None
    message = Timestamp()
    message.FromDatetime(value)
    return message
