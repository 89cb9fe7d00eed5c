"""Showing whose an email address is, with the token of a mail."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
import structlog

from server.core.clock import Clock
from server.core.errors import FieldError, SessionEnded
from server.core.events import Event
from server.core.model import Changes
from server.core.same_time import takes_same_time
from server.core.users import NewUser, User, UserExists
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.factors.removal import FactorRemoval
from server.domains.identity.errors import CodeInvalid
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.model import (
    VERIFY_LIFE,
    Kind,
    MailToken,
    VerifiedEmail,
)
from server.domains.identity.recovery.store import MailCountStore, TokenStore
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession
from server.storage.repository import new_id

_Confirmed: TypeAlias = tuple[User, Sequence[Event]]

# In the data of a registration whose mail was one too many for its address.
_UNSENT = "unsent"
# The kinds of tokens that show whose an address is, and the fields of the user that they change.
_FIELDS: Mapping[Kind, Sequence[str]] = {
    "verify_email": ["emailVerified"],
    "register": ["emailVerified"],
    "change_email": ["email", "emailVerified"],
}
_log = structlog.stdlib.get_logger("finlink.identity")


class EmailVerification:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        tokens: TokenStore,
        counts: MailCountStore,
        sessions: SessionService,
        removal: FactorRemoval,
        outbox: Outbox,
        mails: Mails,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._tokens = tokens
        self._counts = counts
        self._sessions = sessions
        self._removal = removal
        self._outbox = outbox
        self._mails = mails
        self._clock = clock

    async def begin(self, user: User, hashed: str, session: ClientSession) -> None:
        """Have the mail sent to a user who has just registered with a password, inside the transaction."""
        assert user.email is not None  # noqa: S101 - who registers has an address
        await self._begin(user.email, user.id, {"password": hashed}, session)

    async def begin_registration(
        self, new: NewUser, hashed: str, session: ClientSession, *, decoy: bool
    ) -> None:
        """The same before the user exists: the token stands for the registration.

        As a `decoy` no mail is sent; SendVerification finds the registration once it may send one.
        """
        assert new.email is not None  # noqa: S101 - as above
        data = {"user": msgspec.json.encode(new).decode(), "password": hashed}
        if decoy:
            data[_UNSENT] = ""
        await self._send(new.email, None, "register", data, session, decoy=decoy)

    async def begin_external(self, user: User, key: str, session: ClientSession) -> None:
        """The same for a user made by a login at a provider, which has not verified the address.

        The link with the provider stays if the mail's reader is signed in to the account, and only then.
        """
        assert user.email is not None  # noqa: S101 - as above
        await self._begin(user.email, user.id, {"external": key}, session)

    async def may_send(self, address: str) -> bool:
        """Count one of these mails, if the address may get one more within the hour; whether it may."""
        return await self._counts.take("verify_email", address, self._clock.now())

    async def notify_owner(self, user: User, session: ClientSession, *, decoy: bool) -> None:
        """In place of that mail, to the owner of an address with which somebody registers again.

        As a `decoy` the same work, and nothing is sent.
        """
        assert user.email is not None  # noqa: S101 - it was found by it
        until = self._clock.now() + VERIFY_LIFE
        subject = self._tokens.subject(user.email)
        await self._tokens.add(MailToken("register", subject, self._clock.now()), session)
        add = self._outbox.add_decoy if decoy else self._outbox.add
        await add(self._mails.known_address(user.email, until, user.id), session)

    @takes_same_time
    async def send(self, address: str) -> None:
        """Send the mail again; the same work for an address that waits for none.

        Raises DeliveryUnavailable, whoever asks.
        """
        self._outbox.require("mail")
        user = await self._users.find("email", address)
        waiting = await self._tokens.newest("register", self._tokens.subject(address))
        pending = _pending(waiting)
        if not await self.may_send(address):
            return
        waits = user is not None and not user.email_verified

        async def work(session: ClientSession) -> bool:
            if waits and user is not None:
                await self._send(address, user.id, "verify_email", {}, session)
            elif user is None and pending is not None:
                await self._send(address, None, "register", pending, session)
            else:
                await self._send(address, new_id(), "verify_email", {}, session, decoy=True)
            return True

        await self._changes.make(work, lambda _: [], None)
        self._outbox.wake()

    async def send_to(self, user: str) -> None:
        """The same for a user who has signed in. Raises SessionEnded if the user is gone."""
        found = await self._users.find("id", user)
        if found is None:
            raise SessionEnded
        if found.email is not None:
            await self.send(found.email)

    async def owner(self, token: str) -> str | None:
        """The `User.id` of whom a token is; None if it is a registration's, or nobody's."""
        found = await self._tokens.find(token, *_FIELDS)
        return found.user if found else None

    async def verify(self, token: str, reader: str | None) -> VerifiedEmail:
        """Take a token: the address is its user's, who is made if it was a registration, or had another.

        `reader` is the `User.id` of who is signed in where the mail is read. Raises CodeInvalid; UserExists
        if somebody else has taken address or `userId` meanwhile.
        """

        async def work(session: ClientSession) -> _Confirmed:
            taken = await self._tokens.take(token, list(_FIELDS), session)
            if taken is None or not (taken.user or taken.data):
                raise CodeInvalid
            return await self._confirmed(taken, reader, session)

        user, _ = await self._changes.make(work, lambda made: made[1], None)
        self._sessions.announce(user.id)
        self._outbox.wake()
        _log.info("email verified", user_id=user.user_id)
        return VerifiedEmail(user.user_id, user.email or "")

    async def _confirmed(
        self, token: MailToken, reader: str | None, session: ClientSession
    ) -> _Confirmed:
        """The user whose address it is, and the events of that."""
        had_factor = False
        if token.kind == "register":
            user = await self._register(token, session)
        elif token.kind == "change_email":
            user = await self._change(token, session)
        else:
            user, had_factor = await self._confirm(token, reader, session)
        action = "email_changed" if token.kind == "change_email" else "email_verified"
        event = Event(f"user.{action}", user.user_id, fields=_FIELDS[token.kind])
        removed = [Event("user.totp_removed", user.user_id)] if had_factor else []
        return user, [event, *removed]

    async def _register(self, token: MailToken, session: ClientSession) -> User:
        new = msgspec.json.decode(token.data["user"], type=NewUser)
        user = await self._users.create(new, session)
        hashed = token.data.get("password")
        if hashed is not None and not await self._was_withheld(token, session):
            await self._accounts.set_password(user.id, user.user_id, hashed, session)
        return await self._users.update(user.user_id, {"emailVerified": True}, session)

    async def _was_withheld(self, token: MailToken, session: ClientSession) -> bool:
        """Whether the address got no mail of another registration, because of too many.

        Who opens a mail may then open a stranger's for want of the own one: its password opens nothing.
        """
        waiting = await self._tokens.newest("register", token.subject, session)
        unsent = [each.data.get("password") for each in waiting if _UNSENT in each.data]
        return any(each != token.data.get("password") for each in unsent)

    async def _confirm(
        self, token: MailToken, reader: str | None, session: ClientSession
    ) -> tuple[User, bool]:
        """The user, and whether a second factor was removed.

        The account may have been somebody else's before: what there was ends, but for the password of
        the registration that sent the mail. The provider of the login that sent it may have been a
        stranger's, who has typed the address there; so that stays for who is signed in to the account.
        """
        user = await self._users.lock_id(token.user or "", session)
        if user is None or self._tokens.subject(user.email or "") != token.subject:
            raise CodeInvalid  # the address is another one now
        had_factor = False
        changes: Changes = {"emailVerified": True}
        if not user.email_verified:
            account = await self._accounts.find({"_id": user.id}, session)
            stored = account.password.hash if account and account.password else None
            if stored is not None and stored != token.data.get("password"):
                await self._accounts.remove_password(user.id, session)
            await self._accounts.remove_phone(user.id, session)
            kept = token.data.get("external") if reader == user.id else None
            await self._accounts.remove_externals(user.id, session, kept=kept)
            # Also ends what is under way: see `ExternalLinks.link`.
            await self._accounts.forget_devices(user.id, session)
            await self._sessions.end_all(user.id, "credentials", session)
            await self._tokens.end_all(user.id, session)
            had_factor = await self._removal.remove(user, session)
            changes["phoneVerified"] = False
        return await self._users.update(user.user_id, changes, session), had_factor

    async def _change(self, token: MailToken, session: ClientSession) -> User:
        """End the tokens sent to the address until now, and logins that are not complete, with it."""
        user = await self._users.lock_id(token.user or "", session)
        if user is None:
            raise CodeInvalid
        email = token.data["email"]
        if await self._users.find("email", email) is not None:
            message = "Email already exists"
            raise UserExists(message, fields=[FieldError("email", message)])
        await self._tokens.end_all(user.id, session)
        changes: Changes = {"email": email, "emailVerified": True}
        return await self._users.update(user.user_id, changes, session)

    async def _begin(
        self, address: str, user: str, data: dict[str, str], session: ClientSession
    ) -> None:
        """Send the mail to who has just become a user, which is once, whatever strangers had sent before."""
        await self._counts.take("verify_email", address, self._clock.now(), session)
        await self._send(address, user, "verify_email", data, session)

    async def _send(
        self,
        address: str,
        user: str | None,
        kind: Kind,
        data: dict[str, str],
        session: ClientSession,
        *,
        decoy: bool = False,
    ) -> None:
        until = self._clock.now() + VERIFY_LIFE
        made = MailToken(kind, self._tokens.subject(address), until, user, data)
        token = await self._tokens.add(made, session)
        add = self._outbox.add_decoy if decoy else self._outbox.add
        await add(self._mails.verify_email(address, token, until, user), session)


def _pending(tokens: Sequence[MailToken]) -> dict[str, str] | None:
    """The newest registration of an address that waits for a mail.

    If there are several, who asks for the mail again need not be who made the newest: its password opens
    nothing then, and the owner of the address sets another one, as if it had been forgotten.
    """
    waiting = [token.data for token in tokens if token.data]
    if not waiting:
        return None
    is_only_one = len({data.get("password") for data in waiting}) == 1
    kept = ("user", "password") if is_only_one else ("user",)
    return {name: waiting[0][name] for name in kept if name in waiting[0]}
