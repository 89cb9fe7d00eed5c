"""One sync run: from a claimed connector to a finished history entry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from server.clock import utc_now
from server.connectors.model import (
    FAILURES_TO_ERROR,
    Connector,
    DataTypeCount,
    ErrorEntry,
    HistoryEntry,
    Run,
)
from server.connectors.platforms.base import (
    LoginRequired,
    PermissionRefused,
    Platform,
    PlatformError,
    Session,
    SessionEnded,
)
from server.connectors.records import DataType
from server.connectors.sessions import SessionVault, new_sync_id
from server.connectors.store import ConnectorStore
from server.connectors.sync.records import RecordStore
from server.connectors.sync.store import Outcome, SyncStore
from server.security.encryption import Undecipherable

_log = structlog.stdlib.get_logger("finlink.sync")

HEARTBEAT_SECONDS = 5.0
RUN_SECONDS = 300.0  # a run that takes longer is broken off


class ClaimLost(Exception):
    """Another worker has the connector, or it was disconnected: nothing more may be written."""


@dataclass(slots=True)
class _Progress:
    counts: list[DataTypeCount] = field(default_factory=list)
    failure: PlatformError | None = None


class SyncRunner:
    def __init__(
        self,
        platforms: Mapping[str, Platform],
        connectors: ConnectorStore,
        syncs: SyncStore,
        records: RecordStore,
        sessions: SessionVault,
    ) -> None:
        self._platforms = platforms
        self._connectors = connectors
        self._syncs = syncs
        self._records = records
        self._sessions = sessions

    async def run(self, claimed: Connector) -> None:
        """Do what a claimed connector is due for. Cancelled, it gives the run back for another worker."""
        abandoned = _abandoned(claimed)
        if abandoned is not None:
            _log.warning("sync abandoned", connector_id=claimed.id, sync_id=abandoned.sync_id)
        unwanted = claimed.run is None and not claimed.auto_sync
        if claimed.paused or unwanted:
            await self._syncs.stand_still(claimed, abandoned)
            return
        run = _next_run(claimed, abandoned is not None)
        if not await self._syncs.start(claimed, run, abandoned):
            return
        if abandoned is not None:
            claimed = replace(claimed, failures=claimed.failures + 1)
        log = _log.bind(connector_id=claimed.id, platform=claimed.platform, sync_id=run.sync_id)
        log.info("sync started", data_types=list(run.data_types))
        heartbeat = asyncio.create_task(self._heartbeat(claimed))
        try:
            work = asyncio.create_task(self._work(claimed, run, log))
            done, _ = await asyncio.wait({work, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
            if work in done:
                work.result()
            else:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                log.warning("sync lost its claim")
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await asyncio.shield(self._syncs.release(claimed, run))
            log.info("sync handed back")
            raise
        except ClaimLost:
            log.warning("sync lost its claim")
        finally:
            heartbeat.cancel()

    async def _heartbeat(self, claimed: Connector) -> None:
        """Keep the claim until it is lost."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if not await self._syncs.keep(claimed):
                return

    async def _work(self, claimed: Connector, run: Run, log: structlog.stdlib.BoundLogger) -> None:
        progress = _Progress()
        platform = self._platforms[claimed.platform]
        try:
            session = self._sessions.open(claimed)
        except Undecipherable as error:
            log.error("session does not open", cause=str(error))
            progress.failure = SessionEnded("The stored session cannot be read; log in again")
            session = None
        if session is not None:
            try:
                async with asyncio.timeout(RUN_SECONDS):
                    await self._fetch(claimed, run, platform, session, progress)
            except TimeoutError:
                progress.failure = PlatformError("The sync took too long and was broken off")
        if isinstance(progress.failure, SessionEnded):
            await self._expire(claimed, run, platform, session, progress, log)
        else:
            await self._finish(claimed, run, progress, log)

    async def _fetch(
        self,
        claimed: Connector,
        run: Run,
        platform: Platform,
        session: Session,
        progress: _Progress,
    ) -> None:
        """Fetch and keep each data type; what failed is in `progress`."""
        for data_type in run.data_types:
            wanted: DataType = data_type  # type: ignore[assignment]
            try:
                items = await platform.fetch(session, wanted)
            except PlatformError as error:
                progress.failure = error
                if isinstance(error, PermissionRefused):
                    continue  # the other data types may be allowed
                return
            if not await self._syncs.keep(claimed):
                raise ClaimLost
            added = await self._records.keep(claimed.id, data_type, items, run.sync_id)
            if data_type == "portfolio":
                await self._records.close_unseen(claimed.id, data_type, run.sync_id)
            progress.counts.append(DataTypeCount(data_type, len(items), added))

    async def _finish(
        self, claimed: Connector, run: Run, progress: _Progress, log: structlog.stdlib.BoundLogger
    ) -> None:
        now = utc_now()
        entry = _entry(run, progress, now)
        failures = claimed.failures + 1 if entry.status == "failed" else 0
        status: str = claimed.status
        if entry.status == "success":
            status = "connected"
        elif failures >= FAILURES_TO_ERROR:
            status = "error"
        pause = (
            claimed.pause_after_failures(failures)
            if status == "error"
            else timedelta(minutes=claimed.sync_interval)
        )
        # Read again: the settings may have changed while the run was under way.
        current = await self._connectors.get(claimed.id)
        goes_on = current is not None and current.auto_sync and not current.paused
        if current is not None and status != "error":
            pause = timedelta(minutes=current.sync_interval)
        outcome = Outcome(
            entry=entry,
            failures=failures,
            status=status,
            next_sync_at=now + pause if goes_on else None,
            error=_error_entry(progress.failure, now),
        )
        if not await self._syncs.finish(claimed, outcome):
            raise ClaimLost
        facts = {"status": entry.status, "records": entry.records_count, "added": entry.added_count}
        if entry.status == "success":
            log.info("sync finished", **facts)
        else:
            log.warning(
                "sync finished", **facts, error_code=entry.error_code, cause=entry.error_message
            )

    async def _expire(
        self,
        claimed: Connector,
        run: Run,
        platform: Platform,
        session: Session | None,
        progress: _Progress,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """The platform ended the session: say so, and prepare the login that is needed."""
        now = utc_now()
        ended = await self._connectors.end_session(
            claimed,
            status="expired",
            error=_error_entry(progress.failure, now),
            finished=_entry(run, progress, now),
        )
        if ended is None:  # refreshed or disconnected meanwhile: the next run sees what holds now
            await self._finish(claimed, run, progress, log)
            return
        log.warning("session expired", cause=str(progress.failure))
        if session is not None:
            await self._prepare_login(ended, platform, session)

    async def _prepare_login(self, ended: Connector, platform: Platform, session: Session) -> None:
        try:
            login = await platform.complete(session.secrets, {})
        except PlatformError:
            return  # RefreshSession will try again
        if isinstance(login, LoginRequired):
            sealed = self._sessions.seal_login(ended.user_id, ended.platform, login)
            await self._connectors.set_login(ended.id, ended.generation, sealed)


def _abandoned(claimed: Connector) -> HistoryEntry | None:
    """The run that another worker began and left, as a history entry."""
    if claimed.run is None or claimed.run.started_at is None:
        return None
    return HistoryEntry(
        synced_at=utc_now(),
        status="failed",
        error_code="RUN_ABANDONED",
        error_message="The worker of this run stopped; the run was taken over",
        sync_id=claimed.run.sync_id,
        started_at=claimed.run.started_at,
    )


def _next_run(claimed: Connector, was_abandoned: bool) -> Run:
    now = utc_now()
    wanted = claimed.run
    if wanted is None:
        return Run(new_sync_id(), claimed.data_types, now, now)
    sync_id = new_sync_id() if was_abandoned else wanted.sync_id
    return Run(sync_id, wanted.data_types, wanted.requested_at, now)


def _entry(run: Run, progress: _Progress, now: datetime) -> HistoryEntry:
    failure = progress.failure
    status = "success" if failure is None else "partial" if progress.counts else "failed"
    fetched = failure is None or bool(progress.counts)
    return HistoryEntry(
        synced_at=now,
        status=status,
        records_count=sum(count.records for count in progress.counts) if fetched else None,
        added_count=sum(count.added for count in progress.counts) if fetched else None,
        error_message=str(failure) if failure else None,
        error_code=failure.code if failure else None,
        sync_id=run.sync_id,
        started_at=run.started_at,
        counts=tuple(progress.counts),
    )


def _error_entry(failure: PlatformError | None, now: datetime) -> ErrorEntry | None:
    return ErrorEntry(failure.code, str(failure), now) if failure else None
