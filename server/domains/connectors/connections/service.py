"""Use cases of connections that there are: looking at them, refresh, disconnect."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.pages import PageRequest
from server.core.users import User
from server.domains.connectors.connections.audit_events import about
from server.domains.connectors.connections.lists import ConnectorLists, Counts
from server.domains.connectors.connections.logout import Logout
from server.domains.connectors.connections.renewal import SessionRenewal
from server.domains.connectors.connections.sessions import SessionVault
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.errors import ConnectionNotFound, ConnectorNotFound
from server.domains.connectors.model import Connector, ConnectorFilter
from server.domains.connectors.records.store import RecordStore
from server.kernel import UserDependents, Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.connectors")


@dataclass(frozen=True)
class ConnectorService(UserDependents):
    _changes: RecordedChanges
    _store: ConnectorStore
    _lists: ConnectorLists
    _records: RecordStore
    _sessions: SessionVault
    _renewal: SessionRenewal
    _logout: Logout
    _users: Users
    _wake: Callable[[], None]

    # Looking

    async def get(self, connector_id: str) -> Connector:
        """Raises ConnectorNotFound."""
        connector = await self._store.get(connector_id)
        if connector is None:
            raise ConnectorNotFound
        return connector

    async def find(self, user_id: str, platform: str) -> Connector:
        """The fields that a summary needs. Raises ConnectionNotFound."""
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
        self, where: ConnectorFilter, wanted: PageRequest
    ) -> tuple[list[Connector], str | None]:
        """One page, newest first, and the token of the next. Raises InvalidRequest."""
        return await self._lists.page(where, wanted.page_token, wanted.limit)

    async def count(self, where: ConnectorFilter) -> Counts:
        """How many connectors there are of each (platform, status, failing)."""
        return await self._lists.count_by_status(where)

    # Changing

    async def refresh(
        self, connector_id: str, credentials: Mapping[str, str], reply: KeyedReply | None = None
    ) -> Connector:
        """Extend the session, or complete a login that is pending.

        Raises ConnectorNotFound, NotConnected, ReauthRequired, InvalidCredentials or
        PlatformNotAvailable.
        """
        refreshed = await self._renewal.refresh(await self.get(connector_id), credentials, reply)
        self._wake()
        return refreshed

    async def disconnect(
        self, connector_id: str, reply: KeyedReply | None = None, *, delete_records: bool = False
    ) -> Connector:
        """End the session and all syncing, and with `delete_records` erase what was fetched.

        Of a disconnected connector it returns the state that there is. Raises ConnectorNotFound.
        """
        while True:
            connector = await self.get(connector_id)
            actions = ["connector.disconnected"] if _has_to_end(connector) else []
            if delete_records and (actions or await self._records.any(connector.records_id)):
                actions.append("connector.records_deleted")
            if not actions:
                return connector
            opened = await self._logout.opened(connector)  # opened while its key is there
            ended = await self._changes.make(
                partial(self._disconnect, connector, delete_records),
                partial(_events_of, actions),
                reply,
            )
            if ended is not None:
                break
        log = _log.bind(connector_id=connector.id, platform=connector.platform)
        for action in actions:
            log.info(action.partition(".")[2].replace("_", " "))
        if _has_to_end(connector):
            await self._logout.release(connector.platform, opened)
        return ended

    async def _disconnect(
        self, connector: Connector, delete_records: bool, session: ClientSession
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

    # Changes a user's connectors with the user (kernel.UserDependents)

    async def before_delete(self, user: User) -> None:
        connectors = await self._store.of_user(user.user_id)
        await asyncio.gather(*(self._logout.release_of(connector) for connector in connectors))

    async def delete(self, user: User, session: ClientSession) -> None:
        await self._records.forget(await self._store.delete_of_user(user.user_id, session), session)
        await self._sessions.erase_of_user(user.user_id, session)

    async def set_active(self, user: User, active: bool, session: ClientSession) -> None:
        await self._store.set_active(user.user_id, active, session)


def _has_to_end(connector: Connector) -> bool:
    return connector.status != "disconnected" or connector.login_pending


def _events_of(actions: Sequence[str], connector: Connector) -> list[Event]:
    return [about(action, connector) for action in actions]
