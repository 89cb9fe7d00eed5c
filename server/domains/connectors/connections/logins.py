"""The login flow: begun at the platform, pending while the user is there, completed with what comes back."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from server.core.errors import FieldError
from server.core.idempotency import KeyedReply
from server.domains.connectors import metrics
from server.domains.connectors.connections.logout import Logout
from server.domains.connectors.connections.session_changes import SessionChanges
from server.domains.connectors.connections.sessions import SessionVault, new_sync_id
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.connections.throttle import LoginThrottle
from server.domains.connectors.errors import (
    InvalidCredentials,
    PlatformNotAvailable,
    ReauthRequired,
)
from server.domains.connectors.model import Connector
from server.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    Platform,
    PlatformError,
    PlatformSession,
    PlatformUnavailable,
    SessionEnded,
)
from server.security.encryption import Undecipherable

_log = structlog.stdlib.get_logger("finlink.connectors")
T = TypeVar("T")

LOGIN_SECONDS = 9.0  # for all a platform does to let somebody in


@dataclass(frozen=True)
class LoginFlow:
    _changes: SessionChanges
    _store: ConnectorStore
    _sessions: SessionVault
    _throttle: LoginThrottle
    _logout: Logout
    _platforms: Mapping[str, Platform]

    async def begin(
        self, user_id: str, platform: str, credentials: Mapping[str, str]
    ) -> PlatformSession | LoginRequired:
        """Raises InvalidCredentials, PlatformNotAvailable or RateLimited."""
        async with self._throttle.attempt(user_id, platform, credentials):
            return await platform_reply(self._platforms[platform].connect(credentials))

    async def complete(
        self, connector: Connector, credentials: Mapping[str, str], reply: KeyedReply | None
    ) -> Connector:
        """Finish a login that is pending, or begin one that the user must finish.

        Raises ReauthRequired, NotConnected, and what `begin` raises.
        """
        key = await self._sessions.key_of(connector)
        async with self._throttle.attempt(connector.user_id, connector.platform, credentials):
            outcome = await self._ask(connector, credentials)
        if isinstance(outcome, LoginRequired):
            if await self._changes.set_login(connector, outcome, key) is None:
                return await self._changes.conflict(connector)
            raise ReauthRequired(outcome.login_url)
        known = connector.session.platform_user_id
        if known is not None and outcome.platform_user_id != known:
            await self._logout.release(connector.platform, outcome)
            message = "belong to another account of the platform than this connector"
            raise InvalidCredentials(fields=[FieldError("credentials", message)])
        connected = self._sessions.seal(key, outcome)
        sync_id = new_sync_id()
        write = partial(self._store.begin_session, connector, connected, sync_id)
        stored = await self._changes.make(write, key, "connector.connected", reply)
        if stored is None:
            await self._logout.release(connector.platform, outcome)
            return await self._changes.conflict(connector)
        metrics.CONNECTS.labels(connector.platform, "connected").inc()
        _log.info(
            "login completed",
            connector_id=connector.id,
            platform=connector.platform,
            sync_id=sync_id,
        )
        return stored

    async def prepare(self, ended: Connector) -> None:
        """Have a login pending for a connector whose session ended, if the platform replies."""
        try:
            login = await self._ask(ended, {})
        except (InvalidCredentials, PlatformNotAvailable, SessionEnded):
            return  # RefreshSession will try again
        if isinstance(login, LoginRequired):
            await self._changes.set_login(ended, login, await self._sessions.key_of(ended))

    async def _ask(
        self, connector: Connector, credentials: Mapping[str, str]
    ) -> PlatformSession | LoginRequired:
        platform = self._platforms[connector.platform]
        secrets = await self._secrets(connector)
        return await platform_reply(platform.complete(secrets, credentials))

    async def _secrets(self, connector: Connector) -> Mapping[str, str]:
        """The state that a login of this connector continues: a pending login, or the previous session."""
        pending = await self._sessions.open_login(connector)
        if pending is not None:
            return pending.secrets
        try:
            return (await self._sessions.open(connector)).secrets
        except Undecipherable:
            return {}


async def platform_reply(call: Awaitable[T], seconds: float = LOGIN_SECONDS) -> T:
    """The platform's reply to a login within `seconds`; refusals become errors of the caller.

    Raises InvalidCredentials or PlatformNotAvailable; SessionEnded passes through.
    """
    try:
        async with asyncio.timeout(seconds):
            return await call
    except CredentialsRefused as error:
        fields = [FieldError(f"credentials.{error.field}", str(error))] if error.field else []
        raise InvalidCredentials(fields=fields) from None
    except SessionEnded:
        raise
    except PlatformUnavailable as error:
        raise PlatformNotAvailable(str(error), retry_after=error.retry_after) from None
    except PlatformError as error:
        raise PlatformNotAvailable(str(error)) from None
    except TimeoutError:
        raise PlatformNotAvailable("The platform did not respond in time") from None
