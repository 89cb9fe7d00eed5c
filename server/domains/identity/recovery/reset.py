"""Setting a password that was forgotten, with the token of a mail."""

from collections.abc import Sequence

import structlog

from server.core.clock import Clock
from server.core.errors import InvalidRequest
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.model import Changes
from server.core.same_time import takes_same_time
from server.core.users import User
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.factors.removal import FactorRemoval
from server.domains.identity.credentials.lockout.names import names_of
from server.domains.identity.credentials.lockout.service import Lockout
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.credentials.passwords.hashing import PasswordHashing
from server.domains.identity.errors import CodeInvalid
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.model import RESET_LIFE, MailToken
from server.domains.identity.recovery.store import MailCountStore, TokenStore
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession
from server.storage.repository import new_id

_log = structlog.stdlib.get_logger("finlink.identity")


class PasswordReset:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        tokens: TokenStore,
        counts: MailCountStore,
        hashing: PasswordHashing,
        sessions: SessionService,
        lockout: Lockout,
        removal: FactorRemoval,
        outbox: Outbox,
        notices: Notices,
        mails: Mails,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._tokens = tokens
        self._counts = counts
        self._hashing = hashing
        self._sessions = sessions
        self._lockout = lockout
        self._removal = removal
        self._outbox = outbox
        self._notices = notices
        self._mails = mails
        self._clock = clock

    @takes_same_time
    async def ask(self, address: str, reply: KeyedReply | None = None) -> None:
        """Have a mail with a token sent to the user of an address; the same work if there is none.

        Raises DeliveryUnavailable, whoever asks.
        """
        self._outbox.require("mail")
        user = await self._users.find("email", address)
        subject = self._tokens.subject(address)
        now = self._clock.now()
        may_send = await self._counts.take("reset_password", address, now)
        until = now + RESET_LIFE
        # Of nobody everything has a user as well, so that it is in the same indexes.
        to, user_id = (user.email or address, user.id) if user else (address, new_id())
        add = self._outbox.add if user else self._outbox.add_decoy

        async def work(session: ClientSession) -> bool:
            if not may_send:
                return False
            made = MailToken("reset_password", subject, until, user_id)
            token = await self._tokens.add(made, session)
            await add(self._mails.reset_password(to, token, until, user_id), session)
            if user is None:
                # In place of the event: names that nobody has are never recorded, since a flood of them
                # would bury the trail, and still cost the same.
                await self._tokens.add(MailToken("reset_password", subject, now, user_id), session)
            return True

        def events(was_sent: bool) -> Sequence[Event]:
            return [Event("user.reset_requested", user.user_id)] if was_sent and user else []

        await self._changes.make(work, events, reply)
        self._outbox.wake()

    async def owner(self, token: str) -> str | None:
        """The `User.id` of whom a token is, if it is anybody's."""
        found = await self._tokens.find(token, "reset_password")
        return found.user if found else None

    async def reset(self, token: str, password: str) -> None:
        """Set the password, and end all that the user had but the second factor: sessions, devices, tokens.

        Raises CodeInvalid; InvalidRequest for a password that is refused, which does not use the token up.
        """
        found = await self._tokens.find(token, "reset_password")
        user = await self._users.find("id", found.user) if found and found.user else None
        if user is None:
            raise CodeInvalid
        async with self._hashing.place(known_device=False) as place:
            problem = await place.check_new_password(
                password, user_id=user.user_id, email=user.email
            )
            if problem is not None:
                raise InvalidRequest.of("password", problem)
            hashed = await place.hash(password)

        async def work(session: ClientSession) -> Sequence[str]:
            return await self._set(user, token, hashed, session)

        def events(actions: Sequence[str]) -> Sequence[Event]:
            return [Event(action, user.user_id) for action in actions]

        await self._changes.make(work, events, None)
        self._sessions.announce(user.id)
        self._outbox.wake()
        _log.info("password reset", user_id=user.user_id)

    async def _set(
        self, user: User, token: str, hashed: str, session: ClientSession
    ) -> Sequence[str]:
        """The names of what was done."""
        taken = await self._tokens.take(token, ["reset_password"], session)
        if taken is None or taken.subject != self._tokens.subject(user.email or ""):
            raise CodeInvalid  # used meanwhile, or the address is another one now
        await self._sessions.end_all(user.id, "credentials", session)
        await self._tokens.end_all(user.id, session)
        if not user.email_verified:  # what there was may be of somebody else
            await self._accounts.remove_externals(user.id, session)
        await self._accounts.set_password(user.id, user.user_id, hashed, session)
        await self._accounts.forget_devices(user.id, session)
        account = await self._accounts.lock(user.id, session)
        changes: Changes = {"emailVerified": True}
        if account.phone is not None and not user.email_verified:
            # The account may have been somebody else's before: see EmailVerification.
            await self._accounts.remove_phone(user.id, session)
            changes["phoneVerified"] = False
        await self._lockout.clear_user(user.id, names_of(user, account), session)
        await self._notices.add(self._mails.password_changed, user, session)
        done = ["user.password_reset"]
        # A second factor stays, unless somebody added it before the address was shown to be anybody's.
        if not user.email_verified and await self._removal.remove(user, session):
            done.append("user.totp_removed")
        # The mail came through, so the address is the user's.
        await self._users.update(user.user_id, changes, session)
        return done
