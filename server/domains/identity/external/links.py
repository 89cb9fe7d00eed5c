"""Accounts at outside providers as ways to sign in: found, made, added and removed."""

from functools import partial
from typing import TypeAlias

import structlog

from server.core.clock import utc_now
from server.core.errors import FieldError, PermissionDenied, SessionEnded
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.model import Changes
from server.core.principals import SignedIn
from server.core.users import NewUser, Profile, User, UserExists
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.accounts.model import Account, External, Password
from server.domains.identity.credentials.accounts.store import (
    AccountStore,
    ExternalTaken,
    NoAccount,
)
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.errors import LastCredential, ProviderNotFound
from server.domains.identity.external.model import Claims, ExternalFailure
from server.domains.identity.providers import Provider
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.verification import EmailVerification
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.signin.registration import named
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


def key_of(provider: Provider, sub: str) -> str:
    """The key that finds a user: a `sub` is unique at its issuer alone. An issuer has no `|`."""
    return f"{provider.issuer}|{sub}"


# Differs once the user has another password, or the devices that have signed in are strangers.
WayIn: TypeAlias = tuple[Password | None, int]


class ExternalLinks:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        sessions: SessionService,
        verification: EmailVerification,
        outbox: Outbox,
        notices: Notices,
        mails: Mails,
        *,
        is_open: bool,
        providers: frozenset[str],
    ) -> None:
        """`is_open`: somebody unknown becomes a user. `providers`: the names of those there are."""
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._sessions = sessions
        self._verification = verification
        self._outbox = outbox
        self._notices = notices
        self._mails = mails
        self._is_open = is_open
        self._providers = providers

    async def account_of(self, key: str) -> Account | None:
        """The account that is linked."""
        return await self._accounts.by_external(key)

    async def create(self, provider: Provider, key: str, claims: Claims) -> Account:
        """The account of a user who is made.

        Raises UserExists if somebody has the address, PermissionDenied if nobody may register.
        """
        try:
            await self._create(provider, key, claims)
        except (UserExists, ExternalTaken):
            # Made by another call of the same user, perhaps.
            account = await self.account_of(key)
            if account is None:
                raise
            return account
        account = await self.account_of(key)
        if account is None:
            raise SessionEnded  # the user was deleted at once
        return account

    async def way_in(self, user_id: str) -> WayIn:
        """The user's way in at this moment, by `User.id`."""
        return _way_in(await self._accounts.of(user_id))

    async def link(
        self, caller: SignedIn, provider: Provider, sub: str, before: WayIn | None
    ) -> User:
        """Let the caller sign in at a provider too.

        `before` is the way in when the login was spent: a password that was reset while the provider was
        asked, or an address that was shown to be somebody's, ends the link. Raises ExternalFailure for
        that; SessionEnded if the session has ended meanwhile; UserExists if that account is another user's,
        or the user has another one there.
        """
        external = _external(provider, key_of(provider, sub))

        async def work(session: ClientSession) -> tuple[User, bool]:
            user = await self._users.lock_id(caller.user, session)
            if user is None:
                raise SessionEnded
            account = await self._accounts.find({"_id": user.id}, session)
            if _way_in(account) != before:
                raise ExternalFailure("the user's password was set meanwhile, or the address shown")
            await self._sessions.require(caller.session_id, session)
            for each in account.externals if account else ():
                if each.key == external.key:
                    return user, False
                if each.provider == provider.name:
                    raise _exists("Another account of this provider is linked; unlink it first")
            try:
                await self._accounts.add_external(user.id, user.user_id, external, session)
            except ExternalTaken:
                raise _exists("This account of the provider is linked to another user") from None
            notice = partial(self._mails.external_linked, provider.display_name)
            await self._notices.add(notice, user, session)
            return user, True

        def events(made: tuple[User, bool]) -> list[Event]:
            return [_linked(made[0].user_id, provider)] if made[1] else []

        user, _ = await self._changes.make(work, events, None)
        self._outbox.wake()
        return user

    async def unlink(self, user_id: str, name: str, reply: KeyedReply | None) -> None:
        """Let a user sign in at a provider no more. Raises ProviderNotFound if it is not linked;
        LastCredential if nothing else signs the user in.
        """

        async def work(session: ClientSession) -> User:
            user = await self._users.lock_id(user_id, session)
            if user is None:
                raise SessionEnded
            try:
                account = await self._accounts.lock(user_id, session)
            except NoAccount:
                raise ProviderNotFound from None
            if name not in account.providers:
                raise ProviderNotFound
            others = (set(account.providers) - {name}) & self._providers
            if account.password is None and account.phone is None and not others:
                raise LastCredential
            await self._accounts.remove_externals(user_id, session, provider=name)
            return user

        def event(user: User) -> Event:
            return Event("user.external_unlinked", user.user_id, fields=[f"externals.{name}"])

        await self._changes.make(work, event, reply)

    async def _create(self, provider: Provider, key: str, claims: Claims) -> None:
        if claims.email is not None and await self._users.find("email", claims.email) is not None:
            message = "Email already exists"
            raise UserExists(
                "An account has this address: sign in to it, then link the provider",
                fields=[FieldError("email", message)],
            )
        if not self._is_open:
            raise PermissionDenied("Registration is closed")
        profile = Profile(first_name=claims.first_name, last_name=claims.last_name)
        new = named(NewUser(user_id="", email=claims.email, profile=profile))

        async def work(session: ClientSession) -> User:
            user = await self._users.create(new, session)
            await self._accounts.add_external(
                user.id, user.user_id, _external(provider, key), session
            )
            if claims.email is not None and claims.email_verified:
                verified: Changes = {"emailVerified": True}
                return await self._users.update(user.user_id, verified, session)
            if claims.email is not None and self._outbox.can_send("mail"):
                await self._verification.begin_external(user, key, session)
            return user

        def events(user: User) -> list[Event]:
            made = Event("user.registered", user.user_id, fields=new.given)
            return [made, _linked(user.user_id, provider)]

        user = await self._changes.make(work, events, None)
        self._outbox.wake()
        _log.info("user registered", user_id=user.user_id, provider=provider.name)


def _way_in(account: Account | None) -> WayIn:
    return (account.password, account.device_epoch) if account else (None, 0)


def _external(provider: Provider, key: str) -> External:
    return External(key=key, provider=provider.name, linked_at=utc_now())


def _linked(user_id: str, provider: Provider) -> Event:
    return Event("user.external_linked", user_id, fields=[f"externals.{provider.name}"])


def _exists(message: str) -> UserExists:
    return UserExists(message, fields=[FieldError("provider", message)])
