"""What a run fetches: each data type whole, stored unless it is what was stored last."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from finlink_words import DataType

from server.domains.connectors.connections.logins import Logins
from server.domains.connectors.model import Answered, Connector, DataTypeCount, Run
from server.domains.connectors.records.store import RecordStore, answer_digest, digest
from server.domains.connectors.sync.store import SyncStore
from server.platforms.base import (
    Fetched,
    PermissionRefused,
    PlatformError,
    PlatformUnavailable,
    Reading,
    SessionEnded,
    Throttled,
)
from server.platforms.records import Item
from server.storage.driver import Session as Transaction
from server.storage.persistence import persistently

TELLS_SECONDS = 1.0  # how often a run that changes nothing tells so, which finds a lost claim too


class ClaimLost(Exception):
    """Another worker has the connector, or it was disconnected: nothing more may be written."""


@dataclass(slots=True)
class Progress:
    """What a run has brought so far."""

    counts: list[DataTypeCount] = field(default_factory=list)
    failures: dict[str, PlatformError] = field(
        default_factory=dict
    )  # by data type; the run went on
    failure: PlatformError | None = None  # of the run
    answers: dict[str, Answered] = field(default_factory=dict)  # those that are new
    told: float | None = None  # when it was last told what changed nothing, on the loop's clock

    def missing(self, run: Run) -> list[str]:
        """The data types that a later try may bring."""
        settled = {count.data_type for count in self.counts} | {
            data_type
            for data_type, failure in self.failures.items()
            if isinstance(failure, PermissionRefused)
        }
        return [data_type for data_type in run.data_types if data_type not in settled]


class Fetching:
    """Fetches and keeps what runs are about. Raises PlatformError, and ClaimLost."""

    def __init__(self, syncs: SyncStore, records: RecordStore, logins: Logins) -> None:
        self._syncs = syncs
        self._records = records
        self._logins = logins

    async def fetch_all(self, claimed: Connector, run: Run, progress: Progress) -> None:
        """Fetch and keep each data type, under a renewed session where the first has ended.

        One that the platform fails to give does not keep the others away; two mean that it is away.
        """
        session = await persistently(partial(self._logins.session, claimed))
        platform = self._logins.platform(claimed)
        goes_on = run.began_at != run.started_at  # of what it stored before it may not know
        wanted, renewed = progress.missing(run), False
        while wanted:
            try:
                async with platform.reading(session) as reading:
                    while wanted:
                        await self._fetch(claimed, run, reading, wanted[0], progress, again=goes_on)
                        wanted, renewed = wanted[1:], False
            except SessionEnded:
                if renewed:
                    raise
                session = await persistently(partial(self._logins.revive, claimed))
                renewed = True

    async def _fetch(
        self,
        claimed: Connector,
        run: Run,
        reading: Reading,
        data_type: str,
        progress: Progress,
        *,
        again: bool,
    ) -> None:
        """Fetch and keep one data type."""
        try:
            # A platform's budget is in MongoDB.
            fetched = await persistently(lambda: reading.fetch(cast("DataType", data_type)))
            items = self._unknown(claimed, data_type, fetched, progress)
        except PermissionRefused as error:
            progress.failures[data_type] = error
            progress.failure = progress.failure or error  # the other data types may be allowed
        except Throttled:
            raise
        except PlatformUnavailable as error:
            if isinstance(progress.failure, PlatformUnavailable):
                raise
            progress.failures[data_type] = progress.failure = error
        else:
            await self._keep(claimed, run, data_type, items, progress, again=again)

    def _unknown(
        self, claimed: Connector, data_type: str, fetched: Fetched, progress: Progress
    ) -> Sequence[Item] | int:
        """What was fetched; how many there are where it is what was stored last."""
        answer = answer_digest(claimed.records_id, fetched.digest)
        known, kept = claimed.answers.get(data_type), claimed.kept.get(data_type)
        if known is not None and (known.digest, known.kept) == (answer, kept):
            return known.records
        items = fetched.items()
        found = digest(claimed.records_id, items)
        progress.answers[data_type] = Answered(answer, found, len(items))
        return len(items) if found == kept else items

    async def _keep(
        self,
        claimed: Connector,
        run: Run,
        data_type: str,
        items: Sequence[Item] | int,
        progress: Progress,
        *,
        again: bool,
    ) -> None:
        """Store what was fetched; nothing where it is what was stored last."""
        if isinstance(items, int):
            progress.counts.append(DataTypeCount(data_type, items, 0))
            await self._tell(claimed, run, progress)
            return
        fetched = progress.answers[data_type].kept

        async def note(session: Transaction, added: int | None) -> None:
            # However the run ends, and whoever ends it: these items were new to this run only.
            done = [*progress.counts, DataTypeCount(data_type, len(items), added or 0)]
            whole = None if added is None else fetched
            if not await self._syncs.note_kept(claimed, data_type, whole, done, session):
                raise ClaimLost

        closes = data_type == "portfolio"
        added = await self._records.keep(
            claimed.records_id, data_type, items, run.sync_id, note, again=again, closes=closes
        )
        progress.counts.append(DataTypeCount(data_type, len(items), added))

    async def _tell(self, claimed: Connector, run: Run, progress: Progress) -> None:
        """Of the first data type that changed nothing, then now and then: the end of the run tells all."""
        now = asyncio.get_running_loop().time
        lately = progress.told is not None and now() - progress.told < TELLS_SECONDS
        if lately or not progress.missing(run):
            return
        if not await persistently(partial(self._syncs.keep, claimed, progress.counts)):
            raise ClaimLost
        progress.told = now()
