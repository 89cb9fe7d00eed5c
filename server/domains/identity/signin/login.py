"""Signing in with a password."""

from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.lockout.known import KnownCallers
from server.domains.identity.credentials.lockout.model import Name
from server.domains.identity.credentials.lockout.service import Lockout
from server.domains.identity.credentials.passwords.hashing import PasswordHashing
from server.domains.identity.credentials.phones.owners import PhoneOwners
from server.domains.identity.errors import EmailNotVerified, LoginFailed, UserNotActive
from server.domains.identity.signin import metrics
from server.domains.identity.signin.completion import Completion
from server.domains.identity.signin.model import Challenged, Login, Opened, Proof
from server.kernel import Users
from server.storage.driver import ClientSession


class PasswordLogin:
    def __init__(
        self,
        users: Users,
        accounts: AccountStore,
        phones: PhoneOwners,
        hashing: PasswordHashing,
        lockout: Lockout,
        known: KnownCallers,
        completion: Completion,
        *,
        needs_verified_email: bool,
    ) -> None:
        self._users = users
        self._accounts = accounts
        self._phones = phones
        self._hashing = hashing
        self._lockout = lockout
        self._known = known
        self._completion = completion
        self._needs_verified_email = needs_verified_email

    async def login(self, login: Login) -> Opened | Challenged:
        """Begin a session, or a challenge if a second factor is needed.

        Raises LoginFailed for whatever is wrong, after the same work; AccountLocked; EmailNotVerified and
        UserNotActive after the right password only; Unavailable if too many sign in at this moment.
        """
        name = Name(login.name_kind, login.name)
        device = await self._known.device(login.device_token, name)
        async with self._hashing.place(known_device=device is not None) as place:
            user, account = await self._find(login)
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
        return await self._complete(login, user, account, name, renewed)

    async def _find(self, login: Login) -> tuple[User | None, Account | None]:
        """The user of a name, and the user's account; the same work if there is none."""
        if login.name_kind == "phone":
            owner = await self._phones.find(login.name)
            return (owner.user, owner.account) if owner else (None, None)
        field = "email" if login.name_kind == "email" else "userId"
        user = await self._users.find(field, login.name)
        return user, await self._accounts.of(user.id if user else None)

    async def _complete(
        self, login: Login, user: User, account: Account, name: Name, renewed: str | None
    ) -> Opened | Challenged:
        if user.is_active and self._needs_verified_email and user.email and not user.email_verified:
            metrics.LOGINS.labels("password", "not_verified").inc()
            raise EmailNotVerified
        proof = Proof(("pwd",), login.session, login.caller, login.device_name)

        async def within(now: Account, session: ClientSession) -> None:
            # The password may have been changed since it was checked.
            if now.password != account.password:
                raise LoginFailed
            if renewed is not None:
                await self._accounts.renew_hash(user.id, renewed, session)
            await self._lockout.succeeded(name, session)

        try:
            result = await self._completion.complete(user, account, proof, within)
        except UserNotActive:
            metrics.LOGINS.labels("password", "not_active").inc()
            raise
        outcome = "succeeded" if isinstance(result, Opened) else "challenged"
        metrics.LOGINS.labels("password", outcome).inc()
        return result
