"""One sync run: from a claimed connector to a finished history entry."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from server.core.clock import utc_now
from server.domains.connectors import metrics
from server.domains.connectors.connections.audit_events import about, of_run
from server.domains.connectors.connections.renewal import SessionRenewal
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.model import ABANDONED, FAILURES_TO_ERROR, MAX_INTERVAL, Connector
from server.domains.connectors.records.store import RecordStore
from server.domains.connectors.sync.fetching import Fetching
from server.domains.connectors.sync.reporter import RunReporter
from server.domains.connectors.sync.run import SyncRun
from server.domains.connectors.sync.store import Outcome, SyncStore, progress
from server.domains.connectors.trends.recorder import TrendRecorder
from server.jobs.queue import Job, LeaseLost
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
from server.storage.driver import ClientSession
from server.storage.persistence import persistently

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
        renewal: SessionRenewal,
        trends: TrendRecorder,
    ) -> None:
        self._changes = changes
        self._connectors = connectors
        self._syncs = syncs
        self._renewal = renewal
        self._fetching = Fetching(syncs, records, renewal)
        self._trends = trends

    async def run(self, job: Job[Connector]) -> None:
        """Do the run of a claimed connector. Cancelled, it hands the run back for another worker."""
        connector, run = job.item, job.item.sync.run
        report = RunReporter(connector, run, self._trends)
        if job.abandoned:  # the claim has written off a run that another worker left
            report.abandoned(connector.history[0])
            event = about("sync.failed", connector, code=ABANDONED)
            await persistently(lambda: self._changes.record(event))
        if run is None:  # nothing is to run after all; the claim has settled that
            return
        sync_id.set(run.sync_id)  # for all that is logged on the way, and for the platform
        report.begun(run)
        sync = SyncRun(job, run, report, list(run.done))
        with metrics.SYNCS_RUNNING.track_inprogress():
            try:
                await self._syncs.jobs.run(job, self._work(sync), lambda: progress(sync.done()))
            except LeaseLost:
                report.lost()
            except asyncio.CancelledError:
                report.log.info("sync handed back")
                raise

    async def _work(self, sync: SyncRun) -> None:
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await self._fetching.fetch_all(sync)
        except TimeoutError:
            sync.failure = PlatformError("The sync took too long and was broken off")
        except PlatformError as error:
            sync.failure = error
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - a run that fails must end as one
            sync.report.log.error("sync run failed", **cause_of(error))
            sync.failure = RunFailed("The sync failed for a reason of Finlink's own")
        if isinstance(sync.failure, Throttled) and utc_now() < sync.run.requested_at + MAY_WAIT:
            await self._defer(sync, sync.failure)
        elif isinstance(sync.failure, SessionEnded):
            await self._expire(sync)
        else:
            await self._finish(sync)

    async def _defer(self, sync: SyncRun, throttled: Throttled) -> None:
        """The platform, or its budget, wants fewer calls: the run keeps what it has and waits."""
        wait = throttled.retry_after or timedelta(
            seconds=min(2**sync.run.deferrals, LONGEST_WAIT_SECONDS)
        )
        wait += wait * random.uniform(0, JITTER)  # noqa: S311 - so that not all come back at once
        if not await self._syncs.defer(sync.job, wait, sync.done()):
            raise LeaseLost
        sync.report.deferred(wait, str(throttled))

    async def _finish(self, sync: SyncRun) -> None:
        entry, connector = sync.entry(), sync.connector
        failures = connector.sync.failures + 1 if entry.status == "failed" else 0
        status: str = connector.status
        if entry.status == "success":
            status = "connected"
        elif failures >= FAILURES_TO_ERROR:
            status = "error"
        outcome = Outcome(entry, failures, status, sync.error(entry), responses=sync.responses)
        if isinstance(sync.failure, PlatformUnavailable):
            outcome = _after_outage(outcome, connector, sync.missing(), sync.failure)
        if not await persistently(partial(self._end, sync, outcome)):
            raise LeaseLost
        sync.report.ended(entry)

    async def _end(self, sync: SyncRun, outcome: Outcome) -> bool:
        events = of_run(sync.connector, outcome.entry)
        if not events:
            with self._changes.changing(sync.connector.user_id):
                return await self._syncs.finish(sync.job, outcome)

        async def work(transaction: ClientSession) -> bool | None:
            return await self._syncs.finish(sync.job, outcome, transaction) or None

        return await self._changes.make(work, lambda _: events, None) is True

    async def _expire(self, sync: SyncRun) -> None:
        """The platform ended the session: say so, and prepare the login that is needed."""
        entry = sync.entry()
        error = sync.error(entry)
        ended = None
        if error is not None:
            where = self._syncs.jobs.under_lease(sync.job)
            expire = partial(self._connectors.expire, sync.connector, where, entry, error)
            event_of = partial(about, "session.expired", code=error.error_code)
            ended = await persistently(lambda: self._changes.make(expire, event_of, None))
        if ended is None:  # refreshed meanwhile: the next run sees the session that there is now
            await self._finish(sync)
            return
        sync.report.ended(entry)
        sync.report.log.warning("session expired", cause=entry.error_message)
        await self._renewal.prepare_login(ended)


def _after_outage(
    outcome: Outcome, connector: Connector, missing: Sequence[str], outage: PlatformUnavailable
) -> Outcome:
    """The next run, where a few may still come soon, is about what is missing."""
    outages = connector.sync.outages + 1
    not_within = min(outage.retry_after or timedelta(0), MAX_INTERVAL)
    if outages > CATCH_UPS or outcome.status == "error":
        return replace(outcome, outages=outages, not_within=not_within)
    retry_in = FIRST_CATCH_UP * 2 ** (outages - 1)
    retry_in += retry_in * random.uniform(0, JITTER)  # noqa: S311 - so that not all come back at once
    return replace(
        outcome, outages=outages, pending=missing, retry_in=retry_in, not_within=not_within
    )
