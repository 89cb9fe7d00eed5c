"""Connectors on a real MongoDB, with a platform in this process that does as it is told."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from bson import ObjectId
from finlink_words import DataType

from server.core.clock import utc_now
from server.core.users import NewUser
from server.domains.connectors.connections.connecting import Connecting, LoginNeeded
from server.domains.connectors.connections.lists import ConnectorLists
from server.domains.connectors.connections.logins import LoginFlow
from server.domains.connectors.connections.logout import Logout
from server.domains.connectors.connections.renewal import SessionRenewal
from server.domains.connectors.connections.service import ConnectorService
from server.domains.connectors.connections.session_changes import SessionChanges
from server.domains.connectors.connections.sessions import SessionVault, new_sync_id
from server.domains.connectors.connections.store import CONNECTORS, ConnectorStore
from server.domains.connectors.connections.throttle import LoginThrottle
from server.domains.connectors.model import Connector, ConnectRequest
from server.domains.connectors.records.store import RecordStore
from server.domains.connectors.sync.checks import SessionChecks
from server.domains.connectors.sync.runner import SyncRunner
from server.domains.connectors.sync.service import SyncService
from server.domains.connectors.sync.store import SyncStore
from server.domains.connectors.trends.recorder import TrendRecorder
from server.domains.connectors.trends.store import TrendStore
from server.domains.connectors.watch.changes import PIPELINE, change_of
from server.domains.users.service import UserDirectory, UserService
from server.domains.users.store import UserStore
from server.jobs.queue import Job
from server.jobs.scheduler import JobScheduler
from server.platforms.base import (
    Contents,
    CredentialsRefused,
    Fetched,
    LoginRequired,
    PlatformError,
    PlatformSession,
    SessionEnded,
)
from server.platforms.records import Holding, Item, Money, Period, Profile, Trade, Transaction
from server.security.ring import KeyRing
from server.storage.audit import AuditTrail, Codes
from server.storage.background import Background
from server.storage.changes import RecordedChanges
from server.storage.data_keys import DataKeyStore
from server.storage.driver import ClientSession, Database, Document
from server.storage.leases import Leases
from server.streaming.source import ChangeSource
from server.streaming.watches import Watches

RING = KeyRing({"one": bytes(range(32))})
LONG_AGO = timedelta(hours=1)
ALL: tuple[DataType, ...] = ("transactions", "portfolio", "trades", "profile")
INR = "INR"


def transaction(key: str, day: date = date(2024, 1, 15)) -> Item:
    return Item(key, Transaction(day, "debit", Money(Decimal("10.50"), INR), key, "UPI", "Bank"))


def trade(key: str, moment: datetime = datetime(2024, 1, 15, 9, 30, tzinfo=UTC)) -> Item:
    return Item(key, Trade("buy", Decimal(3), time=moment, symbol="INFY", price=Decimal("1500.5")))


def holding(key: str, quantity: int = 1) -> Item:
    return Item(key, Holding("equity", key, quantity=Decimal(quantity), last_price=Decimal(2)))


def profile(name: str = "Ann") -> Item:
    return Item("profile", Profile(platform_user_id="AB1234", name=name, exchanges=("NSE",)))


@dataclass(frozen=True)
class InProcessReading:
    platform: InProcess
    session: PlatformSession

    async def fetch(self, data_type: DataType) -> Fetched:
        items = await self.platform.fetch(self.session, data_type)
        faults = self.platform.faults.get(data_type, ())

        def look() -> Contents:
            self.platform.looked_into.append(data_type)
            return Contents(items, faults, () if faults else self.platform.periods)

        return Fetched(repr((items, faults)), look)


class InProcess:
    """A Platform whose answers a test sets."""

    def __init__(self, name: str = "fi_money", data_types: Sequence[DataType] = ALL) -> None:
        self.name = name
        self.data_types = data_types
        self.items: dict[DataType, list[Item]] = {
            "transactions": [transaction("t1"), transaction("t2")],
            "portfolio": [holding("h1"), holding("h2"), holding("h3")],
            "trades": [trade("x1")],
            "profile": [profile()],
        }
        self.failures: dict[DataType, PlatformError] = {}
        self.faults: dict[DataType, Sequence[PlatformError]] = {}  # why a data type comes in part
        self.periods: Sequence[Period] = ()
        self.session_over = False
        self.wants_login = False
        self.cannot_log_in: PlatformError | None = None
        # Awaited before each reply of data.
        self.before_fetch: Callable[[], Awaitable[None]] | None = None
        self.fetched: list[DataType] = []
        self.looked_into: list[DataType] = []
        self.logged_out: list[PlatformSession] = []
        self.abandoned: list[LoginRequired] = []
        # Awaited before each reply to a renewal.
        self.before_renewal: Callable[[], Awaitable[None]] | None = None
        self.renewable = False
        self.life = timedelta(hours=8)
        self.renewals = 0
        self.logins = 0

    def fail_with(self, error: PlatformError | None) -> None:
        """All data types fail, or none."""
        self.failures = dict.fromkeys(self.data_types, error) if error else {}

    def session(self) -> PlatformSession:
        self.logins += 1
        token = {"token": f"tok_{self.logins}"}
        return PlatformSession("AB1234", "individual", utc_now() + self.life, token, self.renewable)

    async def connect(self, credentials: Mapping[str, str]) -> PlatformSession | LoginRequired:
        if credentials.get("password") == "wrong":
            raise CredentialsRefused("The password is wrong", "password")
        if self.wants_login:
            return LoginRequired("https://platform.test/login", {"pending": "p1"})
        return self.session()

    async def complete(
        self, secrets: Mapping[str, str], credentials: Mapping[str, str]
    ) -> PlatformSession | LoginRequired:
        if self.cannot_log_in:
            raise self.cannot_log_in
        if credentials.get("requestToken"):
            return self.session()
        return LoginRequired("https://platform.test/login", {"pending": "p2"})

    async def renew(self, session: PlatformSession) -> PlatformSession:
        self.renewals += 1
        if self.before_renewal is not None:
            await self.before_renewal()
        if self.renewable:
            self.session_over = False
            return self.session()
        if self.session_over:
            raise SessionEnded("The session is over")
        return session

    @asynccontextmanager
    async def reading(self, session: PlatformSession) -> AsyncIterator[InProcessReading]:
        yield InProcessReading(self, session)

    async def fetch(self, session: PlatformSession, data_type: DataType) -> Sequence[Item]:
        if self.before_fetch is not None:
            await self.before_fetch()
        self.fetched.append(data_type)
        if self.session_over:
            raise SessionEnded("The session is over")
        if failure := self.failures.get(data_type):
            raise failure
        return list(self.items[data_type])

    async def disconnect(self, session: PlatformSession) -> None:
        self.logged_out.append(session)

    async def abandon(self, login: LoginRequired) -> None:
        self.abandoned.append(login)

    async def aclose(self) -> None:
        return


@dataclass
class Checkpoint:
    """A place where runs wait until they are let on."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        self.reached.set()
        await self.opened.wait()


