"""Makes what the owner of a session gets: tokens, or cookies."""

from datetime import datetime

from server.core.clock import Clock
from server.core.users import User
from server.domains.identity.credentials.accounts.model import Account
from server.domains.identity.credentials.lockout.devices import DeviceTokens
from server.domains.identity.sessions.model import Begun, LoginSession, Refreshed
from server.domains.identity.sessions.use import SessionUse
from server.domains.identity.signin.model import Opened
from server.domains.identity.tokens.model import Facts
from server.domains.identity.tokens.service import AccessTokens


class Opening:
    def __init__(
        self, tokens: AccessTokens, devices: DeviceTokens, use: SessionUse, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._devices = devices
        self._use = use
        self._clock = clock

    async def opened(self, begun: Begun, user: User, account: Account) -> Opened:
        """A session that has just begun."""
        session = begun.session
        self._use.note_user(session.user)
        device = self._devices.make(user.id, account.device_epoch)
        if session.kind == "cookie":
            return Opened(
                session_id=session.id,
                expires_in=self._seconds_until(session.expires_at),
                user=user,
                cookie=begun.secret,
                device_cookie=device,
            )
        token, life = await self._tokens.issue(_facts(session), session.created_at)
        return Opened(
            session_id=session.id,
            expires_in=life,
            token=token,
            token_type="Bearer",  # noqa: S106 - the word of RFC 6750
            refresh_token=begun.secret,
            refresh_expires_in=self._seconds_until(session.expires_at),
            device_token=device,
            user=user,
        )

    async def refreshed(self, refreshed: Refreshed) -> Opened:
        """A session that goes on."""
        session = refreshed.session
        self._use.note_user(session.user)
        token, life = await self._tokens.issue(_facts(session), refreshed.at)
        return Opened(
            session_id=session.id,
            expires_in=life,
            token=token,
            token_type="Bearer",  # noqa: S106 - the word of RFC 6750
            refresh_token=refreshed.refresh_token,
            refresh_expires_in=self._seconds_until(session.expires_at),
        )

    def _seconds_until(self, end: datetime) -> int:
        return max(0, round((end - self._clock.now()).total_seconds()))


def _facts(session: LoginSession) -> Facts:
    return Facts(
        session.user, session.user_id, session.id, session.role, session.amr, session.auth_time
    )
