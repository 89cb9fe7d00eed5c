"""A ledger on a MongoDB alone, with users who are there or not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from bson import ObjectId

from server.core.clock import utc_now
from server.core.users import User
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.service import Book
from server.domains.money.ledger.store import INDEXES, LedgerStore
from server.domains.money.sealing.service import MoneyKeys
from server.security.ring import KeyRing
from server.storage import data_keys
from server.storage.data_keys import DataKeyStore
from server.storage.driver import ClientSession, Database, connected
from server.storage.indexes import ensure_indexes
from tests.mongodb import MongoDb
from tests.storage.databases import settings


@pytest.fixture(scope="session")
async def database(mongodb: MongoDb) -> AsyncIterator[Database]:
    async with connected(settings(mongodb.uri, "pymongo")) as opened:
        await ensure_indexes(opened, {**INDEXES, **data_keys.INDEXES})
        try:
            yield opened
        finally:
            await opened.drop()


@dataclass
class People:
    """Stands for `kernel.Users`, as far as a ledger asks: who is there, and a lock on each."""

    database: Database
    gone: set[str] = field(default_factory=set)

    async def lock_id(self, user: str, session: ClientSession) -> User | None:
        if user in self.gone:
            return None
        await self.database.collection("people").update_one(
            {"_id": user}, {"$inc": {"locked": 1}}, upsert=True, session=session
        )
        now = utc_now()
        return User(id=user, user_id=f"user_{user}", created_at=now, updated_at=now)


@dataclass
class Ledgers:
    """Books as several workers have them, over one database."""

    database: Database
    people: Any
    ring: KeyRing
    started: list[str] = field(default_factory=list)  # owners, each time a ledger was filled

    def book(self) -> Book:
        keys = MoneyKeys(DataKeyStore(self.database, self.ring))
        return Book(LedgerStore(self.database), keys, self.people, self._start)

    async def _start(self, change: LedgerChange) -> None:
        await self.database.collection("starts").insert_one(
            {"owner": change.owner}, session=change.session
        )
        self.started.append(change.owner)

    async def starts(self, owner: str) -> int:
        return await self.database.collection("starts").count_documents({"owner": owner})


@pytest.fixture
def ledgers(database: Database) -> Ledgers:
    return Ledgers(database, People(database), KeyRing({"one": os.urandom(32)}))


@pytest.fixture
def owner() -> str:
    """The id of a user without money."""
    return str(ObjectId())