class World:
    """All of the connectors' domain, wired as a worker wires it."""

    def __init__(self, database: Database, ring: KeyRing = RING) -> None:
        self.database = database
        self.platform = InProcess()
        self.platforms: dict[str, Any] = {self.platform.name: self.platform}
        self.users = UserStore(database)
        self.connectors = ConnectorStore(database)
        self.lists = ConnectorLists(database)
        self.syncs = SyncStore(database)
        self.records = RecordStore(database)
        self.keys = DataKeyStore(database, ring)
        self.sessions = SessionVault(self.keys)
        self.leases = Leases(database)
        self.trail = AuditTrail(database, Codes(bytes(range(32))))
        self.changes = RecordedChanges(database, self.trail)
        self.throttle = LoginThrottle(database, self.trail)
        self.logout = Logout(self.sessions, self.platforms)
        self.renewal = self.another_renewal(self.platforms)
        self.checks = SessionChecks(self.syncs, self.renewal)
        self.recorder = TrendRecorder(TrendStore(database))
        self.runner = self.another_runner()
        self.service = ConnectorService(
            self.changes,
            self.connectors,
            self.lists,
            self.records,
            self.sessions,
            self.renewal,
            self.logout,
            UserDirectory(self.users),
            self._woken,
        )
        self.connecting = Connecting(
            self.changes,
            self.connectors,
            self.leases,
            self.sessions,
            self.logins_at(self.platforms),
            self.logout,
            self.platforms,
            UserDirectory(self.users),
            self._woken,
        )
        self.sync_service = SyncService(
            self.changes, self.connectors, self.syncs, self.records, self.sessions, self._woken
        )
        self.user_service = UserService(self.changes, self.users, [self.service])
        self.connector_changes = ChangeSource(database, CONNECTORS, PIPELINE, change_of)
        self.watches = Watches(self.connector_changes, UserDirectory(self.users).is_active)
        self.wakes = 0

    def _woken(self) -> None:
        self.wakes += 1

    def another_runner(
        self, platform: InProcess | None = None, syncs: SyncStore | None = None
    ) -> SyncRunner:
        """As another worker has one."""
        platforms = {platform.name: platform} if platform else self.platforms
        return SyncRunner(
            self.changes,
            self.connectors,
            syncs or self.syncs,
            self.records,
            self.another_renewal(platforms),
            self.recorder,
        )

    def logins_at(self, platforms: Mapping[str, Any]) -> LoginFlow:
        changes = SessionChanges(self.changes, self.connectors, self.sessions)
        logout = Logout(self.sessions, platforms)
        return LoginFlow(changes, self.connectors, self.sessions, self.throttle, logout, platforms)

    def another_renewal(
        self, platforms: Mapping[str, Any], leases: Leases | None = None
    ) -> SessionRenewal:
        """As another process has one."""
        return SessionRenewal(
            SessionChanges(self.changes, self.connectors, self.sessions),
            self.connectors,
            leases or self.leases,
            self.sessions,
            self.logins_at(platforms),
            Logout(self.sessions, platforms),
            platforms,
        )

    def scheduler(
        self, runner: SyncRunner | None = None, concurrency: int = 5
    ) -> JobScheduler[Connector]:
        return JobScheduler("syncs", self.syncs, (runner or self.runner).run, concurrency)

    def session_checks(self) -> Background:
        return Background("check sessions", self.checks.check_some, 0.02)

    def erasing(self) -> Background:
        return Background("erase records", self.records.erase_some, 0.02)

    async def user(self) -> str:
        return await self.user_named(f"user_{uuid.uuid4().hex}")

    async def user_named(self, user_id: str) -> str:
        await self.users.create(NewUser(user_id, f"{user_id}@example.com"))
        return user_id

    async def connected(self, *data_types: DataType) -> Connector:
        """A connector whose first sync is wanted, and not begun."""
        connector, login_url = await self.connect(
            await self.user(), self.platform.name, data_types or ALL, {}
        )
        assert login_url is None
        return connector

    async def connect(
        self,
        user_id: str,
        platform: str,
        permissions: Sequence[str],
        credentials: Mapping[str, str],
    ) -> tuple[Connector, str | None]:
        """With the URL of the login that is needed, if one is."""
        request = ConnectRequest(user_id, platform, permissions, credentials)
        made = await self.connecting.connect(request)
        return made.connector, made.login_url if isinstance(made, LoginNeeded) else None

    async def synced(self, *data_types: DataType) -> Connector:
        """A connector after its first sync."""
        connector = await self.connected(*data_types)
        return await self.sync(connector.id)

    async def sync(self, connector_id: str) -> Connector:
        """Run what the connector is due for; makes it due where it is not."""
        if (await self.get(connector_id)).sync.run is None:
            await self.syncs.request_run(connector_id, new_sync_id(), [])
        await self.runner.run(await self.claim(connector_id))
        return await self.get(connector_id)

    async def claim(self, connector_id: str) -> Job[Connector]:
        """Claim this connector, the only one that is due."""
        job = await self.syncs.claim()
        assert job is not None
        assert job.item.id == connector_id
        return job

    async def make_due(self, connector_id: str) -> None:
        """As time does: what was to happen an hour from now at most is due, leases have lapsed."""
        await self.change(connector_id, {"sync.dueAt": utc_now() - LONG_AGO})

    async def change(self, connector_id: str, fields: Document) -> None:
        result = await self.database.collection(CONNECTORS).update_one(
            {"_id": ObjectId(connector_id)}, {"$set": fields}
        )
        assert result.matched_count == 1

    async def get(self, connector_id: str) -> Connector:
        connector = await self.connectors.get(connector_id)
        assert connector is not None
        return connector

    async def document(self, connector_id: str) -> Document:
        found = await self.database.collection(CONNECTORS).find_one({"_id": ObjectId(connector_id)})
        assert found is not None
        return found

    async def kept(self, connector_id: str) -> dict[str, int]:
        """How many records there are of each data type."""
        rows = await self.database.aggregate(
            self.database.collection("records"),
            [
                {"$match": {"connectorId": connector_id}},
                {"$group": {"_id": "$dataType", "n": {"$sum": 1}}},
            ],
        )
        return {row["_id"]: row["n"] for row in rows}

    async def transact(self, work: Callable[[ClientSession], Awaitable[Any]]) -> Any:
        return await self.database.transact(work)
