"""Login methods and sessions in the export of a user (kernel.UserExporter)."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from server.core.pages import PageRequest
from server.domains.identity.management.me.service import MeService
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users

PAGE = 100


@dataclass(frozen=True)
class AccountExport:
    _users: Users
    _me: MeService
    _sessions: SessionService

    async def export(self, user_id: str) -> AsyncGenerator[tuple[str, Any], None]:
        """The `login_methods`, then each `session` that has not ended."""
        user = await self._users.identity(user_id)
        yield "login_methods", await self._me.login_methods(user)
        token = None
        while True:
            page = await self._sessions.list(user, PageRequest(page_token=token, limit=PAGE))
            for session in page.items:
                yield "session", session
            if (token := page.next_page_token) is None:
                return
