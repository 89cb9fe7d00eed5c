"""Use cases of connections: connect, refresh, disconnect, and looking at them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

import structlog

from server.clock import utc_now
from server.connectors.errors import (
    AlreadyConnected,
    ConnectionNotFound,
    ConnectorNotFound,
    InvalidCredentials,
    NotConnected,
    PlatformNotAvailable,
    ReauthRequired,
)
from server.connectors.model import (
    REFRESH_REUSE,
    Connector,
    ConnectorFilter,
    ErrorEntry,
    HistoryEntry,
    Run,
)
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
from server.connectors.sync.records import RecordStore
from server.errors import FieldError
from server.security.encryption import Undecipherable
from server.storage.claims import ClaimBusy, Claims
from server.storage.driver import Database
from server.storage.driver import Session as Transaction

_log = structlog.stdlib.get_logger("finlink.connectors")

T = TypeVar("T")

DEFAULT_LIMIT = 20
LOGIN_SECONDS = 20.0  # for all a platform does to let somebody in
LOGOUT_SECONDS = 3.0
REFRESH_PATIENCE = timedelta(seconds=25)  # for another refresh of the same connector to end


class UserDirectory(Protocol):
    """What connectors need to know of users."""

    async def is_active(self, user_id: str) -> bool:
        """Raises UserNotFound."""
        ...

    async def hold(self, user_id: str, session: Transaction) -> bool:
        """The same inside a transaction, keeping the user from being deleted or changed meanwhile."""
        ...


class ConnectorService:
    def __init__(
        self,
        database: Database,
        store: ConnectorStore,
        records: RecordStore,
        claims: Claims,
        sessions: SessionVault,
        platforms: Mapping[str, Platform],
        users: UserDirectory,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._store = store
        self._records = records
        self._claims = claims
        self._sessions = sessions
        self._platforms = platforms
        self._users = users
        self._wake = wake

    # Looking

    async def get(self, connector_id: str) -> Connector:
        """Raises ConnectorNotFound."""
        connector = await self._store.get(connector_id)
        if connector is None:
            raise ConnectorNotFound
        return connector

    async def find(self, user_id: str, platform: str) -> Connector:
        """Raises ConnectionNotFound."""
        connector = await self._store.find(user_id, platform)
        if connector is None:
            raise ConnectionNotFound
        return connector

    async def of_user(self, user_id: str) -> list[Connector]:
        """Raises UserNotFound."""
        await self._users.is_active(user_id)
        return await self._store.of_user(user_id)

    async def list(
        self, where: ConnectorFilter, token: str | None, limit: int | None
    ) -> tuple[list[Connector], str | None]:
        """One page, newest first, and the token of the next. Raises InvalidRequest."""
        return await self._store.page(where, token, limit or DEFAULT_LIMIT)

    async def count(self, where: ConnectorFilter) -> dict[tuple[str, str], int]:
        """How many connectors there are of each (platform, status)."""
        return await self._store.count_by_status(where)

    # Connecting

    async def connect(
        self,
        user_id: str,
        platform_name: str,
        permissions: Sequence[str],
        credentials: Mapping[str, str],
    ) -> tuple[Connector, str | None]:
        """Log in and start the first sync; or a connector with a login pending, and its URL.

        Raises UserNotFound, AlreadyConnected, InvalidCredentials or PlatformNotAvailable; nothing is
        stored then.
        """
        await self._users.is_active(user_id)
        platform = self._platforms[platform_name]
        granted = [name for name in permissions if name in platform.data_types]
        if not granted:
            can = ", ".join(platform.data_types)
            raise InvalidCredentials(
                "The platform grants none of the permissions asked for",
                fields=[FieldError("permissions", f"{platform_name} can grant {can}")],
            )
        try:
            async with self._claims.hold(f"connect/{user_id}/{platform_name}"):
                return await self._connect(user_id, platform, granted, credentials)
        except ClaimBusy:
            raise AlreadyConnected from None

    async def _connect(
        self,
        user_id: str,
        platform: Platform,
        granted: Sequence[str],
        credentials: Mapping[str, str],
    ) -> tuple[Connector, str | None]:
        existing = await self._store.find(user_id, platform.name)
        if existing is not None and existing.live:
            raise AlreadyConnected
        outcome = await _answer(platform.connect(credentials))

        async def store(session: Transaction) -> Connector:
            active = await self._users.hold(user_id, session)
            if isinstance(outcome, LoginRequired):
                sealed = self._sessions.seal_login(user_id, platform.name, outcome)
                return await self._store.await_login(
                    user_id, platform.name, granted, sealed, paused=not active, session=session
                )
            connected = self._sessions.seal(user_id, platform.name, outcome)
            run = Run(new_sync_id(), tuple(granted), utc_now()) if active else None
            return await self._store.connect(
                user_id, platform.name, granted, connected, run, paused=not active, session=session
            )

        try:
            connector = await self._database.transact(store)
        except BaseException:
            if isinstance(outcome, Session):
                await self._log_out(platform, outcome)
            raise
        log = _log.bind(connector_id=connector.id, user_id=user_id, platform=platform.name)
        if isinstance(outcome, LoginRequired):
            log.info("login required")
            return connector, outcome.login_url
        log.info("connected", permissions=list(granted))
        self._wake()
        return connector, None

    async def refresh(self, connector_id: str, credentials: Mapping[str, str]) -> Connector:
        """Extend the session, or complete a login that is pending.

        Raises ConnectorNotFound, NotConnected, ReauthRequired, InvalidCredentials or
        PlatformNotAvailable.
        """
        await self.get(connector_id)
        try:
            async with self._claims.hold(f"refresh/{connector_id}", REFRESH_PATIENCE):
                return await self._refresh(await self.get(connector_id), credentials)
        except ClaimBusy:
            raise PlatformNotAvailable("Another refresh of this connector takes too long") from None

    async def _refresh(self, connector: Connector, credentials: Mapping[str, str]) -> Connector:
        if connector.live and _refreshed_just_now(connector):
            return connector
        if not connector.live and connector.status != "expired" and not connector.login_pending:
            raise NotConnected
        platform = self._platforms[connector.platform]
        if connector.live and not credentials:
            return await self._renew(connector, platform)
        return await self._complete(connector, platform, credentials)

    async def _renew(self, connector: Connector, platform: Platform) -> Connector:
        try:
            session = self._sessions.open(connector)
            renewed = await _answer(platform.renew(session))
        except (SessionEnded, Undecipherable) as error:
            connector = await self._expire(connector, str(error))
            return await self._complete(connector, platform, {})
        return await self._store_session(connector, platform, renewed, anew=False)

    async def _complete(
        self, connector: Connector, platform: Platform, credentials: Mapping[str, str]
    ) -> Connector:
        """Finish a login that is pending, or begin one that the user must finish."""
        pending = self._sessions.open_login(connector)
        secrets = pending.secrets if pending else self._session_secrets(connector)
        outcome = await _answer(platform.complete(secrets, credentials))
        if isinstance(outcome, LoginRequired):
            sealed = self._sessions.seal_login(connector.user_id, connector.platform, outcome)
            await self._store.set_login(connector.id, connector.generation, sealed)
            raise ReauthRequired(outcome.login_url)
        return await self._store_session(connector, platform, outcome, anew=not connector.live)

    async def _store_session(
        self, connector: Connector, platform: Platform, session: Session, *, anew: bool
    ) -> Connector:
        connected = self._sessions.seal(connector.user_id, connector.platform, session)
        wants_run = anew and not connector.paused
        run = Run(new_sync_id(), connector.data_types, utc_now()) if wants_run else None
        stored = await self._store.set_session(
            connector.id, connector.generation, connected, anew=anew, run=run
        )
        if stored is None:  # disconnected or deleted meanwhile: that wins
            if anew:
                await self._log_out(platform, session)
            raise NotConnected
        _log.info(
            "session refreshed", connector_id=connector.id, platform=connector.platform, anew=anew
        )
        if anew:
            self._wake()
        return stored

    async def _expire(self, connector: Connector, cause: str) -> Connector:
        error = ErrorEntry(SessionEnded.code, cause, utc_now())
        ended = await self._store.end_session(
            connector, status="expired", error=error, finished=_cancelled(connector)
        )
        if ended is None:
            raise NotConnected
        _log.warning("session expired", connector_id=connector.id, platform=connector.platform)
        return ended

    # Disconnecting

    async def disconnect(self, connector_id: str) -> Connector:
        """End the session and all syncing; on a disconnected connector, what already holds.

        Raises ConnectorNotFound.
        """
        while True:
            connector = await self.get(connector_id)
            if connector.status == "disconnected" and not connector.login_pending:
                return connector
            ended = await self._store.end_session(
                connector, status="disconnected", finished=_cancelled(connector)
            )
            if ended is not None:
                break
        _log.info("disconnected", connector_id=connector.id, platform=connector.platform)
        await self._log_out_stored(connector)
        return ended

    # What happens to a user's connectors with the user (users.service.UserDependents)

    async def before_delete(self, user_id: str) -> None:
        connectors = await self._store.of_user(user_id)
        await asyncio.gather(*(self._log_out_stored(connector) for connector in connectors))

    async def delete(self, user_id: str, session: Transaction) -> None:
        await self._records.forget(await self._store.delete_of_user(user_id, session), session)

    async def set_active(self, user_id: str, active: bool, session: Transaction) -> None:
        await self._store.set_active(user_id, active, session)

    # The platform

    async def _log_out_stored(self, connector: Connector) -> None:
        if not connector.live:
            return
        try:
            session = self._sessions.open(connector)
        except Undecipherable:
            return
        await self._log_out(self._platforms[connector.platform], session)

    async def _log_out(self, platform: Platform, session: Session) -> None:
        """End a session at the platform, as far as it answers."""
        try:
            async with asyncio.timeout(LOGOUT_SECONDS):
                await platform.disconnect(session)
        except (PlatformError, TimeoutError) as error:
            _log.warning("platform logout failed", platform=platform.name, cause=str(error))

    def _session_secrets(self, connector: Connector) -> Mapping[str, str]:
        try:
            return self._sessions.open(connector).secrets
        except Undecipherable:
            return {}


async def _answer(call: Awaitable[T]) -> T:
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


def _cancelled(connector: Connector) -> HistoryEntry | None:
    """The run that was wanted or under way when its connector's session ended."""
    if connector.run is None:
        return None
    return HistoryEntry(
        synced_at=utc_now(),
        status="failed",
        error_code="RUN_CANCELLED",
        error_message="The session ended before the run did",
        sync_id=connector.run.sync_id,
        started_at=connector.run.started_at,
    )
