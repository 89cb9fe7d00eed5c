from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.storage.driver import Database
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, fresh


@pytest.fixture(scope="session", params=DRIVERS)
async def shared_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with fresh(mongodb.uri, request.param) as database:
        yield database


@pytest.fixture
async def database(shared_database: Database) -> Database:
    """An empty database with all indexes."""
    return await emptied(shared_database)
