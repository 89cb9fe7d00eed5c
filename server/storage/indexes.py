"""Collections and indexes, created at start; creating them again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pymongo import IndexModel

from server.storage.driver import Database


async def ensure_indexes(database: Database, indexes: Mapping[str, Sequence[IndexModel]]) -> None:
    """Create what is missing. `indexes` maps each collection to its indexes."""
    for name, models in indexes.items():
        await database.collection(name).create_indexes(list(models))
