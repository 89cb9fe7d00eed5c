"""Claims: one holder at a time of a named thing, over all processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from server.clock import utc_now
from server.storage.driver import Database

CLAIMS = "claims"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CLAIMS: [IndexModel("until", expireAfterSeconds=3600)]
}

_POLL_SECONDS = 0.1


class ClaimBusy(Exception):
    """Somebody else holds it."""


class Claims:
    """A claim lapses after `life`, so that the death of its holder heals by itself."""

    def __init__(self, database: Database, life: timedelta = timedelta(seconds=40)) -> None:
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
        try:
            yield
        finally:
            await self._claims.delete_one({"_id": name, "owner": owner})

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
