"""Claims: one holder at a time of a named thing, over all processes.

Times are MongoDB's, so the clocks of processes do not matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import structlog
from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.observability.logging import cause_of
from server.storage.driver import Database, Document

_log = structlog.stdlib.get_logger("finlink.storage")

CLAIMS = "claims"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CLAIMS: [IndexModel("until", expireAfterSeconds=3600)]
}

_POLL_SECONDS = 0.1
_RENEWALS_A_LIFE = 3


class ClaimBusy(Exception):
    """Somebody else holds it."""


class Claims:
    """A claim is renewed while it is held, and lapses within `life` of its holder's death."""

    def __init__(self, database: Database, life: timedelta = timedelta(seconds=6)) -> None:
        self._claims = database.collection(CLAIMS)
        self._life = life
        self._until = {"$add": ["$$NOW", life // timedelta(milliseconds=1)]}

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
        lapsed = {"$lte": ["$until", "$$NOW"]}  # true as well where there is no claim yet
        taken: list[Document] = [
            {
                "$set": {
                    "owner": {"$cond": [lapsed, owner, "$owner"]},
                    "until": {"$cond": [lapsed, self._until, "$until"]},
                }
            }
        ]
        try:
            claim = await self._claims.find_one_and_update(
                {"_id": name}, taken, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # somebody else has just made it
            return False
        return claim is not None and claim["owner"] == owner

    async def _renew(self, name: str, owner: str) -> None:
        held = True
        while held:
            await asyncio.sleep(self._life.total_seconds() / _RENEWALS_A_LIFE)
            try:
                renewed = await self._claims.update_one(
                    {"_id": name, "owner": owner}, [{"$set": {"until": self._until}}]
                )
                held = renewed.matched_count == 1
            except Exception as error:  # noqa: BLE001 - the next renewal may still come in time
                _log.warning("claim not renewed", **cause_of(error))
