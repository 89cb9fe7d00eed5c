"""Implements `sessions.dependencies.ReuseNotices`."""

from dataclasses import dataclass
from datetime import timedelta

from server.core.clock import Clock
from server.delivery.outbox import Outbox
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.sessions.model import LoginSession
from server.kernel import Users
from server.storage.driver import ClientSession

_GOOD_FOR = timedelta(days=1)


@dataclass(frozen=True)
class ReuseMails:
    _users: Users
    _outbox: Outbox
    _mails: Mails
    _clock: Clock

    async def session_reused(self, session: LoginSession, transaction: ClientSession) -> None:
        """A mail, if there is a way to send one and the user has an address."""
        user = await self._users.find("id", session.user)
        if user is None or user.email is None or not self._outbox.can_send("mail"):
            return
        until = self._clock.now() + _GOOD_FOR
        await self._outbox.add(self._mails.session_reused(user.email, until, user.id), transaction)
