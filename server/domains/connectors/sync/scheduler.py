"""Runs what is due: every worker claims connectors from MongoDB and works on several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.records.store import RecordStore
from server.domains.connectors.sync.renewals import SessionRenewals
from server.domains.connectors.sync.runner import SyncRunner, tells_of_abandoned
from server.domains.connectors.sync.store import SyncStore
from server.observability.logging import cause_of

_log = structlog.stdlib.get_logger("finlink.sync")

POLL_SECONDS = 1.0
RETRY_SECONDS = 2.0  # after the database failed
RENEW_SECONDS = 2.0
ERASE_SECONDS = 5.0
LOOP_END_SECONDS = 5.0  # for a call to the database or a renewal that is under way
LATE_SECONDS = 3.0  # for a loop that was cancelled


class SyncScheduler:
    """`start` it once; `stop` gives unfinished runs back."""

    def __init__(
        self,
        syncs: SyncStore,
        records: RecordStore,
        renewals: SessionRenewals,
        runner: SyncRunner,
        concurrency: int,
    ) -> None:
        self._syncs = syncs
        self._records = records
        self._renewals = renewals
        self._runner = runner
        self._concurrency = concurrency
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self._runs: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._none_left_until = 0.0  # of runs that dead workers left, as far as was seen

    def start(self) -> None:
        self._loops = [
            asyncio.create_task(self._claim_forever()),
            # Renew sessions that are about to end, and erase the records of removed connectors.
            asyncio.create_task(self._repeat(self._renewals.look_after_some, RENEW_SECONDS)),
            asyncio.create_task(self._repeat(self._records.erase_some, ERASE_SECONDS)),
        ]

    def wake(self) -> None:
        """Something became due just now."""
        self._wake.set()

    async def stop(self, grace: float) -> None:
        """Claim nothing more; runs have `grace` seconds to end, then they are handed back."""
        self._stopping.set()
        self._wake.set()
        # Not cancelled: a claim that is being made would be lost between MongoDB and here.
        _, late = await asyncio.wait(self._loops, timeout=LOOP_END_SECONDS)
        for loop in late:
            loop.cancel()
        if late:
            await asyncio.wait(late, timeout=LATE_SECONDS)
        if self._runs:
            await asyncio.wait(self._runs, timeout=grace)
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    async def _claim_forever(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            pause = POLL_SECONDS
            try:
                while self._has_room() and await self._claim_one():
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may work
                _log.warning("cannot claim due connectors", **cause_of(error))
                pause = RETRY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    def _has_room(self) -> bool:
        return len(self._runs) < self._concurrency and not self._stopping.is_set()

    async def _claim_one(self) -> bool:
        """Claim a due connector and start its run; False where none is due."""
        look = asyncio.get_running_loop().time() >= self._none_left_until
        claimed = await self._syncs.claim(new_sync_id(), look_for_left=look)
        if look and not (claimed and tells_of_abandoned(claimed)):
            self._none_left_until = asyncio.get_running_loop().time() + POLL_SECONDS
        if claimed is None:
            return False
        run = asyncio.create_task(self._runner.run(claimed))
        self._runs.add(run)
        run.add_done_callback(self._finished)
        return True

    def _finished(self, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        self._wake.set()  # there is room again
        if not run.cancelled() and (error := run.exception()) is not None:
            # Its claim lapses, and whoever takes it over writes it off as abandoned.
            _log.error("sync run broken off", **cause_of(error))

    async def _repeat(self, some: Callable[[], Awaitable[bool]], pause: float) -> None:
        """Do `some` of a job until nothing is left of it, again each `pause` seconds."""
        while not self._stopping.is_set():
            try:
                while not self._stopping.is_set() and await some():
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may work
                _log.warning("background work failed", **cause_of(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
