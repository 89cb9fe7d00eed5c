from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.storage.driver import Database
from tests.domains.identity.recovery.world import World
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, fresh


@pytest.fixture(scope="session", params=DRIVERS)
async def mail_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with fresh(mongodb.uri, request.param) as database:
        yield database


@pytest.fixture
async def world(mail_database: Database) -> AsyncIterator[World]:
    """No mail was sent; every test runs on both drivers."""
    world = World(await emptied(mail_database))
    yield world
    await world.hashing.stop()
