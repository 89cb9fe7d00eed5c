"""Databases for tests that talk to MongoDB themselves, with either driver."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.config import Settings
from server.domains.connectors.connections.refusals import REFUSED_LOGINS
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.records.store import ERASURES, RECORDS
from server.domains.connectors.trends.store import TRENDS
from server.domains.users.store import ARCHIVE, USERS
from server.startup import indexes
from server.storage.answers import ANSWERS
from server.storage.audit import AUDIT_EVENTS, AUDIT_HEAD
from server.storage.claims import CLAIMS
from server.storage.data_keys import DATA_KEYS
from server.storage.driver import Database, Document, connected
from server.storage.indexes import ensure_images, ensure_indexes
from server.storage.keyed_secrets import KEYED_SECRETS
from server.storage.tallies import REMOVALS, TALLIES

EMPTIED = (
    CONNECTORS, RECORDS, ERASURES, CLAIMS, ANSWERS, DATA_KEYS, KEYED_SECRETS, USERS, ARCHIVE,
    AUDIT_EVENTS, AUDIT_HEAD, REFUSED_LOGINS, TALLIES, REMOVALS, TRENDS,
)  # fmt: skip
DRIVERS = ("pymongo", "motor")
INDEXES = indexes(Settings())


def settings(uri: str, driver: str, **changes: object) -> Settings:
    """Settings of a database nobody has, whatever the machine's environment says."""
    given: dict[str, object] = {
        "mongodb_uri": uri,
        "mongo_driver": driver,
        "db_name": f"test_{uuid.uuid4().hex[:16]}",
        **changes,
    }
    return Settings(_env_file=None, **given)  # type: ignore[arg-type,call-arg]


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
    first, *others = (_whether_any(name) for name in EMPTIED)
    unions = [
        {"$unionWith": {"coll": name, "pipeline": rows}}
        for name, rows in zip(EMPTIED[1:], others, strict=True)
    ]
    for found in await database.aggregate(database.collection(EMPTIED[0]), [*first, *unions]):
        await database.collection(found["in"]).delete_many({})
    return database


def _whether_any(name: str) -> list[Document]:
    return [{"$limit": 1}, {"$project": {"in": name}}]
