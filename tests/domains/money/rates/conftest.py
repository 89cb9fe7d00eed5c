"""Exchange rates on a MongoDB alone."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from server.core.clock import Clock, utc_now
from server.core.users import Preferences, User
from server.domains.money.rates.loading import RateLoading
from server.domains.money.rates.service import RateService
from server.domains.money.rates.store import RATES, STATE, RateStore
from server.storage.audit import AUDIT_EVENTS, AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import Database, Document, connected
from server.storage.leases import Leases
from tests.domains.money.rates.samples import Words, day_rates
from tests.mongodb import MongoDb
from tests.storage.databases import settings

TODAY = date(2026, 12, 1)


@dataclass
class TurnedClock(Clock):
    """Stands at a time until it is turned."""

    at: datetime = datetime(2026, 12, 1, 20, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def turn(self, by: timedelta) -> None:
        self.at += by


@dataclass
class People:
    """Stands for `kernel.Users`, as far as rates ask."""

    preferences: Preferences = field(default_factory=Preferences)

    async def get(self, user_id: str) -> User:
        now = utc_now()
        return User(
            id="0" * 24,
            user_id=user_id,
            preferences=self.preferences,
            created_at=now,
            updated_at=now,
        )


class Rates:
    """The parts of exchange rates, over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = TurnedClock()
        self.people = People()
        self.store = RateStore(database)
        trail = AuditTrail(database, Codes(os.urandom(32)))
        self.changes = RecordedChanges(database, trail)
        self.leases = Leases(database)

    def service(self) -> RateService:
        """As one worker has it."""
        return RateService(self.changes, self.store, self.people, self.clock)  # type: ignore[arg-type]

    def loading(self, **options: object) -> RateLoading:
        return RateLoading(self.changes, self.store, self.leases, self.clock, **options)  # type: ignore[arg-type]

    async def load(self, days: Words) -> None:
        """As if a file had these, each day in words."""
        found = [day_rates(on, words) for on, words in sorted(days.items())]
        await self.store.add_ecb(found)
        newest = {currency: each.id for each in found for currency in each.ecb}
        await self.database.transact(lambda session: self.store.loaded(newest, None, None, session))

    async def events(self, action: str) -> list[Document]:
        found = self.database.collection(AUDIT_EVENTS).find({"action": action})
        return await found.sort("_id").to_list(None)


@pytest.fixture(scope="module")
async def database(mongodb: MongoDb) -> AsyncIterator[Database]:
    async with connected(settings(mongodb.uri, "pymongo", mongo_timeout_ms=30_000)) as opened:
        try:
            yield opened
        finally:
            await opened.drop()


@pytest.fixture
async def rates(database: Database) -> Rates:
    """Without any rate."""
    for name in (RATES, STATE, AUDIT_EVENTS):
        await database.collection(name).delete_many({})
    return Rates(database)
