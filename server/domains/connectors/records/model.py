"""A record as it is read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from server.core.model import Id, Model


class StoredRecord(Model, frozen=True):
    id: Id
    data_type: str
    data: Mapping[str, Any]
    added_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    withdrawn_at: datetime | None = None
