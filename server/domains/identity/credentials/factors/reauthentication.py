"""The user of a session shows again who it is, for what needs a recent login."""

import structlog

from server.core.errors import SessionEnded
from server.core.principals import SignedIn
from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges.model import Challenge
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.factors.model import Shown, Solution
from server.domains.identity.credentials.factors.solutions import SecondFactors
from server.domains.identity.credentials.lockout.model import Name
from server.domains.identity.credentials.lockout.service import Lockout
from server.domains.identity.credentials.passwords.hashing import PasswordHashing
from server.domains.identity.errors import LoginFailed
from server.domains.identity.sessions.model import LoginSession
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


class Reauthentication:
    """A session that proves too little has a count of failures of its own, which locks nobody else out."""

    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        challenges: ChallengeStore,
        hashing: PasswordHashing,
        lockout: Lockout,
        factors: SecondFactors,
        sessions: SessionService,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._challenges = challenges
        self._hashing = hashing
        self._lockout = lockout
        self._factors = factors
        self._sessions = sessions

    async def prove(self, caller: SignedIn, shown: Shown) -> None:
        """Let the session's login be a recent one; its next access token says so.

        Raises LoginFailed, which counts as a failed login; AccountLocked; SessionEnded.
        """
        user = await self._users.find("id", caller.user)
        if user is None:
            raise SessionEnded
        if shown.kind == "password":
            await self._by_password(caller, user, shown.value)
        elif shown.kind == "totp":
            await self._by_totp(caller, user, shown.value)
        else:
            await self._by_code(caller, user, shown)
        _log.info("user reauthenticated", user_id=user.user_id, session_id=caller.session_id)

    async def _by_password(self, caller: SignedIn, user: User, password: str) -> None:
        name = _name(caller)
        async with self._hashing.place(known_device=True) as place:
            stored = _hash(await self._accounts.of(user.id))
            await self._lockout.attempt(name)
            is_right = await place.verify(password, stored)
        if not is_right:
            raise await self._failed(name, user)

        async def work(session: ClientSession) -> LoginSession:
            if _hash(await self._accounts.lock(user.id, session)) != stored:
                raise LoginFailed  # it was changed meanwhile
            await self._lockout.succeeded(name, session)
            return await self._sessions.prove(caller.session_id, session)

        await self._changes.make(work, lambda _: [], None)

    async def _by_totp(self, caller: SignedIn, user: User, code: str) -> None:
        account = await self._accounts.of(user.id)
        if account is None:
            raise LoginFailed
        right = await self._factors.check(user, account, Solution("totp", code))

        async def work(session: ClientSession) -> LoginSession:
            await self._factors.spend(user, right, session)
            return await self._sessions.prove(caller.session_id, session)

        try:
            await self._changes.make(work, lambda _: [], None)
        except LoginFailed:
            await self._factors.failed(user, "totp")
            raise

    async def _by_code(self, caller: SignedIn, user: User, shown: Shown) -> None:
        name = _name(caller)
        await self._lockout.attempt(name)
        challenge = await self._challenges.attempt(shown.challenge_id, "reauth")
        if challenge is None or not self._is_right(challenge, caller, shown.value):
            raise await self._failed(name, user)

        async def work(session: ClientSession) -> LoginSession:
            if not await self._challenges.spend(challenge, session):
                raise LoginFailed
            await self._lockout.succeeded(name, session)
            return await self._sessions.prove(caller.session_id, session)

        await self._changes.make(work, lambda _: [], None)

    def _is_right(self, challenge: Challenge, caller: SignedIn, code: str) -> bool:
        is_of_session = (challenge.user, challenge.data["session"]) == (
            caller.user,
            caller.session_id,
        )
        return self._challenges.is_right(challenge, code) and is_of_session

    async def _failed(self, name: Name, user: User) -> LoginFailed:
        await self._lockout.failed(name, user.user_id)
        return LoginFailed()


def _name(caller: SignedIn) -> Name:
    return Name("session", caller.session_id, caller.user)


def _hash(account: Account | None) -> str | None:
    return account.password.hash if account and account.password else None
