from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.storage.driver import Database
from tests.stack import Stack
from tests.storage.databases import DRIVERS, emptied, fresh


@pytest.fixture(scope="session", params=DRIVERS)
async def either_database(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with fresh(stack.mongodb_uri, request.param) as database:
        yield database


@pytest.fixture
async def database(either_database: Database) -> Database:
    """An empty database with all indexes; every test runs on both drivers."""
    return await emptied(either_database)
