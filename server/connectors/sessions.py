"""Platform sessions as connectors hold them: sealed before they are stored, opened for a call."""

from __future__ import annotations

import random
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from server.clock import utc_now
from server.connectors.model import Connector
from server.connectors.platforms.base import LoginRequired, Session
from server.connectors.session_fields import Connected
from server.security.encryption import Undecipherable, Vault

_LOGIN_URL = "login_url"
_NEVER = datetime.max.replace(tzinfo=UTC)

RENEW_BEFORE = timedelta(minutes=20)  # half of it at least; before callers are told `expiresSoon`
ASK_AFTER = timedelta(seconds=10)  # at most, past the expected end
# What a session is taken to last that its platform accepts past its expected end. It never grows
# longer than callers are told `expiresSoon`.
STILL_ACCEPTED = timedelta(minutes=10)


def new_session_id() -> str:
    """A name for a session that callers see; it opens nothing."""
    return f"sess_{secrets.token_urlsafe(16)}"


def new_sync_id() -> str:
    return f"sync_{secrets.token_hex(12)}"


class SessionVault:
    """Seals and opens the sessions of connectors, each bound to its user and platform."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, user_id: str, platform: str, session: Session) -> Connected:
        """A session as it is stored, under a new session id."""
        return Connected(
            session_id=new_session_id(),
            sealed_session=self._vault.seal(
                session.secrets, place=_place(user_id, platform, "session")
            ),
            expires_at=session.expires_at,
            platform_user_id=session.platform_user_id,
            account_type=session.account_type,
            check_at=_check_at(session),
        )

    def seal_again(self, connector: Connector, session: Session) -> Connected:
        """The same for the session that `connector` goes on with, accepted by its platform just now."""
        now = utc_now()
        if connector.expires_at is not None and session.expires_at <= connector.expires_at:
            # Renewing brought no longer life, so before its end there is nothing to be had.
            session = replace(session, renewable=False)
        if session.expires_at <= now:
            session = replace(session, expires_at=now + STILL_ACCEPTED)
        return self.seal(connector.user_id, connector.platform, session)

    def open(self, connector: Connector) -> Session:
        """The platform session of a connector. Raises Undecipherable, also where there is none."""
        if connector.sealed_session is None:
            raise Undecipherable("no session is stored")
        place = _place(connector.user_id, connector.platform, "session")
        return Session(
            platform_user_id=connector.platform_user_id or "",
            account_type=connector.account_type or "",
            expires_at=connector.expires_at or _NEVER,
            secrets=self._vault.open(connector.sealed_session, place=place),
        )

    def seal_login(self, user_id: str, platform: str, login: LoginRequired) -> str:
        content = {**login.secrets, _LOGIN_URL: login.login_url}
        return self._vault.seal(content, place=_place(user_id, platform, "login"))

    def open_login(self, connector: Connector) -> LoginRequired | None:
        """The login that is pending, if one is and it opens."""
        if connector.sealed_login is None:
            return None
        place = _place(connector.user_id, connector.platform, "login")
        try:
            content = self._vault.open(connector.sealed_login, place=place)
        except Undecipherable:
            return None
        return LoginRequired(login_url=content.pop(_LOGIN_URL, ""), secrets=content)

    def login_url(self, connector: Connector) -> str | None:
        """Where the user must log in, if that is known."""
        login = self.open_login(connector)
        return login.login_url if login and login.login_url else None


def _check_at(session: Session) -> datetime:
    """When to look after a session: ahead of its end where it can be renewed by then, else after.

    Spread, because the sessions of a platform may all end at the same time of day.
    """
    early = session.expires_at - RENEW_BEFORE * random.uniform(0.5, 1)  # noqa: S311
    if session.renewable and early > utc_now():
        return early
    return session.expires_at + ASK_AFTER * random.random()  # noqa: S311


def _place(user_id: str, platform: str, what: str) -> str:
    return f"connectors/{user_id}/{platform}/{what}"
