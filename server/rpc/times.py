"""Times as the contract's messages carry them."""

from datetime import UTC, datetime, time
from typing import overload

from google.protobuf.timestamp_pb2 import Timestamp

from server.core.errors import InvalidRequest
from server.rpc.formats import parse_date_or_time


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


def date_bounds(from_date: str, to_date: str) -> tuple[datetime | None, datetime | None]:
    """The inclusive bounds that two dates or instants mean, if they were sent.

    Raises InvalidRequest the wrong way round.
    """
    first = _bound(from_date, end=False) if from_date else None
    last = _bound(to_date, end=True) if to_date else None
    if first is not None and last is not None and first > last:
        raise InvalidRequest.of("fromDate", "must not be after toDate")
    return first, last


def _bound(text: str, *, end: bool) -> datetime:
    """A date alone is its first or last moment in UTC."""
    value = parse_date_or_time(text, up=not end)
    if isinstance(value, datetime):
        return value
    return datetime.combine(value, time(23, 59, 59, 999_000) if end else time(), UTC)
