"""Mails with tokens on a real MongoDB, by a clock that is turned."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from server.core.principals import Role, SignedIn
from server.core.users import NewUser, User
from server.delivery.message import Channel, Message, Outgoing
from server.delivery.outbox import Outbox
from server.delivery.sealing import Sealer
from server.delivery.store import DELIVERIES, DeliveryStore
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.credentials.passwords.hashing import PasswordHashing
from server.domains.identity.credentials.passwords.policy import PasswordPolicy
from server.domains.identity.credentials.passwords.scheme import PasswordScheme
from server.domains.identity.recovery.address import EmailChange
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.reset import PasswordReset
from server.domains.identity.recovery.store import MailCountStore, TokenStore
from server.domains.identity.recovery.verification import EmailVerification
from server.domains.identity.sessions.model import LoginSession
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.sessions.store import SessionStore
from server.domains.identity.settings import IdentitySettings
from server.domains.identity.signin.registration import Registration
from server.domains.users.service import UserDirectory
from server.domains.users.store import UserStore
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession, Database, Document
from server.storage.repository import new_id
from tests.domains.identity.lockout.world import TurnedClock
from tests.domains.identity.sessions.world import Written

SECRET = bytes(range(32))
ANN, NOBODY = "ann@example.com", "nobody@example.com"
PASSWORD = "correct horse battery"
_TOKEN = re.compile(r"#token=([A-Za-z0-9_-]+)")
_UNUSED = cast("Any", None)


@dataclass
class World:
    database: Database
    clock: TurnedClock = field(default_factory=TurnedClock)
    channels: tuple[Channel, ...] = ("mail",)

    def __post_init__(self) -> None:
        self.trail = AuditTrail(self.database, Codes(SECRET))
        changes = RecordedChanges(self.database, self.trail)
        self.users = UserDirectory(UserStore(self.database))
        self.accounts = AccountStore(self.database)
        tokens = TokenStore(self.database, SECRET)
        counts = MailCountStore(self.database, SECRET)
        self._sealer = Sealer(SECRET)
        deliveries = DeliveryStore(self.database)
        outbox = Outbox(deliveries, self._sealer, self.channels, self.clock.now, lambda: None)
        mails = Mails("https://finlink.example")
        self.notices = Notices(outbox, self.clock)
        scheme = PasswordScheme({"1": SECRET}, "1", 10)
        self.hashing = PasswordHashing(scheme, PasswordPolicy(8), longest_wait=60)
        self.reset = PasswordReset(
            changes, self.users, self.accounts, tokens, counts, self.hashing, _UNUSED, _UNUSED, _UNUSED,
            outbox, self.notices, mails, self.clock,
        )  # fmt: skip
        self.verification = EmailVerification(
            changes, self.users, self.accounts, tokens, counts,
            cast("Any", Written(self.database)), _UNUSED, outbox, mails, self.clock,
        )  # fmt: skip
        store, written = SessionStore(self.database), Written(self.database)
        self._sessions = store
        sessions = SessionService(
            changes, store, RefreshTokens(SECRET), _UNUSED, written, IdentitySettings(), self.clock
        )
        self.email_change = EmailChange(
            changes, self.users, sessions, tokens, counts, outbox, mails, self.clock
        )
        required, optional = (
            Registration(
                changes, self.users, self.accounts, self.hashing, self.verification, outbox,
                IdentitySettings(email_verification=when),
            )
            for when in ("required", "optional")
        )  # fmt: skip
        self._registrations = {"required": required, "optional": optional}

    async def register(self, name: str, address: str, verification: str = "required") -> None:
        await self._registrations[verification].register(NewUser(name, address), PASSWORD)

    async def notify(self, user: User, former: str | None = None) -> None:
        """A notice to a user, or to the address that the user had."""

        async def work(session: ClientSession) -> None:
            if former is None:
                await self.notices.add(_notice, user, session)
            else:
                await self.notices.add_to(former, _notice, user, session)

        await self.database.transact(work)

    async def user(self, name: str = "ann", address: str | None = ANN) -> User:
        """One whose address is not verified, and who was sent nothing."""
        return await self.database.transact(
            lambda session: self.users.create(NewUser(name, address), session)
        )

    async def sign_in(self, user: User) -> SignedIn:
        now = self.clock.now()
        until = now + timedelta(minutes=15)
        session = LoginSession(
            id=new_id(), user=user.id, user_id=user.user_id, role=Role.USER, kind="token",
            amr=("pwd",), created_at=now, auth_time=now, last_seen_at=now, expires_at=until,
            max_at=until, counter=1,
        )  # fmt: skip
        await self._sessions.insert([session])
        return SignedIn(user.id, user.user_id, session.id, Role.USER, "token", ("pwd",), now, until)

    async def deliveries(self) -> list[Document]:
        found = self.database.collection(DELIVERIES).find({})
        return await found.sort([("createdAt", 1), ("_id", 1)]).to_list(None)

    async def sent(self) -> list[Outgoing]:
        """The mails that are no decoys."""
        return [
            self._sealer.open(each["sealed"], each["_id"], each["createdAt"])
            for each in await self.deliveries()
            if not each["decoy"]
        ]

    async def has_password(self, user_id: str) -> bool:
        user = await self.users.get(user_id)
        account = await self.accounts.of(user.id)
        return account is not None and account.password is not None


def _notice(to: str, until: datetime, user: str) -> Message:
    return Message("mail", "notice", to, "Something was done.\n", until, "A notice", user)


def token_of(mail: Outgoing) -> str:
    found = _TOKEN.search(mail.text)
    assert found is not None
    return found[1]
