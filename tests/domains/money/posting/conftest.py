"""A world of posting on a MongoDB alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.storage.driver import Database
from tests.domains.money.posting.world import PostingWorld
from tests.mongodb import MongoDb
from tests.storage.databases import emptied, fresh


@pytest.fixture(scope="session")
async def posting_database(mongodb: MongoDb) -> AsyncIterator[Database]:
    async with fresh(mongodb.uri, "pymongo") as database:
        yield database


@pytest.fixture
async def world(posting_database: Database) -> PostingWorld:
    return await PostingWorld(await emptied(posting_database)).start()
