"""Implements `sessions.dependencies.ReuseNotices`."""

from dataclasses import dataclass

from server.domains.identity.credentials.notices import Notices
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.sessions.model import LoginSession
from server.kernel import Users
from server.storage.driver import ClientSession


@dataclass(frozen=True)
class ReuseMails:
    _users: Users
    _notices: Notices
    _mails: Mails

    async def session_reused(self, session: LoginSession, transaction: ClientSession) -> None:
        user = await self._users.find("id", session.user)
        if user is not None:
            await self._notices.add(self._mails.session_reused, user, transaction)
