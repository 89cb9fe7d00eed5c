"""Seals what an earlier release kept in clear, one connector after another.

Everything that is left to do is in the database: the documents that have `data`. So the walk may stop
anywhere; any process goes on with it, and a connector that was sealed in part is sealed to its end.
"""

import asyncio

import structlog

from server.domains.connectors.records.store import BATCH, RecordStore
from server.domains.connectors.sync.sealing.store import SealingLease, SealingStore
from server.storage.data_keys import DataKeyStore
from server.storage.driver import ClientSession, Database

PAUSE_SECONDS = 0.02  # between batches: callers come first

_log = structlog.stdlib.get_logger("finlink.connectors")


class _LeaseLost(Exception):
    """A run has the connector, or its records were erased."""


class RecordSealing:
    def __init__(self, database: Database, records: RecordStore, keys: DataKeyStore) -> None:
        self._database = database
        self._records = records
        self._keys = keys
        self._store = SealingStore(database)
        self._after = ""  # the set looked at last

    async def seal_some(self) -> bool:
        """Seal the records of the next connector that no run has; False once all were looked at."""
        records_id = await self._store.next_unsealed(self._after)
        self._after = records_id or ""
        if records_id is None:
            return False
        if await self._store.is_forgotten(records_id):
            return True
        lease = await self._store.lease(records_id)
        if lease is not None:
            try:
                await self._seal(lease)
            except _LeaseLost:
                _log.info("sealing of records broken off", connector_id=str(lease.connector_id))
            finally:
                await self._store.release(lease)
        return True

    async def _seal(self, lease: SealingLease) -> None:
        box = await self._records.box_of(lease.records)

        async def work(session: ClientSession) -> int:
            if not box.key.stored:
                await self._keys.add(box.key, session)
            sealed = await self._store.seal_some(lease, box, session)
            if sealed is None:
                raise _LeaseLost
            return sealed

        total = 0
        while (sealed := await self._database.transact(work)) > 0:
            box.key.stored = True
            total += sealed
            if sealed < BATCH:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        _log.info("records sealed", connector_id=str(lease.connector_id), records=total)
