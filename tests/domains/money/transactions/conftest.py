"""Transactions on a MongoDB alone, over the real ledger."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from server.domains.money.accounts.store import INDEXES as OF_ACCOUNTS
from server.domains.money.categories.store import INDEXES as OF_CATEGORIES
from server.domains.money.ledger.store import INDEXES as OF_LEDGERS
from server.domains.money.transactions.store import INDEXES as OF_TRANSACTIONS
from server.security.ring import KeyRing
from server.storage import audit, data_keys
from server.storage.driver import Database, connected
from server.storage.indexes import ensure_indexes
from tests.domains.money.transactions.world import World, new_world
from tests.mongodb import MongoDb
from tests.storage.databases import settings


@pytest.fixture(scope="session")
async def transactions_database(mongodb: MongoDb) -> AsyncIterator[Database]:
    indexes = {
        **OF_LEDGERS, **OF_TRANSACTIONS, **OF_CATEGORIES, **OF_ACCOUNTS, **data_keys.INDEXES, **audit.INDEXES,
    }  # fmt: skip
    async with connected(settings(mongodb.uri, "pymongo")) as opened:
        await ensure_indexes(opened, indexes)
        try:
            yield opened
        finally:
            await opened.drop()


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return KeyRing({"one": os.urandom(32)})


@pytest.fixture
async def world(transactions_database: Database, ring: KeyRing) -> World:
    return await new_world(transactions_database, ring)
