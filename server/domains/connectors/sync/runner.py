"""One sync run: from a claimed connector to a finished history entry."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from server.core.clock import utc_now
from server.domains.connectors import metrics
from server.domains.connectors.audit_events import about, of_run
from server.domains.connectors.connections.logins import Logins
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.model import (
    ABANDONED,
    FAILURES_TO_ERROR,
    MAX_INTERVAL,
    Connector,
    ErrorEntry,
    HistoryEntry,
    Missing,
    Run,
)
from server.domains.connectors.records.store import RecordStore
from server.domains.connectors.sync.fetching import ClaimLost, Fetching, Progress
from server.domains.connectors.sync.store import CLAIM_LIFE, Outcome, SyncStore, under_way
from server.domains.connectors.sync.telling import Telling
from server.domains.connectors.trends.recorder import TrendRecorder
from server.observability.logging import cause_of, sync_id
from server.platforms.base import (
    PermissionRefused,
    PlatformDataError,
    PlatformError,
    PlatformUnavailable,
    SessionEnded,
    Throttled,
)
from server.storage.changes import RecordedChanges
from server.storage.driver import Session as Transaction
from server.storage.persistence import persistently

HEARTBEAT_SECONDS = 5.0
HEARTBEAT_RETRY_SECONDS = 1.0  # after the database failed
RUN_SECONDS = 300.0  # a run that takes longer is broken off
MAY_WAIT = timedelta(hours=1)  # a throttled run, from when it was asked for
LONGEST_WAIT_SECONDS = 60
JITTER = 0.25
# After an outage of the platform a few runs come sooner than the interval, each later than the one
# before, and fetch only what is missing.
CATCH_UPS = 3
FIRST_CATCH_UP = timedelta(seconds=30)


class RunFailed(PlatformError):
    """A fault of ours; what it was is in the log."""

    code = "INTERNAL"


# The codes that a failed run may have.
FAILURES = (
    *(
        error.code
        for error in (
            PlatformError, SessionEnded, PermissionRefused, PlatformUnavailable, Throttled,
            PlatformDataError, RunFailed,
        )
    ),
    ABANDONED,
)  # fmt: skip


class SyncRunner:
    def __init__(
        self,
        changes: RecordedChanges,
        connectors: ConnectorStore,
        syncs: SyncStore,
        records: RecordStore,
        logins: Logins,
        trends: TrendRecorder,
    ) -> None:
        self._changes = changes
        self._connectors = connectors
        self._syncs = syncs
        self._logins = logins
        self._fetching = Fetching(syncs, records, logins)
        self._trends = trends

    async def run(self, claimed: Connector) -> None:
        """Do the run of a claimed connector. Cancelled, it gives the run back for another worker."""
        telling = Telling(claimed, claimed.run, self._trends)
        await self._tell_of_abandoned(claimed, telling)
        if claimed.run is None:  # nothing is to run after all; the claim has settled that
            return
        sync_id.set(claimed.run.sync_id)  # for all that is logged on the way, and for the platform
        telling.begun(claimed.run)
        with metrics.SYNCS_RUNNING.track_inprogress():
            await self._run(claimed, claimed.run, telling)

    async def _run(self, claimed: Connector, run: Run, telling: Telling) -> None:
        progress = Progress(list(run.done))
        work = asyncio.create_task(self._work(claimed, run, progress, telling))
        heartbeat = asyncio.create_task(self._heartbeat(claimed, progress, telling.log))
        try:
            done, _ = await asyncio.wait({work, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
            if work not in done:
                raise ClaimLost
            work.result()
        except ClaimLost:
            telling.lost()
        except asyncio.CancelledError:
            await _ended(work)
            await asyncio.shield(self._syncs.release(claimed, progress.counts))
            telling.log.info("sync handed back")
            raise
        finally:
            await _ended(work, heartbeat)

    async def _tell_of_abandoned(self, claimed: Connector, telling: Telling) -> None:
        """The claim may have written off a run that another worker left."""
        if tells_of_abandoned(claimed):
            telling.abandoned(claimed.history[0])
            event = about("sync.failed", claimed, code=ABANDONED)
            await persistently(lambda: self._changes.tell(event))

    async def _heartbeat(
        self, claimed: Connector, progress: Progress, log: structlog.stdlib.BoundLogger
    ) -> None:
        """Keep the claim, and tell what was fetched and changed nothing.

        It returns once the claim is lost, or could not be kept for as long as it lasts.
        """
        now = asyncio.get_running_loop().time
        kept, pause = now(), HEARTBEAT_SECONDS
        while now() - kept < CLAIM_LIFE.total_seconds():
            await asyncio.sleep(pause)
            try:
                if not await self._syncs.keep(claimed, progress.counts):
                    return
            except Exception as error:  # noqa: BLE001 - the claim may still hold; the next beat tells
                log.warning("heartbeat failed", cause=type(error).__name__)
                pause = HEARTBEAT_RETRY_SECONDS
            else:
                kept, pause = now(), HEARTBEAT_SECONDS

    async def _work(
        self,
        claimed: Connector,
        run: Run,
        progress: Progress,
        telling: Telling,
    ) -> None:
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await self._fetching.fetch_all(claimed, run, progress)
        except TimeoutError:
            progress.failure = PlatformError("The sync took too long and was broken off")
        except PlatformError as error:
            progress.failure = error
        except ClaimLost:
            raise
        except Exception as error:  # noqa: BLE001 - a run that fails must end as one
            telling.log.error("sync run failed", **cause_of(error))
            progress.failure = RunFailed("The sync failed for a reason of Finlink's own")
        if isinstance(progress.failure, Throttled) and _may_wait(run):
            await self._defer(claimed, run, progress, progress.failure, telling)
        elif isinstance(progress.failure, SessionEnded):
            await self._expire(claimed, run, progress, telling)
        else:
            await self._finish(claimed, run, progress, telling)

    async def _defer(
        self,
        claimed: Connector,
        run: Run,
        progress: Progress,
        throttled: Throttled,
        telling: Telling,
    ) -> None:
        """The platform, or its budget, wants fewer calls: the run keeps what it has and waits."""
        wait = throttled.retry_after or timedelta(
            seconds=min(2**run.deferrals, LONGEST_WAIT_SECONDS)
        )
        wait += wait * random.uniform(0, JITTER)  # noqa: S311 - so that not all come back at once
        if not await self._syncs.defer(claimed, wait, progress.counts):
            raise ClaimLost
        telling.deferred(wait, str(throttled))

    async def _finish(
        self, claimed: Connector, run: Run, progress: Progress, telling: Telling
    ) -> None:
        entry = _entry(run, progress)
        failures = claimed.failures + 1 if entry.status == "failed" else 0
        status: str = claimed.status
        if entry.status == "success":
            status = "connected"
        elif failures >= FAILURES_TO_ERROR:
            status = "error"
        error = _error_entry(progress.failure, entry.synced_at)
        outcome = Outcome(entry, failures, status, error, answers=progress.answers)
        if isinstance(progress.failure, PlatformUnavailable):
            outcome = _after_outage(outcome, claimed, progress.missing(run), progress.failure)
        if not await persistently(partial(self._end, claimed, outcome)):
            raise ClaimLost
        telling.ended(entry)

    async def _end(self, claimed: Connector, outcome: Outcome) -> bool:
        events = of_run(claimed, outcome.entry)
        if not events:
            with self._changes.changing(claimed.user_id):
                return await self._syncs.finish(claimed, outcome)

        async def work(transaction: Transaction) -> bool | None:
            return await self._syncs.finish(claimed, outcome, transaction) or None

        return await self._changes.make(work, lambda _: events, answers=False) is True

    async def _expire(
        self, claimed: Connector, run: Run, progress: Progress, telling: Telling
    ) -> None:
        """The platform ended the session: say so, and prepare the login that is needed."""
        entry = _entry(run, progress)
        error = _error_entry(progress.failure, entry.synced_at)
        ended = None
        if error is not None:
            expire = partial(self._connectors.expire, claimed, under_way(claimed), entry, error)
            told = partial(about, "session.expired", code=error.code)
            ended = await persistently(lambda: self._changes.make(expire, told, answers=False))
        if ended is None:  # refreshed meanwhile: the next run sees what holds now
            await self._finish(claimed, run, progress, telling)
            return
        telling.ended(entry)
        telling.log.warning("session expired", cause=entry.error_message)
        await self._logins.prepare(ended)


def tells_of_abandoned(claimed: Connector) -> bool:
    """Whether the claim has written off a run that another worker left."""
    newest = claimed.history[0] if claimed.history else None
    return (
        newest is not None
        and newest.error_code == ABANDONED
        and newest.synced_at == claimed.updated_at
    )


def _after_outage(
    outcome: Outcome, claimed: Connector, missing: Sequence[str], outage: PlatformUnavailable
) -> Outcome:
    """The next run, where a few may still come soon, is about what is missing."""
    outages = claimed.outages + 1
    not_within = min(outage.retry_after or timedelta(0), MAX_INTERVAL)
    if outages > CATCH_UPS or outcome.status == "error":
        return replace(outcome, outages=outages, not_within=not_within)
    retry_in = FIRST_CATCH_UP * 2 ** (outages - 1)
    retry_in += retry_in * random.uniform(0, JITTER)  # noqa: S311 - so that not all come back at once
    return replace(outcome, outages=outages, owed=missing, retry_in=retry_in, not_within=not_within)


def _may_wait(run: Run) -> bool:
    return utc_now() - run.requested_at < MAY_WAIT


async def _ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel the tasks, again where a driver loses a cancellation, until they have ended."""
    going = {task for task in tasks if not task.done()}
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)


