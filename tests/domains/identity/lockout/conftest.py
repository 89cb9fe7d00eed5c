from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.domains.identity.credentials.lockout import store
from server.storage import audit
from server.storage.driver import Database, connected
from server.storage.indexes import ensure_indexes
from tests.domains.identity.lockout.world import World
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, settings


@pytest.fixture(scope="session", params=DRIVERS)
async def lockout_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    patient = settings(mongodb.uri, request.param, mongo_timeout_ms=20_000)
    async with connected(patient) as database:
        await ensure_indexes(database, {**store.INDEXES, **audit.INDEXES})
        try:
            yield database
        finally:
            await database.drop()


@pytest.fixture
async def world(lockout_database: Database) -> World:
    """Nobody has failed; every test runs on both drivers."""
    return World(await emptied(lockout_database))
