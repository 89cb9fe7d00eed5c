"""Codes by SMS on a real MongoDB, by a clock that is turned, for callers at addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from server.core.clock import Clock, utc_now
from server.core.errors import RateLimited
from server.core.events import Actor
from server.core.users import NewUser
from server.delivery.outbox import Outbox
from server.delivery.sealing import Sealer
from server.delivery.store import DELIVERIES, DeliveryStore
from server.domains.identity.credentials.accounts.model import Phone
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges.store import CHALLENGES, ChallengeStore
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.credentials.phones.codes import PhoneCodes
from server.domains.identity.credentials.phones.limits import SmsLimits
from server.domains.identity.credentials.phones.model import SentCode
from server.domains.identity.credentials.phones.owners import PhoneOwners
from server.domains.identity.credentials.phones.store import SmsCountStore
from server.domains.identity.signin.phone_login import PhoneLogin
from server.domains.identity.signin.phone_registration import PhoneRegistration
from server.domains.users.service import UserDirectory
from server.domains.users.store import UserStore
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession, Database, Document
from tests.domains.identity.lockout.world import HERE, as_actor

SECRET = bytes(range(32))
NUMBER, ANOTHER = "+919876543210", "+919876543211"


class TurnedClock(Clock):
    """Stands still unless it is turned."""

    def __init__(self) -> None:
        super().__init__()
        self.at = utc_now()

    def now(self) -> Any:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class World:
    database: Database
    per_hour: int = 300
    clock: TurnedClock = field(default_factory=TurnedClock)

    def __post_init__(self) -> None:
        trail = AuditTrail(self.database, Codes(SECRET))
        self._changes = RecordedChanges(self.database, trail)
        self._users = UserDirectory(UserStore(self.database))
        self._accounts = AccountStore(self.database)
        self._challenges = ChallengeStore(self.database, SECRET)
        deliveries = DeliveryStore(self.database)
        self._outbox = Outbox(
            deliveries, Sealer(SECRET), ["mail", "sms"], self.clock.now, lambda: None
        )
        self.limits = self.limits_of(self.per_hour)

    def limits_of(self, per_hour: int) -> SmsLimits:
        return SmsLimits(SmsCountStore(self.database, SECRET), self.clock, per_hour)

    def login(self, *, may_register: bool = True) -> PhoneLogin:
        """As far as no session begins."""
        notices = Notices(self._outbox, self.clock)
        owners = PhoneOwners(self._users, self._accounts, notices, self.clock)
        countries = frozenset({"IN"})
        codes = PhoneCodes(
            self._changes, self._challenges, self.limits, self._outbox, countries, self.clock
        )
        completion = cast("Any", None)
        registration = PhoneRegistration(
            self._users, owners, self._challenges, completion, is_open=may_register
        )
        return PhoneLogin(
            self._changes, self._accounts, owners, codes, self._challenges, registration, completion,
            self.clock,
        )  # fmt: skip

    async def user(self, number: str) -> str:
        """The `userId` of a new user who has proved a number."""

        async def work(session: ClientSession) -> str:
            user = await self._users.create(NewUser("ann", "ann@example.com"), session)
            phone = Phone(number, self.clock.now())
            await self._accounts.set_phone(user.id, user.user_id, phone, session)
            return user.user_id

        return await self.database.transact(work)

    async def take(self, number: str, actor: Actor = HERE) -> timedelta | None:
        """None if an SMS may be sent, or the wait."""
        try:
            await as_actor(actor, lambda: self.limits.take(number))
        except RateLimited as error:
            return error.retry_after
        return None

    async def send(self, login: PhoneLogin, text: str) -> SentCode:
        return await as_actor(HERE, lambda: login.send(text))

    async def documents(self, collection: str) -> list[Document]:
        return await self.database.collection(collection).find({}).to_list(None)

    async def deliveries(self) -> list[Document]:
        return await self.documents(DELIVERIES)

    async def challenges(self) -> list[Document]:
        return await self.documents(CHALLENGES)
