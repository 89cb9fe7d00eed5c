from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.storage import audit
from server.storage.audit import AuditTrail, Codes
from server.storage.driver import Database, connected
from server.storage.indexes import ensure_indexes
from tests.mongodb import MongoDb
from tests.storage.databases import settings


@pytest.fixture
async def database(mongodb: MongoDb) -> AsyncIterator[Database]:
    async with connected(settings(mongodb.uri, "pymongo")) as opened:
        await ensure_indexes(opened, audit.INDEXES)
        try:
            yield opened
        finally:
            await opened.drop()


@pytest.fixture
def codes() -> Codes:
    return Codes(bytes(range(32)))


@pytest.fixture
def trail(database: Database, codes: Codes) -> AuditTrail:
    return AuditTrail(database, codes)
