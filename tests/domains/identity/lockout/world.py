"""Lockout on a real MongoDB, by a clock that is turned, with callers at addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from prometheus_client import REGISTRY

from server.core.clock import Clock, utc_now
from server.core.errors import RateLimited
from server.core.events import Actor, enter_actor
from server.core.users import NewUser, User
from server.domains.identity.credentials.accounts.model import External
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.lockout.addresses import SUSPICION, AddressGuard
from server.domains.identity.credentials.lockout.devices import DeviceTokens
from server.domains.identity.credentials.lockout.known import KnownCallers
from server.domains.identity.credentials.lockout.model import Name
from server.domains.identity.credentials.lockout.service import Lockout, SecondFactorLockout
from server.domains.identity.credentials.lockout.store import LOGIN_FAILURES, LoginFailureStore
from server.domains.identity.errors import AccountLocked
from server.domains.users.service import UserDirectory
from server.domains.users.store import UserStore
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession, Database, Document

T = TypeVar("T")

SECRET = bytes(range(32))
ANN, BOB = "665f1f77bcf86cd799439011", "665f1f77bcf86cd799439012"  # `User.id`
ANNS_NAME = Name("email", "ann@example.com")
NOBODYS_NAME = Name("email", "nobody@example.com")
HERE = Actor("caller", address="192.0.2.1")
NOWHERE = Actor("caller")  # failures are counted for the name alone


class TurnedClock(Clock):
    """Stands still unless it is turned."""

    def __init__(self) -> None:
        super().__init__()
        self.at = utc_now()

    def now(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class World:
    database: Database
    clock: TurnedClock = field(default_factory=TurnedClock)
    devices: DeviceTokens = field(default_factory=lambda: DeviceTokens(SECRET))

    def __post_init__(self) -> None:
        self.trail = AuditTrail(self.database, Codes(SECRET))
        changes = RecordedChanges(self.database, self.trail)
        store = LoginFailureStore(self.database, SECRET)
        self.addresses = AddressGuard(store, changes, self.clock)
        self.lockout = Lockout(store, self.addresses, changes, self.clock)
        self.second_factors = SecondFactorLockout(store, changes, self.clock)
        self.users, self.accounts = UserStore(self.database), AccountStore(self.database)
        self.known = KnownCallers(
            UserDirectory(self.users), self.accounts, self.devices, self.addresses
        )
        self._suspicions_before = _suspicions()

    async def attempt(self, name: Name, actor: Actor = HERE) -> timedelta | None:
        """None if the password may be hashed, or the wait."""
        try:
            await as_actor(actor, lambda: self.lockout.attempt(name))
        except AccountLocked as error:
            return error.retry_after or timedelta(0)
        return None

    async def fail(self, name: Name, actor: Actor = HERE) -> timedelta | None:
        """A whole login with a wrong password."""
        wait = await self.attempt(name, actor)
        if wait is None:
            user_id = "ann" if name == ANNS_NAME or name.user == ANN else None
            await as_actor(actor, lambda: self.lockout.failed(name, user_id))
        return wait

    async def fail_from(self, name: Name, actor: Actor) -> str:
        """How a whole login with a wrong password ends."""
        try:
            return "failed" if await self.fail(name, actor) is None else "locked"
        except RateLimited:
            return "refused"

    async def fail_all(self, name: Name, times: int, actor: Actor = HERE) -> None:
        """So many failures that are let through."""
        for _ in range(times):
            assert await self.fail(name, actor) is None

    async def is_open(self, name: Name, actor: Actor = HERE) -> bool:
        return await self.attempt(name, actor) is None

    async def user(self, user_id: str, hashed: str = "hash") -> User:
        """A user who signs in with a password, and at the provider `one`."""

        async def make(session: ClientSession) -> User:
            new = NewUser(user_id, f"{user_id}@example.com")
            user = await self.users.create(new, session)
            await self.accounts.set_password(user.id, user_id, hashed, session)
            external = External(key=f"issuer|{user_id}", provider="one", linked_at=self.clock.at)
            await self.accounts.add_external(user.id, user_id, external, session)
            return user

        return await self.database.transact(make)

    def device(self, user: str = ANN) -> Name:
        """One on which the user has signed in."""
        device = self.devices.read(self.devices.make(user, 0))
        assert device is not None
        return device.name

    async def documents(self) -> list[Document]:
        return await self.database.collection(LOGIN_FAILURES).find({}).to_list(None)

    async def events(self) -> list[Document]:
        """What was recorded, oldest first, as far as it says something about logins."""
        said = ("action", "userId", "fields", "count")
        found = reversed(await self.trail.find({}, 5000))
        return [{name: each[name] for name in said if name in each} for each in found]

    @property
    def suspicions(self) -> float:
        """How many Prometheus has heard of."""
        return _suspicions() - self._suspicions_before


def _suspicions() -> float:
    name = "finlink_suspicious_events_total"
    return REGISTRY.get_sample_value(name, {"action": SUSPICION}) or 0


async def as_actor(actor: Actor, work: Callable[[], Awaitable[T]]) -> T:
    """Done by an actor, as a call is."""

    async def call() -> T:
        enter_actor(actor)
        return await work()

    return await asyncio.create_task(call())
