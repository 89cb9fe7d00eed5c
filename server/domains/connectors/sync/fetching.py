"""Fetches the data of a run: each data type as a whole, stored unless it is the same as last time."""

import asyncio
from collections.abc import Sequence
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
    Fetched,
    PermissionRefused,
    PlatformUnavailable,
    Reading,
    SessionEnded,
    Throttled,
)
from server.platforms.records import Item
from server.storage.driver import ClientSession
from server.storage.persistence import persistently

NOTE_SECONDS = (
    1.0  # how often a run that changes nothing says how far it is, which finds a lost lease too
)


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
        """Fetch and keep one data type."""
        try:
            # A platform's budget is in MongoDB.
            fetched = await persistently(lambda: reading.fetch(cast("DataType", data_type)))
            items = self._unknown(sync, data_type, fetched)
        except PermissionRefused as error:
            sync.failures[data_type] = error
            sync.failure = sync.failure or error  # the other data types may be allowed
        except Throttled:
            raise
        except PlatformUnavailable as error:
            if isinstance(sync.failure, PlatformUnavailable):
                raise
            sync.failures[data_type] = sync.failure = error
        else:
            await self._keep(sync, data_type, items)

    def _unknown(self, sync: SyncRun, data_type: str, fetched: Fetched) -> Sequence[Item] | int:
        """The fetched items; their number if they are the same as last time."""
        connector = sync.connector
        response = response_digest(connector.records_id, fetched.digest)
        known, stored = (
            connector.sync.responses.get(data_type),
            connector.sync.stored.get(data_type),
        )
        if known is not None and (known.digest, known.stored) == (response, stored):
            return known.records
        items = fetched.items()
        found = digest(connector.records_id, items)
        sync.responses[data_type] = ResponseDigest(response, found, len(items))
        return len(items) if found == stored else items

    async def _keep(self, sync: SyncRun, data_type: str, items: Sequence[Item] | int) -> None:
        """Store what was fetched; nothing if it is what was stored last."""
        if isinstance(items, int):
            sync.counts.append(DataTypeCount(data_type, items, 0))
            await self._note_unchanged(sync)
            return
        fetched = sync.responses[data_type].stored

        async def note(session: ClientSession, added: int | None) -> None:
            # However the run ends: these items were new to this run only.
            done = [*sync.counts, DataTypeCount(data_type, len(items), added or 0)]
            whole = None if added is None else fetched
            if not await self._syncs.note_kept(sync.job, data_type, whole, done, session):
                raise LeaseLost

        added = await self._records.keep(
            sync.connector.records_id,
            data_type,
            items,
            sync.run.sync_id,
            note,
            again=sync.resumed,
            closes=data_type == "portfolio",
        )
        sync.counts.append(DataTypeCount(data_type, len(items), added))

    async def _note_unchanged(self, sync: SyncRun) -> None:
        """For the first data type that changed nothing, then now and then: the run's end notes all."""
        now = asyncio.get_running_loop().time
        lately = sync.noted_at is not None and now() - sync.noted_at < NOTE_SECONDS
        if lately or not sync.missing():
            return
        if not await persistently(partial(self._syncs.keep, sync.job, sync.counts)):
            raise LeaseLost
        sync.noted_at = now()
