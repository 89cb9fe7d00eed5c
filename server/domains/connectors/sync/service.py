"""Use cases of syncs: status, settings, manual runs, and what they kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from server.core.clock import utc_now
from server.core.errors import InvalidRequest
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.pages import PageRequest
from server.domains.connectors.connections.audit_events import about
from server.domains.connectors.connections.sessions import SessionVault, new_sync_id
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.errors import (
    ConnectorNotFound,
    NotConnected,
    ReauthRequired,
    SyncNotFound,
)
from server.domains.connectors.model import Connector, RunState
from server.domains.connectors.records.store import RecordStore, StoredRecord
from server.domains.connectors.sync.store import SyncStore
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.sync")


@dataclass(frozen=True, slots=True)
class Triggered:
    """A run as it was started or found; `skipped` says why there is none."""

    sync_id: str | None
    estimated_duration: str | None = None
    skipped: str | None = None  # recent_success, user_not_active


@dataclass(frozen=True)
class SyncService:
    _changes: RecordedChanges
    _connectors: ConnectorStore
    _syncs: SyncStore
    _records: RecordStore
    _sessions: SessionVault
    _wake: Callable[[], None]

    async def status(self, connector_id: str) -> Connector:
        """Raises ConnectorNotFound."""
        return await self._get(connector_id)

    async def trigger(
        self,
        connector_id: str,
        data_types: Sequence[str],
        reply: KeyedReply | None = None,
        *,
        force: bool,
    ) -> Triggered:
        """Start a run, or find the one under way.

        Raises ConnectorNotFound, NotConnected, ReauthRequired or InvalidRequest.
        """
        while True:
            connector = await self._get(connector_id)
            if not connector.live:
                if connector.status == "expired" or connector.login_pending:
                    raise ReauthRequired(await self._sessions.login_url(connector))
                raise NotConnected
            _require_granted(connector, data_types)
            if connector.sync.run is not None:
                return Triggered(connector.sync.run.sync_id, connector.estimated_duration())
            if connector.sync.paused:
                return Triggered(connector.last_sync_id, skipped="user_not_active")
            if not force and _synced_recently(connector):
                return Triggered(connector.last_sync_id, skipped="recent_success")
            started = await self._changes.make(
                partial(self._start, connector, data_types),
                partial(_event, "sync.requested", connector),
                reply,
            )
            if started is not None:
                _log.info("sync requested", connector_id=connector.id, sync_id=started.sync_id)
                self._wake()
                return started

    async def _start(
        self, connector: Connector, data_types: Sequence[str], session: ClientSession | None
    ) -> Triggered | None:
        sync_id = new_sync_id()
        wanted = await self._syncs.request_run(connector.id, sync_id, list(data_types), session)
        return Triggered(sync_id, connector.estimated_duration()) if wanted else None

    async def get(self, connector_id: str, sync_id: str) -> RunState:
        """Raises ConnectorNotFound or SyncNotFound."""
        connector = await self._get(connector_id)
        state = connector.run_state(sync_id)
        if state is None:
            raise SyncNotFound
        return state

    async def cancel(
        self, connector_id: str, sync_id: str, reply: KeyedReply | None = None
    ) -> tuple[RunState, bool]:
        """Cancel a run; how it stands now, and whether this call ended it.

        Raises ConnectorNotFound or SyncNotFound.
        """
        while True:
            state = await self.get(connector_id, sync_id)
            if state.finished:
                return state, False
            connector = await self._get(connector_id)
            cancelled = await self._changes.make(
                partial(self._cancel, connector_id, sync_id),
                partial(_event, "sync.cancelled", connector),
                reply,
            )
            if cancelled is not None:
                _log.info("sync cancelled", connector_id=connector_id, sync_id=sync_id)
                return cancelled

    async def _cancel(
        self, connector_id: str, sync_id: str, session: ClientSession | None
    ) -> tuple[RunState, bool] | None:
        cancelled = await self._syncs.cancel(connector_id, sync_id, session)
        state = cancelled.run_state(sync_id) if cancelled else None
        return (state, True) if state else None

    async def update_settings(
        self,
        connector_id: str,
        interval: int | None,
        data_types: Sequence[str],
        auto_sync: bool | None,
        reply: KeyedReply | None = None,
    ) -> Connector:
        """Change what is given and leave the rest. Raises ConnectorNotFound or InvalidRequest."""
        given = {
            "connectionDetails.syncInterval": interval,
            "metadata.dataTypes": list(data_types) or None,
            "sync.auto": auto_sync,
        }
        fields = {path: value for path, value in given.items() if value is not None}
        if not fields:
            raise InvalidRequest("Nothing to update: send syncInterval, dataTypes or autoSync")
        while True:
            connector = await self._get(connector_id)
            _require_granted(connector, data_types)
            changed = await self._changes.make(
                partial(self._syncs.set_settings, connector.id, fields, list(data_types)),
                partial(about, "sync.settings_changed", fields=sorted(fields)),
                reply,
            )
            if changed is not None:
                break
        _log.info("sync settings changed", connector_id=connector.id, fields=sorted(fields))
        self._wake()
        return changed

    async def records(
        self, connector_id: str, data_type: str | None, wanted: PageRequest
    ) -> tuple[list[StoredRecord], str | None]:
        """One page of what syncs kept. Raises ConnectorNotFound or InvalidRequest."""
        connector = await self._get(connector_id)
        return await self._records.page(connector.records_id, data_type, wanted)

    async def _get(self, connector_id: str) -> Connector:
        connector = await self._connectors.get(connector_id)
        if connector is None:
            raise ConnectorNotFound
        return connector


def _event(action: str, connector: Connector, _: object) -> Event:
    return about(action, connector)


def _require_granted(connector: Connector, data_types: Sequence[str]) -> None:
    refused = [name for name in data_types if name not in connector.permissions]
    if refused:
        granted = ", ".join(connector.permissions)
        raise InvalidRequest.of(
            "dataTypes",
            f"{', '.join(refused)} not granted to this connector; granted are {granted}",
        )


def _synced_recently(connector: Connector) -> bool:
    if connector.totals.last_success_at is None:
        return False
    return utc_now() - connector.totals.last_success_at < timedelta(minutes=connector.sync.interval)
