"""Claims: one holder at a time of a named thing, over all processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import structlog
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from server.clock import utc_now
from server.observability.logging import cause_of
from server.storage.driver import Database

_log = structlog.stdlib.get_logger("finlink.storage")

CLAIMS = "claims"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CLAIMS: [IndexModel("until", expireAfterSeconds=3600)]
}

_POLL_SECONDS = 0.1


class ClaimBusy(Exception):
    """Somebody else holds it."""


class Claims:
    """A claim is renewed while it is held, and lapses within `life` of its holder's death."""

    def __init__(self, database: Database, life: timedelta = timedelta(seconds=10)) -> None:
        self._claims = database.collection(CLAIMS)
        self._life = life

    @asynccontextmanager
    async def hold(self, name: str, patience: timedelta = timedelta(0)) -> AsyncIterator[None]:
        """Hold `name` while inside. Raises ClaimBusy where it is not free within `patience`."""
        owner = uuid4().hex
        give_up = asyncio.get_running_loop().time() + patience.total_seconds()
        while not await self._take(name, owner):
            if asyncio.get_running_loop().time() >= give_up:
                raise ClaimBusy(name)
            await asyncio.sleep(_POLL_SECONDS)
        renewal = asyncio.create_task(self._renew(name, owner))
        try:
            yield
        finally:
            renewal.cancel()
            try:
                await self._claims.delete_one({"_id": name, "owner": owner})
            except Exception as error:  # noqa: BLE001 - what was done holds; the claim lapses by itself
                _log.warning("claim not released", **cause_of(error))

    async def _take(self, name: str, owner: str) -> bool:
        now = utc_now()
        try:
            await self._claims.update_one(
                {"_id": name, "until": {"$lte": now}},
                {"$set": {"owner": owner, "until": now + self._life}},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        return True

    async def _renew(self, name: str, owner: str) -> None:
        held = True
        while held:
            await asyncio.sleep(self._life.total_seconds() / 3)
            try:
                renewed = await self._claims.update_one(
                    {"_id": name, "owner": owner}, {"$set": {"until": utc_now() + self._life}}
                )
                held = renewed.matched_count == 1
            except Exception as error:  # noqa: BLE001 - the next renewal may still come in time
                _log.warning("claim not renewed", **cause_of(error))
