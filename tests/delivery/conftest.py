from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.delivery.store import INDEXES
from server.storage.driver import Database
from server.storage.indexes import ensure_indexes
from tests.delivery.world import World
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, fresh


@pytest.fixture(scope="session", params=DRIVERS)
async def either_delivery_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with fresh(mongodb.uri, request.param) as database:
        await ensure_indexes(database, INDEXES)
        yield database


@pytest.fixture
async def world(either_delivery_database: Database) -> World:
    return World(await emptied(either_delivery_database))
