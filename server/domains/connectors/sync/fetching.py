"""Fetches the data of a run: each data type as a whole, stored unless it is the same as last time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from finlink_words import DataType

from server.domains.connectors.connections.renewal import SessionRenewal
from server.domains.connectors.model import DataTypeCount, ResponseDigest
from server.domains.connectors.records.store import RecordStore, digest, response_digest
from server.domains.connectors.sync.run import SyncRun
from server.domains.connectors.sync.store import SyncStore
from server.jobs.queue import LeaseLost
from server.platforms.base import (
    Contents,
    Fetched,
    PermissionRefused,
    PlatformDataError,
    PlatformError,
    PlatformUnavailable,
    Reading,
    SessionEnded,
    Throttled,
)
from server.platforms.contents import in_part
from server.storage.driver import ClientSession
from server.storage.persistence import persistently

NOTE_SECONDS = (
    1.0  # how often a run that changes nothing says how far it is, which finds a lost lease too
)


@dataclass(frozen=True, slots=True)
class _Found:
    """A data type as fetched: how many items, and why it lacks some."""

    count: int
    faults: Sequence[PlatformError] = ()
    new: Contents | None = None  # if it is not what was stored last
    digest: str | None = None


class Fetching:
    """Fetches and keeps what runs are about. Raises PlatformError, and LeaseLost."""

    def __init__(self, syncs: SyncStore, records: RecordStore, renewal: SessionRenewal) -> None:
        self._syncs = syncs
        self._records = records
        self._renewal = renewal

    async def fetch_all(self, sync: SyncRun) -> None:
        """Fetch and keep each data type, under a renewed session if the first has ended.

        One that the platform fails to give does not keep the others away; two mean that it is away.
        """
        connector = sync.connector
        session = await persistently(partial(self._renewal.session, connector))
        platform = self._renewal.platform(connector)
        wanted, renewed = sync.missing(), False
        while wanted:
            try:
                async with platform.reading(session) as reading:
                    while wanted:
                        await self._fetch(sync, reading, wanted[0])
                        wanted, renewed = wanted[1:], False
            except SessionEnded:
                if renewed:
                    raise
                session = await persistently(partial(self._renewal.renew, connector))
                renewed = True

    async def _fetch(self, sync: SyncRun, reading: Reading, data_type: str) -> None:
        """Fetch and keep one data type, or the part of it that can be read."""
        try:
            # A platform's budget is in MongoDB.
            fetched = await persistently(lambda: reading.fetch(cast("DataType", data_type)))
            found = self._read(sync, data_type, fetched)
        except Throttled:
            raise
        except PlatformUnavailable as error:
            if sync.is_platform_away():
                raise
            sync.fail(data_type, error)
        except (PermissionRefused, PlatformDataError) as error:
            sync.fail(data_type, error)  # the other data types may be allowed, and right
        else:
            if found.faults:
                sync.fail(data_type, in_part(found.faults))
            await self._keep(sync, data_type, found)

    def _read(self, sync: SyncRun, data_type: str, fetched: Fetched) -> _Found:
        records_id, state = sync.connector.records_id, sync.connector.sync
        response = response_digest(records_id, fetched.digest)
        known, stored = state.responses.get(data_type), state.stored.get(data_type)
        if known is not None and (known.digest, known.stored) == (response, stored):
            return _Found(known.records)
        contents = fetched.contents()
        found = digest(records_id, contents)
        count = len(contents.items)
        if not contents.faults:  # those would not be found again in a response that is not read
            sync.responses[data_type] = ResponseDigest(response, found, count)
        # A part that this run may have stored itself counts as new once more.
        if found == stored and not (contents.faults and sync.resumed):
            return _Found(count, contents.faults)
        return _Found(count, contents.faults, contents, found)

    async def _keep(self, sync: SyncRun, data_type: str, found: _Found) -> None:
        """Store what was fetched; nothing if it is what was stored last."""
        contents, count = found.new, found.count
        if contents is None:
            sync.counts.append(DataTypeCount(data_type, count, 0))
            await self._note_unchanged(sync)
            return

        async def note(session: ClientSession, added: int | None) -> None:
            # However the run ends: these items were new to this run only.
            done = sync.done(DataTypeCount(data_type, count, added or 0))
            whole = None if added is None else found.digest
            if not await self._syncs.note_kept(sync.job, data_type, whole, done, session):
                raise LeaseLost

        added = await self._records.keep(
            sync.connector.records_id,
            data_type,
            contents.items,
            sync.run.sync_id,
            note,
            again=sync.resumed,
            closes=data_type == "portfolio" and not contents.faults,
            periods=contents.periods,
            in_part=bool(contents.faults),
        )
        sync.counts.append(DataTypeCount(data_type, count, added))

    async def _note_unchanged(self, sync: SyncRun) -> None:
        """For the first data type that changed nothing, then now and then: the run's end notes all."""
        now = asyncio.get_running_loop().time
        lately = sync.noted_at is not None and now() - sync.noted_at < NOTE_SECONDS
        if lately or not sync.missing():
            return
        if not await persistently(partial(self._syncs.keep, sync.job, sync.done())):
            raise LeaseLost
        sync.noted_at = now()
