"""Use cases of one's own second factor."""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from server.core.clock import Clock
from server.core.errors import SessionEnded
from server.core.events import Event
from server.core.principals import SignedIn
from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account, Totp
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.factors import messages, recovery_codes, totp
from server.domains.identity.credentials.factors.model import (
    CODE_DIGITS,
    SETUP_LIFE,
    RecoveryCodes,
    RightSolution,
    Solution,
    TotpSetup,
)
from server.domains.identity.credentials.factors.removal import FactorRemoval
from server.domains.identity.credentials.factors.solutions import SecondFactors
from server.domains.identity.credentials.factors.totp import TotpSecrets
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.errors import CodeInvalid, LoginFailed, TotpActive, TotpNotActive
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


class FactorService:
    """Each method raises SessionEnded if the user is gone, or the session has ended meanwhile."""

    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        secrets: TotpSecrets,
        factors: SecondFactors,
        removal: FactorRemoval,
        sessions: SessionService,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._secrets = secrets
        self._factors = factors
        self._removal = removal
        self._sessions = sessions
        self._notices = notices
        self._clock = clock

    async def start(self, caller: SignedIn) -> TotpSetup:
        """The secret of an app, which is a second factor once it was confirmed. Raises TotpActive."""
        secret = totp.new_secret()

        async def work(session: ClientSession) -> User:
            user, account = await self._locked(caller, session)
            if account.active_totp is not None:
                raise TotpActive
            new = Totp(self._secrets.seal(user.id, secret), self._clock.now())
            await self._accounts.update(user.id, {"totp": new}, session)
            return user

        user = await self._changes.make(work, lambda _: [], None)
        return TotpSetup(secret, totp.uri(secret, user.email or user.user_id))

    async def confirm(self, caller: SignedIn, code: str) -> RecoveryCodes:
        """Let logins need the app from now on, and end the user's other sessions.

        Raises CodeInvalid, also if nothing was started or that was too long ago, and TotpActive.
        """
        codes = recovery_codes.new_codes()

        async def work(session: ClientSession) -> User:
            user, account = await self._locked(caller, session)
            step = self._confirming_step(account, code)
            await self._sessions.end_all(
                user.id, "credentials", session, except_session=caller.session_id
            )
            changes = {
                "totp.confirmedAt": self._clock.now(),
                "totp.lastStep": step,
                "recoveryCodes": recovery_codes.stored(codes),
            }
            await self._accounts.update(user.id, changes, session)
            await self._users.update(user.user_id, {"mfaEnabled": True}, session)
            await self._notices.add(messages.of("totp_added"), user, session)
            return user

        await self._make(work, "user.totp_added")
        return RecoveryCodes(codes)

    async def remove(self, caller: SignedIn, code: str) -> None:
        """Let logins need no second factor, for who shows a code of it, or a recovery code.

        Raises TotpNotActive; LoginFailed and AccountLocked as a login does.
        """
        user = await self._users.find("id", caller.user)
        account = await self._accounts.of(caller.user)
        if user is None:
            raise SessionEnded
        if account is None or account.active_totp is None:
            raise TotpNotActive
        is_of_app = len(code) == CODE_DIGITS and code.isdecimal()
        solution = Solution("totp" if is_of_app else "recovery_code", code)
        right = await self._factors.check(user, account, solution)
        try:
            await self._remove(caller, right)
        except LoginFailed:
            await self._factors.failed(user, solution.method)
            raise

    async def _remove(self, caller: SignedIn, right: RightSolution) -> None:
        async def work(session: ClientSession) -> User:
            user, account = await self._locked(caller, session)
            if account.active_totp is None:
                raise TotpNotActive
            await self._factors.spend(user, right, session)
            await self._removal.remove(user, session)
            return user

        await self._make(work, "user.totp_removed", right)

    async def renew_recovery_codes(self, caller: SignedIn) -> RecoveryCodes:
        """Other recovery codes in place of those there are. Raises TotpNotActive."""
        codes = recovery_codes.new_codes()

        async def work(session: ClientSession) -> User:
            user, account = await self._locked(caller, session)
            if account.active_totp is None:
                raise TotpNotActive
            changes = {"recoveryCodes": recovery_codes.stored(codes)}
            await self._accounts.update(user.id, dict(changes), session)
            await self._notices.add(messages.of("recovery_codes_renewed"), user, session)
            return user

        await self._make(work, "user.recovery_codes_renewed")
        return RecoveryCodes(codes)

    def _confirming_step(self, account: Account, code: str) -> int:
        if account.active_totp is not None:
            raise TotpActive
        app, now = account.totp, self._clock.now()
        if app is None or app.started_at is None or now >= app.started_at + SETUP_LIFE:
            raise CodeInvalid
        secret = self._secrets.open(account.id, app.sealed)
        step = totp.step_of(secret, code, now, after=app.last_step)
        if step is None:
            raise CodeInvalid
        return step

    async def _locked(self, caller: SignedIn, session: ClientSession) -> tuple[User, Account]:
        """The user and the account, which nobody else changes until the transaction ends."""
        user = await self._users.lock_id(caller.user, session)
        if user is None:
            raise SessionEnded
        await self._sessions.require(caller.session_id, session)
        return user, await self._accounts.lock(user.id, session)

    async def _make(
        self,
        work: Callable[[ClientSession], Awaitable[User]],
        action: str,
        right: RightSolution | None = None,
    ) -> None:
        def events(user: User) -> Sequence[Event]:
            shown = right.events(user.user_id) if right else []
            return [*shown, Event(action, user.user_id)]

        user = await self._changes.make(work, events, None)
        self._sessions.announce(user.id)
        self._notices.wake()
        _log.info("second factor changed", user_id=user.user_id, action=action)
