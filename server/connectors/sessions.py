"""Platform sessions as connectors hold them: sealed before they are stored, opened for a call."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from server.connectors.model import Connector
from server.connectors.platforms.base import LoginRequired, Session
from server.connectors.session_fields import Connected
from server.security.encryption import Undecipherable, Vault

_LOGIN_URL = "login_url"
_NEVER = datetime.max.replace(tzinfo=UTC)


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
        )

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


def _place(user_id: str, platform: str, what: str) -> str:
    return f"connectors/{user_id}/{platform}/{what}"
