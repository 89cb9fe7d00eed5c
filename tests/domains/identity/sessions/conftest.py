from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.domains.identity.sessions import store
from server.storage import audit
from server.storage.driver import Database, connected
from server.storage.indexes import ensure_indexes
from tests.domains.identity.sessions.world import NOTICES, PASSWORDS, REVOKED, USERS, World
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, settings


@pytest.fixture(scope="session", params=DRIVERS)
async def session_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    patient = settings(mongodb.uri, request.param, mongo_timeout_ms=20_000)
    async with connected(patient) as database:
        await ensure_indexes(database, {**store.INDEXES, **audit.INDEXES})
        for name in (USERS, REVOKED, NOTICES, PASSWORDS):
            # One that a transaction creates makes others fail that come at once.
            await database.command({"create": name})
        try:
            yield database
        finally:
            await database.drop()


@pytest.fixture
async def world(session_database: Database) -> World:
    """Nobody is signed in; every test runs on both drivers."""
    return World(await emptied(session_database))


@pytest.fixture
async def user(world: World) -> str:
    return await world.users.create()
