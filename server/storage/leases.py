"""Leases: one holder at a time of a named thing, over all processes.

Times are MongoDB's, so the clocks of processes do not matter.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import structlog
from pymongo import IndexModel

from server.core.clock import milliseconds
from server.observability.logging import cause_of
from server.storage.driver import Database
from server.storage.updates import upsert

_log = structlog.stdlib.get_logger("finlink.storage")

LEASES = "claims"  # the name it had first
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    LEASES: [IndexModel("until", expireAfterSeconds=3600)]
}

_POLL_SECONDS = 0.1
_RENEWALS_A_LIFE = 3


class LeaseBusy(Exception):
    """Another holder has it."""


class Leases:
    """A lease is renewed for as long as it is used, and lapses within `life` of its holder's death."""

    def __init__(self, database: Database, life: timedelta = timedelta(seconds=6)) -> None:
        self._leases = database.collection(LEASES)
        self._life = life
        self._until = {"$add": ["$$NOW", milliseconds(life)]}

    @asynccontextmanager
    async def acquire(self, name: str, wait: timedelta = timedelta(0)) -> AsyncIterator[None]:
        """Have the lease `name` while inside. Raises LeaseBusy if it is not free within `wait`."""
        owner = uuid4().hex
        deadline = asyncio.get_running_loop().time() + wait.total_seconds()
        while not await self._try_acquire(name, owner):
            if asyncio.get_running_loop().time() >= deadline:
                raise LeaseBusy(name)
            await asyncio.sleep(_POLL_SECONDS)
        renewal = asyncio.create_task(self._renew(name, owner))
        try:
            yield
        finally:
            renewal.cancel()
            try:
                await self._leases.delete_one({"_id": name, "owner": owner})
            except Exception as error:  # noqa: BLE001 - what was done is done; the lease lapses by itself
                _log.warning("lease not released", **cause_of(error))

    async def _try_acquire(self, name: str, owner: str) -> bool:
        lapsed = {"$lte": ["$until", "$$NOW"]}  # true as well where there is no lease yet
        taken = {
            "owner": {"$cond": [lapsed, owner, "$owner"]},
            "until": {"$cond": [lapsed, self._until, "$until"]},
        }
        return bool((await upsert(self._leases, name, taken))["owner"] == owner)

    async def _renew(self, name: str, owner: str) -> None:
        renewed = True
        while renewed:
            await asyncio.sleep(self._life.total_seconds() / _RENEWALS_A_LIFE)
            try:
                updated = await self._leases.update_one(
                    {"_id": name, "owner": owner}, [{"$set": {"until": self._until}}]
                )
                renewed = updated.matched_count == 1
            except Exception as error:  # noqa: BLE001 - the next renewal may still come in time
                _log.warning("lease not renewed", **cause_of(error))
