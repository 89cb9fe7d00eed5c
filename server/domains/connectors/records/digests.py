"""Digests of what runs fetch, so that the same is not read or stored again.

They are made with the records' data key: a plain hash of a profile or of a few rows could be guessed. Each
day they are others, at a time of the connector's own: whatever became of the records is put right.
"""

import re
from operator import attrgetter

import msgspec

from server.core.clock import utc_now
from server.domains.connectors.records.boxes import RecordBox
from server.domains.connectors.records.documents import record_document
from server.platforms.base import Contents

_RESPONSE, _ITEMS, _PART = "response", "items", "items in part"
_DAY = 86_400
_KEY = attrgetter("key")


def response_digest(box: RecordBox, fetched: str) -> str:
    """Identifies the platform's response. The same responses mean the same items."""
    return box.digest(_RESPONSE, _today(box.records_id), fetched)


def digest(box: RecordBox, contents: Contents) -> str:
    """Identifies the items that a run fetched. The same items mean something else if they are not all."""
    items = sorted(contents.items, key=_KEY)
    fetched = msgspec.msgpack.encode([(item.key, record_document(item.record)) for item in items])
    return box.digest(_PART if contents.faults else _ITEMS, _today(box.records_id), fetched)


def _today(records_id: str) -> str:
    created = int(records_id[:8], 16) if re.match("[0-9a-f]{8}", records_id) else 0
    return str(int(utc_now().timestamp() + created) // _DAY)
