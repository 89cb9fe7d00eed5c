"""Sessions that go on, end, or are asked about."""

from contextlib import suppress
from dataclasses import dataclass

from server.core.errors import ApiError, SessionEnded, TokenExpired, Unauthenticated
from server.core.principals import SignedIn
from server.domains.identity.sessions.model import Caller
from server.domains.identity.sessions.refreshing import SessionRefresher
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.signin import metrics
from server.domains.identity.signin.model import Opened
from server.domains.identity.signin.opening import Opening
from server.domains.identity.tokens.service import AccessTokens


@dataclass(frozen=True)
class SignInService:
    _tokens: AccessTokens
    _sessions: SessionService
    _refresher: SessionRefresher
    _opening: Opening

    async def refresh(self, refresh_token: str, key: str | None, caller: Caller) -> Opened:
        """The next tokens of a session. `key` is the idempotency key of the call.

        Raises Unauthenticated for what is no refresh token, SessionEnded.
        """
        try:
            refreshed = await self._refresher.refresh(refresh_token, key, caller)
        except ApiError as error:
            outcome = "refused" if isinstance(error, Unauthenticated) else "ended"
            metrics.REFRESHES.labels(outcome).inc()
            raise
        metrics.REFRESHES.labels("repeated" if refreshed.repeated else "rotated").inc()
        return await self._opening.refreshed(refreshed)

    async def log_out(
        self, access_token: str | None, cookie: str | None, refresh_token: str | None
    ) -> None:
        """End the sessions of these; one that is not valid, or whose session has ended, changes nothing."""
        if access_token is not None:
            try:
                bearer = await self._tokens.signed_by_finlink(access_token)
            except (Unauthenticated, TokenExpired):  # the key of the latter was dropped
                pass
            else:
                await self._sessions.log_out(bearer.session_id)
        if cookie is not None:
            try:
                session = await self._sessions.by_cookie(cookie)
            except ApiError:
                pass
            else:
                await self._sessions.log_out(session.id)
        if refresh_token is not None:
            with suppress(Unauthenticated):
                await self._sessions.log_out_by(refresh_token)

    async def introspect(self, token: str) -> SignedIn | None:
        """Whose access token it is; None if it does not hold."""
        try:
            return await self._tokens.by_token(token)
        except (Unauthenticated, TokenExpired, SessionEnded):
            return None
