"""Changing one's email address, with the token of a mail to the new one."""

from server.core.clock import Clock
from server.core.errors import InvalidRequest, SessionEnded
from server.core.principals import SignedIn
from server.delivery.outbox import Outbox
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.model import VERIFY_LIFE, MailToken
from server.domains.identity.recovery.store import MailCountStore, TokenStore
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession


class EmailChange:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        sessions: SessionService,
        tokens: TokenStore,
        counts: MailCountStore,
        outbox: Outbox,
        mails: Mails,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._users = users
        self._sessions = sessions
        self._tokens = tokens
        self._counts = counts
        self._outbox = outbox
        self._mails = mails
        self._clock = clock

    async def ask(self, caller: SignedIn, address: str) -> None:
        """Send a token to the address that the caller is to have, and a notice to the one until then; the
        same work if somebody has the address, whom VerifyEmail finds.

        Raises DeliveryUnavailable, SessionEnded if the user is gone or the session has ended meanwhile,
        InvalidRequest for the same address.
        """
        self._outbox.require("mail")
        user = await self._users.find("id", caller.user)
        if user is None:
            raise SessionEnded
        if address == user.email:
            raise InvalidRequest.of("email", "must be another address")
        subject, now = self._tokens.subject(address), self._clock.now()
        if not await self._counts.take("change_email", address, now):
            return
        until, old = now + VERIFY_LIFE, user.email

        async def work(session: ClientSession) -> bool:
            await self._users.lock_id(user.id, session)
            await self._sessions.require(caller.session_id, session)
            new = MailToken("change_email", subject, until, user.id, {"email": address})
            token = await self._tokens.add(new, session)
            mail = self._mails.change_email(address, token, until, user.id)
            await self._outbox.add(mail, session)
            if old is not None:
                await self._outbox.add(self._mails.email_changing(old, until, user.id), session)
            return True

        await self._changes.make(work, lambda _: [], None)
        self._outbox.wake()
