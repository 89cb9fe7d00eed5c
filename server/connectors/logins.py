"""Logging in and out at platforms: what a connector needs of its platform but its data."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import TypeVar

import structlog

from server.clock import utc_now
from server.connectors.errors import (
    InvalidCredentials,
    NotConnected,
    PlatformNotAvailable,
    ReauthRequired,
)
from server.connectors.model import REFRESH_REUSE, Connector, ErrorEntry
from server.connectors.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    Platform,
    PlatformError,
    PlatformUnavailable,
    Session,
    SessionEnded,
)
from server.connectors.sessions import SessionVault, new_sync_id
from server.connectors.store import ConnectorStore
from server.errors import FieldError
from server.security.encryption import Undecipherable
from server.storage.claims import ClaimBusy, Claims

_log = structlog.stdlib.get_logger("finlink.connectors")
T = TypeVar("T")

LOGIN_SECONDS = 10.0  # for all a platform does to let somebody in
LOGOUT_SECONDS = 3.0
REFRESH_PATIENCE = timedelta(seconds=15)  # for another refresh of the same connector to end


class Logins:
    """Opens, renews and ends the platform sessions of connectors."""

    def __init__(
        self,
        store: ConnectorStore,
        claims: Claims,
        sessions: SessionVault,
        platforms: Mapping[str, Platform],
    ) -> None:
        self._store = store
        self._claims = claims
        self._sessions = sessions
        self._platforms = platforms

    def platform(self, connector: Connector) -> Platform:
        return self._platforms[connector.platform]

    def session(self, connector: Connector) -> Session:
        """The platform session of a connector. Raises SessionEnded where it cannot be read."""
        try:
            return self._sessions.open(connector)
        except Undecipherable as error:
            _log.error("session does not open", connector_id=connector.id, cause=str(error))
            raise SessionEnded("The stored session cannot be read; log in again") from None

    async def refresh(self, connector: Connector, credentials: Mapping[str, str]) -> Connector:
        """Extend the session, or complete a login that is pending; one at a time a connector.

        One asked for within REFRESH_REUSE of another gets what that one brought. Raises NotConnected,
        ReauthRequired, InvalidCredentials or PlatformNotAvailable.
        """
        try:
            async with self._claims.hold(f"refresh/{connector.id}", REFRESH_PATIENCE):
                current = await self._store.get(connector.id)
                if current is None:
                    raise NotConnected
                return await self._refresh(current, credentials)
        except ClaimBusy:
            raise PlatformNotAvailable("Another refresh of this connector takes too long") from None

    async def _refresh(self, connector: Connector, credentials: Mapping[str, str]) -> Connector:
        if connector.live:
            if _refreshed_just_now(connector):
                return connector
            try:
                return await self._renew(connector)
            except SessionEnded as error:
                connector = await self._expire(connector, str(error))
        elif connector.status != "expired" and not connector.login_pending:
            raise NotConnected
        return await self._complete(connector, credentials)

    async def revive(self, connector: Connector) -> Session:
        """The session that goes on after `connector`'s ended, where the platform can renew it.

        Raises SessionEnded where only a new login helps, PlatformUnavailable where that cannot be told.
        """
        try:
            async with self._claims.hold(f"refresh/{connector.id}", REFRESH_PATIENCE):
                current = await self._store.get(connector.id)
                if current is None or not current.live:
                    raise SessionEnded("The session was ended meanwhile")
                if current.generation != connector.generation:
                    return self.session(current)  # somebody else has renewed it
                return self.session(await self._renew(current))
        except (ClaimBusy, PlatformNotAvailable) as error:
            raise PlatformUnavailable("The session could not be renewed just now") from error
        except (NotConnected, InvalidCredentials) as error:
            raise SessionEnded("The session ended and could not be renewed") from error

    async def _renew(self, connector: Connector) -> Connector:
        """Raises SessionEnded where only a new login helps."""
        platform = self.platform(connector)
        before = self.session(connector)
        after = await answer(platform.renew(before))
        connected = self._sessions.seal(connector.user_id, connector.platform, after)
        stored = await self._store.renew_session(connector.id, connector.generation, connected)
        if stored is None:  # disconnected or deleted meanwhile: that wins
            if after.secrets != before.secrets:
                await self.log_out(platform, after)
            raise NotConnected
        _log.info("session refreshed", connector_id=connector.id, platform=connector.platform)
        return stored

    async def _complete(self, connector: Connector, credentials: Mapping[str, str]) -> Connector:
        """Finish a login that is pending, or begin one that the user must finish."""
        platform = self.platform(connector)
        outcome = await answer(platform.complete(self._secrets(connector), credentials))
        if isinstance(outcome, LoginRequired):
            await self._keep_login(connector, outcome)
            raise ReauthRequired(outcome.login_url)
        known = connector.platform_user_id
        if known is not None and outcome.platform_user_id != known:
            await self.log_out(platform, outcome)
            message = "belong to another account of the platform than this connector"
            raise InvalidCredentials(fields=[FieldError("credentials", message)])
        connected = self._sessions.seal(connector.user_id, connector.platform, outcome)
        stored = await self._store.begin_session(
            connector.id, connector.generation, connected, new_sync_id()
        )
        if stored is None:
            await self.log_out(platform, outcome)
            raise NotConnected
        _log.info("login completed", connector_id=connector.id, platform=connector.platform)
        return stored

    async def prepare(self, ended: Connector) -> None:
        """Have a login ready for a connector whose session ended, as far as the platform answers."""
        try:
            login = await answer(self.platform(ended).complete(self._secrets(ended), {}))
        except (InvalidCredentials, PlatformNotAvailable, SessionEnded):
            return  # RefreshSession will try again
        if isinstance(login, LoginRequired):
            await self._keep_login(ended, login)

    async def _keep_login(self, connector: Connector, login: LoginRequired) -> None:
        sealed = self._sessions.seal_login(connector.user_id, connector.platform, login)
        await self._store.set_login(connector.id, connector.generation, sealed)

    async def _expire(self, connector: Connector, cause: str) -> Connector:
        error = ErrorEntry(SessionEnded.code, cause, utc_now())
        ended = await self._store.end_session(connector, "expired", error=error)
        if ended is None:
            raise NotConnected
        _log.warning("session expired", connector_id=connector.id, platform=connector.platform)
        return ended

    def _secrets(self, connector: Connector) -> Mapping[str, str]:
        """What a login of this connector goes on from: one that is pending, or the session before."""
        pending = self._sessions.open_login(connector)
        if pending is not None:
            return pending.secrets
        try:
            return self._sessions.open(connector).secrets
        except Undecipherable:
            return {}

    async def log_out(self, platform: Platform, session: Session) -> None:
        """End a session at the platform, as far as it answers."""
        try:
            async with asyncio.timeout(LOGOUT_SECONDS):
                await platform.disconnect(session)
        except Exception as error:  # noqa: BLE001 - best effort, whatever it is
            _log.warning(
                "platform logout failed", platform=platform.name, cause=type(error).__name__
            )

    async def log_out_of(self, connector: Connector) -> None:
        """End what a connector holds at its platform: a session, or a login that is pending."""
        platform = self.platform(connector)
        if connector.live:
            try:
                session = self._sessions.open(connector)
            except Undecipherable:
                return
            await self.log_out(platform, session)
        elif (login := self._sessions.open_login(connector)) is not None:
            try:
                async with asyncio.timeout(LOGOUT_SECONDS):
                    await platform.abandon(login)
            except Exception as error:  # noqa: BLE001 - best effort, whatever it is
                _log.warning(
                    "login not abandoned", platform=platform.name, cause=type(error).__name__
                )


async def answer(call: Awaitable[T]) -> T:
    """What a platform answers to a login, its refusals as the caller's errors.

    Raises InvalidCredentials or PlatformNotAvailable; SessionEnded passes through.
    """
    try:
        async with asyncio.timeout(LOGIN_SECONDS):
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
        raise PlatformNotAvailable("The platform did not answer in time") from None


def _refreshed_just_now(connector: Connector) -> bool:
    refreshed = connector.refreshed_at
    return refreshed is not None and utc_now() - refreshed < REFRESH_REUSE
