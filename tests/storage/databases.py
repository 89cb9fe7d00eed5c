"""Databases for tests that talk to MongoDB themselves, with either driver."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.config import Settings
from server.domains.connectors.connections.store import CONNECTORS
from server.settings import load
from server.startup import indexes
from server.storage.driver import Database, Document, connected
from server.storage.indexes import ensure_images, ensure_indexes

DRIVERS = ("pymongo", "motor")
INDEXES = indexes(load(_env_file=None))


def settings(uri: str, driver: str, **changes: object) -> Settings:
    """Settings of a database nobody has, whatever the machine's environment says."""
    given: dict[str, object] = {
        "mongodb_uri": uri,
        "mongo_driver": driver,
        "db_name": f"test_{uuid.uuid4().hex[:16]}",
        **changes,
    }
    return load(_env_file=None, **given)


@asynccontextmanager
async def fresh(uri: str, driver: str) -> AsyncIterator[Database]:
    """A database of its own with all indexes; removed at the end."""
    async with connected(settings(uri, driver)) as database:
        await ensure_indexes(database, INDEXES)
        await ensure_images(database, [CONNECTORS])
        try:
            yield database
        finally:
            await database.drop()


async def emptied(database: Database) -> Database:
    """The same database without its documents: much cheaper than a new one for each test."""
    first, *others = await database.names()
    unions = [{"$unionWith": {"coll": name, "pipeline": _whether_any(name)}} for name in others]
    for found in await database.aggregate(
        database.collection(first), [*_whether_any(first), *unions]
    ):
        await database.collection(found["in"]).delete_many({})
    return database


def _whether_any(name: str) -> list[Document]:
    return [{"$limit": 1}, {"$project": {"in": name}}]
