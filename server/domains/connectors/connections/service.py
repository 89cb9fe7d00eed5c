"""Use cases of connections: connect, refresh, disconnect, and looking at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

import structlog

from server.core.errors import ApiError, FieldError
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.domains.connectors import metrics
from server.domains.connectors.audit_events import about
from server.domains.connectors.connections.lists import ConnectorLists
from server.domains.connectors.connections.logins import Logins, answer
from server.domains.connectors.connections.sessions import SessionVault, new_sync_id
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.errors import (
    AlreadyConnected,
    ConnectionNotFound,
    ConnectorNotFound,
    InvalidCredentials,
)
from server.domains.connectors.model import Connector, ConnectorFilter
from server.domains.connectors.records.store import RecordStore
from server.platforms.base import LoginRequired, Platform, Session
from server.storage.changes import RecordedChanges
from server.storage.driver import Session as Transaction
from server.storage.leases import LeaseBusy, Leases

_log = structlog.stdlib.get_logger("finlink.connectors")

DEFAULT_LIMIT = 20
CONNECT_TIMEOUT = timedelta(seconds=12)  # for another connect of the same user and platform


class UserDirectory(Protocol):
    """What connectors need to know of users."""

    async def is_active(self, user_id: str) -> bool:
        """Raises UserNotFound."""
        ...

    async def identity(self, user_id: str) -> str:
        """What tells a user from a later one of the same name. Raises UserNotFound."""
        ...

    async def lock(self, user_id: str, session: Transaction) -> bool:
        """The same as `is_active` inside a transaction, where the user cannot be changed meanwhile."""
        ...


class ConnectorService:
    def __init__(
        self,
        changes: RecordedChanges,
        store: ConnectorStore,
        lists: ConnectorLists,
        records: RecordStore,
        leases: Leases,
        sessions: SessionVault,
        logins: Logins,
        platforms: Mapping[str, Platform],
        users: UserDirectory,
        wake: Callable[[], None],
    ) -> None:
        self._changes = changes
        self._store = store
        self._lists = lists
        self._records = records
        self._leases = leases
        self._sessions = sessions
        self._logins = logins
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
        """What a summary needs of it. Raises ConnectionNotFound."""
        for connector in await self._lists.summaries(user_id):
            if connector.platform == platform:
                return connector
        raise ConnectionNotFound

    async def of_user(self, user_id: str) -> tuple[str, list[Connector]]:
        """The user's identity, and what summaries need of the connectors. Raises UserNotFound."""
        user, connectors = await asyncio.gather(
            self._users.identity(user_id), self._lists.summaries(user_id)
        )
        return user, connectors

    async def list(
        self, where: ConnectorFilter, token: str | None, limit: int | None
    ) -> tuple[list[Connector], str | None]:
        """One page, newest first, and the token of the next. Raises InvalidRequest."""
        return await self._lists.page(where, token, limit or DEFAULT_LIMIT)

    async def count(self, where: ConnectorFilter) -> dict[tuple[str, str], int]:
        """How many connectors there are of each (platform, status)."""
        return await self._lists.count_by_status(where)

    # Connecting

    async def connect(
        self,
        user_id: str,
        platform_name: str,
        permissions: Sequence[str],
        credentials: Mapping[str, str],
        reply: KeyedReply | None = None,
    ) -> tuple[Connector, str | None]:
        """Log in and start the first sync; or a connector with a login pending, and its URL.

        Raises UserNotFound, AlreadyConnected, InvalidCredentials or PlatformNotAvailable; nothing is
        stored then.
        """
        outcome = "INTERNAL"
        try:
            made = await self._connect_once(user_id, platform_name, permissions, credentials, reply)
            outcome = "connected" if made[1] is None else "login_required"
            return made
        except ApiError as error:
            outcome = error.code
            _log.info(
                "not connected",
                user_id=user_id,
                platform=platform_name,
                code=outcome,
                cause=str(error),
            )
            raise
        finally:
            metrics.CONNECTS.labels(platform_name, outcome).inc()

    async def _connect_once(
        self,
        user_id: str,
        platform_name: str,
        permissions: Sequence[str],
        credentials: Mapping[str, str],
        reply: KeyedReply | None,
    ) -> tuple[Connector, str | None]:
        await self._users.is_active(user_id)
        platform = self._platforms[platform_name]
        granted = [name for name in permissions if name in platform.data_types]
        if not granted:
            can = ", ".join(platform.data_types)
            raise InvalidCredentials(
                "The platform grants none of the permissions asked for",
                fields=[FieldError("permissions", f"{platform_name} can grant {can}")],
            )
        before = await self._store.find(user_id, platform_name)
        try:
            # Of two at once one wins; should it die, the other takes over.
            async with self._leases.acquire(f"connect/{user_id}/{platform_name}", CONNECT_TIMEOUT):
                existing = await self._store.find(user_id, platform_name)
                if _generation(existing) != _generation(before):
                    raise AlreadyConnected
                return await self._connect(user_id, platform, granted, credentials, existing, reply)
        except LeaseBusy:
            raise AlreadyConnected from None

    async def _connect(
        self,
        user_id: str,
        platform: Platform,
        granted: Sequence[str],
        credentials: Mapping[str, str],
        existing: Connector | None,
        reply: KeyedReply | None,
    ) -> tuple[Connector, str | None]:
        if existing is not None and existing.live:
            raise AlreadyConnected
        # A login that was pending leads nowhere any more; it is opened while its key is there.
        former = await self._logins.held(existing) if existing is not None else None
        async with self._logins.watched(user_id, platform.name, credentials):
            outcome = await answer(platform.connect(credentials))

        async def store(session: Transaction) -> tuple[Connector, str | None]:
            active = await self._users.lock(user_id, session)
            key = self._sessions.new_key(user_id, platform.name)
            await self._sessions.store_key(key, session)
            if isinstance(outcome, LoginRequired):
                sealed = self._sessions.seal_login(key, outcome)
                pending = await self._store.await_login(
                    user_id, platform.name, granted, sealed, paused=not active, session=session
                )
                return pending, outcome.login_url
            connected = self._sessions.seal(key, outcome)
            connector = await self._store.connect(
                user_id,
                platform.name,
                granted,
                connected,
                new_sync_id(),
                paused=not active,
                session=session,
            )
            return connector, None

        try:
            connector, login_url = await self._changes.make(store, _connected, reply)
        except BaseException:
            if isinstance(outcome, Session):
                await self._logins.log_out(platform, outcome)
            raise
        if existing is not None:
            await self._logins.let_go(existing, former)
        log = _log.bind(connector_id=connector.id, user_id=user_id, platform=platform.name)
        if login_url is not None:
            log.info("login required")
        else:
            first_sync = connector.run.sync_id if connector.run else None
            log.info("connected", permissions=list(granted), sync_id=first_sync)
            self._wake()
        return connector, login_url

    async def refresh(
        self,
        connector_id: str,
        credentials: Mapping[str, str],
        reply: KeyedReply | None = None,
    ) -> Connector:
        """Extend the session, or complete a login that is pending.

        Raises ConnectorNotFound, NotConnected, ReauthRequired, InvalidCredentials or
        PlatformNotAvailable.
        """
        refreshed = await self._logins.refresh(await self.get(connector_id), credentials, reply)
        self._wake()
        return refreshed

    # Disconnecting

    async def disconnect(
        self,
        connector_id: str,
        reply: KeyedReply | None = None,
        *,
        delete_records: bool = False,
    ) -> Connector:
        """End the session and all syncing, and erase what was fetched where that is asked for.

        On a disconnected connector, what already holds. Raises ConnectorNotFound.
        """
        while True:
            connector = await self.get(connector_id)
            actions = ["connector.disconnected"] if _has_to_end(connector) else []
            if delete_records and (actions or await self._records.any(connector.records_id)):
                actions.append("connector.records_deleted")
            if not actions:
                return connector
            held = await self._logins.held(connector)  # opened while its key is there
            ended = await self._changes.make(
                partial(self._disconnect, connector, delete_records),
                partial(_told, actions),
                reply,
            )
            if ended is not None:
                break
        log = _log.bind(connector_id=connector.id, platform=connector.platform)
        for action in actions:
            log.info(action.partition(".")[2].replace("_", " "))
        if _has_to_end(connector):
            await self._logins.let_go(connector, held)
        return ended

    async def _disconnect(
        self, connector: Connector, delete_records: bool, session: Transaction
    ) -> Connector | None:
        ended: Connector | None = connector
        if _has_to_end(connector):
            ended = await self._store.end_session(connector, "disconnected", session)
            if ended is not None:
                await self._sessions.erase(connector, session)
        if ended is not None and delete_records:
            ended = await self._store.leave_records(ended, session)
            if ended is not None:
                await self._records.forget([connector.records_id], session)
        return ended

    # What happens to a user's connectors with the user (kernel.UserDependents)

    async def check_deletable(self, user_id: str) -> None:
        """A user may always be deleted as far as connectors go."""

    async def before_delete(self, user_id: str) -> None:
        connectors = await self._store.of_user(user_id)
        await asyncio.gather(*(self._logins.log_out_of(connector) for connector in connectors))

    async def delete(self, user_id: str, session: Transaction) -> None:
        await self._records.forget(await self._store.delete_of_user(user_id, session), session)
        await self._sessions.erase_of_user(user_id, session)

    async def set_active(self, user_id: str, active: bool, session: Transaction) -> None:
        await self._store.set_active(user_id, active, session)


def _has_to_end(connector: Connector) -> bool:
    return connector.status != "disconnected" or connector.login_pending


def _generation(connector: Connector | None) -> int | None:
    return None if connector is None else connector.generation


def _told(actions: Sequence[str], connector: Connector) -> list[Event]:
    return [about(action, connector) for action in actions]


def _connected(result: tuple[Connector, str | None]) -> Event:
    connector, login_url = result
    action = "connector.connected" if login_url is None else "connector.login_started"
    return about(action, connector, fields=["permissions"])
