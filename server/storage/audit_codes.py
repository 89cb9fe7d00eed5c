"""The codes of the audit trail, and what they say of stored events.

Imports little: other processes that help to verify a long trail load it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions

NO_LINK = "0" * 64

_ADDED_LATER = frozenset({"mac", "sequence", "link", "unsealed"})  # to what an event says
_AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)


@dataclass(frozen=True, slots=True)
class Head:
    """The newest sealed event: its number and its link."""

    sequence: int = 0
    link: str = NO_LINK


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, default=_plain)


class Codes:
    """The codes that only who has the key can make."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of_event(self, document: Mapping[str, Any]) -> str:
        """Over all that an event says."""
        said = {key: value for key, value in document.items() if key not in _ADDED_LATER}
        return self._code("event", _CANONICAL.encode(said))

    def fits(self, document: Mapping[str, Any]) -> bool:
        """Whether the code of an event is the one of what it says."""
        found = document.get("mac")
        return isinstance(found, str) and hmac.compare_digest(
            self.of_event(document).encode(), found.encode()
        )

    def of_link(self, before: str, sequence: int, mac: str) -> str:
        return self._code("link", f"{before}/{sequence}/{mac}")

    def of_head(self, head: Head) -> str:
        return self._code("head", f"{head.sequence}/{head.link}")

    def _code(self, what: str, text: str) -> str:
        return hmac.digest(self._key, f"{what}:{text}".encode(), "sha256").hex()


class Examined(NamedTuple):
    """A sealed event as it was found."""

    id: str
    sequence: Any  # a number, unless somebody altered it
    fits: bool  # its code to what it says
    mac: str
    link: str
    wanted: (
        str | None
    )  # the link it should have after the one before; None for the first of a batch


def examine(batch: bytes, codes: Codes) -> list[Examined]:
    """Look at events that follow each other, stored as BSON."""
    found = []
    before: str | None = None
    for event in bson.decode_all(batch, _AWARE):
        sequence, mac, link = event["sequence"], str(event.get("mac")), str(event.get("link"))
        wanted = None
        if isinstance(sequence, int):  # not a list with a number in it, or half of one
            wanted = None if before is None else codes.of_link(before, sequence, mac)
            before = link
        found.append(Examined(str(event["_id"]), sequence, codes.fits(event), mac, link, wanted))
    return found