def _entry(run: Run, progress: Progress) -> HistoryEntry:
    failure = progress.failure
    status = "success" if failure is None else "partial" if progress.counts else "failed"
    fetched = failure is None or bool(progress.counts)
    return HistoryEntry(
        synced_at=utc_now(),
        status=status,
        records_count=sum(count.records for count in progress.counts) if fetched else None,
        added_count=sum(count.added for count in progress.counts) if fetched else None,
        error_message=str(failure) if failure else None,
        error_code=failure.code if failure else None,
        sync_id=run.sync_id,
        started_at=run.began_at or run.started_at,
        counts=tuple(progress.counts),
        missing=_missing(run, progress, failure) if failure and status == "partial" else (),
    )


def _missing(run: Run, progress: Progress, failure: PlatformError) -> tuple[Missing, ...]:
    """Each for a reason of its own, or because `failure` ended the run before its turn."""
    brought = {count.data_type for count in progress.counts}
    lacking = [data_type for data_type in run.data_types if data_type not in brought]
    causes = [(data_type, progress.failures.get(data_type, failure)) for data_type in lacking]
    return tuple(Missing(data_type, cause.code, str(cause)) for data_type, cause in causes)


def _error_entry(failure: PlatformError | None, now: datetime) -> ErrorEntry | None:
    return ErrorEntry(failure.code, str(failure), now) if failure else None
