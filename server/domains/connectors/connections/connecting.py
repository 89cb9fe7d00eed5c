"""Connecting a user to a platform: a session and the first sync, or a login that the user must finish."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TypeAlias

import structlog

from server.core.errors import ApiError, FieldError
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.domains.connectors import metrics
from server.domains.connectors.connections.audit_events import about
from server.domains.connectors.connections.logins import LoginFlow
from server.domains.connectors.connections.logout import Logout
from server.domains.connectors.connections.sessions import SessionVault, new_sync_id
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.errors import AlreadyConnected, InvalidCredentials
from server.domains.connectors.model import Connector, ConnectRequest
from server.kernel import Users
from server.platforms.base import LoginRequired, Platform, PlatformSession
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession
from server.storage.leases import LeaseBusy, Leases

_log = structlog.stdlib.get_logger("finlink.connectors")

CONNECT_WAIT = timedelta(seconds=12)  # for another connect of the same user and platform


@dataclass(frozen=True, slots=True)
class Connected:
    """It has a session, and its first sync is wanted."""

    connector: Connector


@dataclass(frozen=True, slots=True)
class LoginNeeded:
    """The user must log in there first."""

    connector: Connector
    login_url: str


Connection: TypeAlias = Connected | LoginNeeded


@dataclass(frozen=True)
class Connecting:
    _changes: RecordedChanges
    _store: ConnectorStore
    _leases: Leases
    _sessions: SessionVault
    _logins: LoginFlow
    _logout: Logout
    _platforms: Mapping[str, Platform]
    _users: Users
    _wake: Callable[[], None]

    async def connect(self, request: ConnectRequest, reply: KeyedReply | None = None) -> Connection:
        """Raises UserNotFound, AlreadyConnected, InvalidCredentials, RateLimited or
        PlatformNotAvailable; nothing is stored then.
        """
        log = _log.bind(user_id=request.user_id, platform=request.platform)
        outcome = "INTERNAL"
        try:
            await self._users.is_active(request.user_id)
            made = await self._connect_alone(self._granted(request), reply)
        except ApiError as error:
            outcome = error.code
            log.info("not connected", code=outcome, cause=str(error))
            raise
        else:
            connector = made.connector
            log = log.bind(connector_id=connector.id)
            if isinstance(made, LoginNeeded):
                outcome = "login_required"
                log.info("login required")
            else:
                outcome = "connected"
                first_sync = connector.sync.run.sync_id if connector.sync.run else None
                log.info("connected", permissions=list(connector.permissions), sync_id=first_sync)
                self._wake()
            return made
        finally:
            metrics.CONNECTS.labels(request.platform, outcome).inc()

    def _granted(self, request: ConnectRequest) -> ConnectRequest:
        """With the permissions that the platform can grant. Raises InvalidCredentials if there are none."""
        can = self._platforms[request.platform].data_types
        granted = [name for name in request.permissions if name in can]
        if not granted:
            raise InvalidCredentials(
                "The platform grants none of the permissions asked for",
                fields=[
                    FieldError("permissions", f"{request.platform} can grant {', '.join(can)}")
                ],
            )
        return replace(request, permissions=granted)

    async def _connect_alone(self, request: ConnectRequest, reply: KeyedReply | None) -> Connection:
        """Of two at once one wins; if its process dies, the other takes over."""
        before = await self._store.find(request.user_id, request.platform)
        try:
            name = f"connect/{request.user_id}/{request.platform}"
            async with self._leases.acquire(name, CONNECT_WAIT):
                existing = await self._store.find(request.user_id, request.platform)
                if _generation(existing) != _generation(before) or (existing and existing.live):
                    raise AlreadyConnected
                return await self._connect(request, existing, reply)
        except LeaseBusy:
            raise AlreadyConnected from None

    async def _connect(
        self, request: ConnectRequest, existing: Connector | None, reply: KeyedReply | None
    ) -> Connection:
        # A login that was pending leads nowhere any more; it is opened while its key is there.
        former = await self._logout.opened(existing) if existing is not None else None
        outcome = await self._logins.begin(request.user_id, request.platform, request.credentials)
        try:
            made = await self._changes.make(
                partial(self._store_outcome, request, outcome), _event_of, reply
            )
        except BaseException:
            if isinstance(outcome, PlatformSession):
                await self._logout.release(request.platform, outcome)
            raise
        await self._logout.release(request.platform, former)
        return made

    async def _store_outcome(
        self,
        request: ConnectRequest,
        outcome: PlatformSession | LoginRequired,
        session: ClientSession,
    ) -> Connection:
        active = await self._users.lock(request.user_id, session)
        key = self._sessions.new_key(request.user_id, request.platform)
        await self._sessions.store_key(key, session)
        if isinstance(outcome, LoginRequired):
            login = self._sessions.seal_login(key, outcome)
            pending = await self._store.await_login(request, login, session, paused=not active)
            return LoginNeeded(pending, outcome.login_url)
        sealed = self._sessions.seal(key, outcome)
        connector = await self._store.connect(
            request, sealed, new_sync_id(), session, paused=not active
        )
        return Connected(connector)


def _generation(connector: Connector | None) -> int | None:
    return None if connector is None else connector.session.generation


def _event_of(made: Connection) -> Event:
    action = "connector.connected" if isinstance(made, Connected) else "connector.login_started"
    return about(action, made.connector, fields=["permissions"])
