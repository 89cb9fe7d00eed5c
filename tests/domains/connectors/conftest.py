from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.storage.driver import Database
from tests.domains.connectors.sync_world import World
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, fresh


@pytest.fixture(scope="session", params=DRIVERS)
async def either_connector_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with fresh(mongodb.uri, request.param) as database:
        yield database


@pytest.fixture
async def world(either_connector_database: Database) -> World:
    """An empty world; every test runs on both drivers."""
    return World(await emptied(either_connector_database))
