from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.storage.driver import Database
from server.storage.indexes import ensure_indexes
from tests.jobs.errands import ERRANDS, KIND, Errands
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, fresh


@pytest.fixture(scope="session", params=DRIVERS)
async def either_jobs_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with fresh(mongodb.uri, request.param) as database:
        await ensure_indexes(database, {ERRANDS: KIND.indexes})
        yield database


@pytest.fixture
async def errands(either_jobs_database: Database) -> Errands:
    return Errands(await emptied(either_jobs_database))
