"""The users of calls, by what they send: implements `principals.SignIns`."""

from collections.abc import Collection
from datetime import datetime

from server.core.clock import Clock
from server.core.events import current_actor
from server.core.principals import Role, SignedIn
from server.domains.identity.sessions.model import Caller, LoginSession
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.sessions.use import SessionUse
from server.domains.identity.signin.cookies import Cookies
from server.domains.identity.tokens.model import CookieBearer
from server.domains.identity.tokens.service import AccessTokens


class UserSignIns:
    def __init__(
        self,
        tokens: AccessTokens,
        sessions: SessionService,
        cookies: Cookies,
        use: SessionUse,
        origins: Collection[str],
        clock: Clock,
    ) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._cookies = cookies
        self._use = use
        self._clock = clock
        self.origins = frozenset(origins)

    @property
    def are_fresh(self) -> bool:
        return self._tokens.are_fresh

    async def read(self) -> None:
        await self._tokens.read()

    async def by_token(self, token: str) -> SignedIn:
        bearer = await self._tokens.by_token(token)
        self._use.note(bearer.session_id, bearer.user, _caller)
        return bearer

    async def by_cookie(self, header: str) -> SignedIn | None:
        """A session is looked up with each call: what ended it holds at once, on all hosts."""
        value = self._cookies.session(header)
        if value is None:
            return None
        now = self._clock.now()
        session = await self._sessions.by_cookie(value)
        self._use.note(session.id, session.user, _caller)
        return _signed_in(session, now)

    def check(self, signed_in: SignedIn) -> None:
        self._tokens.check(signed_in)


def _caller() -> Caller:
    """Of the current call."""
    actor = current_actor()
    return Caller(actor.address, actor.user_agent)


def _signed_in(session: LoginSession, as_of: datetime) -> CookieBearer:
    return CookieBearer(
        session.user,
        session.user_id,
        session.id,
        Role(session.role),
        "cookie",
        session.amr,
        session.auth_time,
        session.expires_at,
        as_of,
    )
