"""Page tokens: where a list went on, opaque to callers and bound to the list's filters."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from server.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Position:
    """The last document of a page: its time, its id, and the number of that page."""

    at: datetime
    id: str
    page: int = 1

    @property
    def object_id(self) -> ObjectId:
        """The id, of a list whose ids are MongoDB's. Raises InvalidRequest where it is none."""
        if not ObjectId.is_valid(self.id):
            raise InvalidRequest.of("pageToken", "is not a token of this list")
        return ObjectId(self.id)


def encode(position: Position, filters: Mapping[str, Any]) -> str:
    """The token that leads past `position` under the same filters."""
    milliseconds = round(position.at.timestamp() * 1000)
    content = json.dumps([milliseconds, position.id, position.page, _digest(filters)])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(token: str, filters: Mapping[str, Any]) -> Position:
    """The position a token stands for. Raises InvalidRequest naming `pageToken`."""
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        milliseconds, identifier, page, digest = json.loads(content)
        if not (isinstance(identifier, str) and isinstance(page, int) and 1 <= page < 2**31):
            raise ValueError(token)
        position = Position(datetime.fromtimestamp(milliseconds / 1000, UTC), identifier, page)
    except (ValueError, TypeError, OverflowError, OSError, binascii.Error, RecursionError):
        raise InvalidRequest.of("pageToken", "is not a token of this list") from None
    if digest != _digest(filters):
        raise InvalidRequest.of("pageToken", "belongs to other filters; send them unchanged")
    return position


def _digest(filters: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:12]
