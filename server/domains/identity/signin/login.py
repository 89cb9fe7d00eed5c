"""Signing in with a password."""

import structlog

from server.core.events import Event
from server.core.model import Changes
from server.core.users import User
from server.domains.identity.accounts.model import Account
from server.domains.identity.accounts.store import AccountStore
from server.domains.identity.errors import EmailNotVerified, LoginFailed, UserNotActive
from server.domains.identity.lockout.devices import DeviceTokens
from server.domains.identity.lockout.model import Name
from server.domains.identity.lockout.service import Lockout
from server.domains.identity.passwords.hashing import PasswordHashing
from server.domains.identity.sessions.model import Begun, NewSession
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.signin import metrics
from server.domains.identity.signin.model import Login, Opened
from server.domains.identity.signin.opening import Opening
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


class PasswordLogin:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        hashing: PasswordHashing,
        lockout: Lockout,
        devices: DeviceTokens,
        sessions: SessionService,
        opening: Opening,
        *,
        needs_verified_email: bool,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._hashing = hashing
        self._lockout = lockout
        self._devices = devices
        self._sessions = sessions
        self._opening = opening
        self._needs_verified_email = needs_verified_email

    async def login(self, login: Login) -> Opened:
        """Begin a session.

        Raises LoginFailed for whatever is wrong, after the same work; AccountLocked; EmailNotVerified and
        UserNotActive after the right password only; Unavailable if too many sign in at this moment.
        """
        device = self._devices.read(login.device_token) if login.device_token else None
        async with self._hashing.place(known_device=device is not None) as place:
            user = await self._find(login)
            account = await self._accounts.of(user.id if user else None)
            name = Name(login.name_kind, login.name)
            if account is not None and device is not None and device.is_of(account):
                name = device.name
            await self._lockout.attempt(name)
            stored = account.password.hash if account and account.password else None
            is_right = await place.verify(login.password, stored)
            renewed = None
            if is_right and stored and self._hashing.scheme.needs_renewal(stored):
                renewed = await place.hash(login.password)
        if user is None or account is None or not is_right:
            metrics.LOGINS.labels("password", "failed").inc()
            await self._lockout.failed(name, user.user_id if user else None)
            raise LoginFailed
        self._check_may_sign_in(user)
        begun, user = await self._begin(login, user, account, name, renewed)
        metrics.LOGINS.labels("password", "succeeded").inc()
        _log.info("user signed in", user_id=user.user_id, session_id=begun.session.id)
        return await self._opening.opened(begun, user, account)

    async def _find(self, login: Login) -> User | None:
        if login.name_kind == "phone":
            return None  # a number finds its user once it has been verified
        field = "email" if login.name_kind == "email" else "userId"
        return await self._users.find(field, login.name)

    def _check_may_sign_in(self, user: User) -> None:
        if not user.is_active:
            metrics.LOGINS.labels("password", "not_active").inc()
            raise UserNotActive
        if self._needs_verified_email and user.email and not user.email_verified:
            metrics.LOGINS.labels("password", "not_verified").inc()
            raise EmailNotVerified

    async def _begin(
        self, login: Login, user: User, account: Account, name: Name, renewed: str | None
    ) -> tuple[Begun, User]:
        new = NewSession(user.id, login.session, ("pwd",), login.caller, login.device_name)

        async def work(session: ClientSession) -> tuple[Begun, User]:
            begun = await self._sessions.begin(new, session)
            # The password may have been changed since it was checked.
            now = await self._accounts.lock(user.id, session)
            if now.password != account.password:
                raise LoginFailed
            if renewed is not None:
                await self._accounts.renew_hash(user.id, renewed, session)
            await self._lockout.succeeded(name, session)
            changed: Changes = {"lastLoginAt": begun.session.created_at}
            return begun, await self._users.update(user.user_id, changed, session)

        event = Event("user.logged_in", user.user_id)
        return await self._changes.make(work, lambda _: event, None)
