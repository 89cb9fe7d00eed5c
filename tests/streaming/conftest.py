from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pymongo import IndexModel

from server.storage.driver import Database
from server.storage.indexes import ensure_images, ensure_indexes
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, fresh
from tests.streaming.notes import NOTES, Notes


@pytest.fixture(scope="session", params=DRIVERS)
async def either_streaming_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with fresh(mongodb.uri, request.param) as database:
        await ensure_indexes(database, {NOTES: [IndexModel("owner")]})
        await ensure_images(database, [NOTES])
        yield database


@pytest.fixture
async def notes(either_streaming_database: Database) -> Notes:
    return Notes(await emptied(either_streaming_database))
