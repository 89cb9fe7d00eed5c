"""How fast a platform may be called, shared by all workers through MongoDB.

The generic cell rate algorithm: a key's next free moment moves on by one spacing with each call. It is
kept on MongoDB's clock, so the clocks of workers do not matter.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.connectors import expressions as x
from server.connectors.platforms.base import Throttled
from server.storage.driver import Database, Document

BUDGETS = "platform_budgets"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    BUDGETS: [IndexModel("nextFree", expireAfterSeconds=3600)]
}


class Budget:
    """At most one call of a key each `spacing`, with no bursts.

    Who would have to wait longer than `patience` is refused instead and uses nothing up, so that one
    key's backlog does not hold up what else a worker could do.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        spacing: timedelta,
        patience: timedelta = timedelta(seconds=1),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._budgets = database.collection(BUDGETS)
        self._name = name
        self._spacing = _milliseconds(spacing)
        self._patience = _milliseconds(patience)
        self._sleep = sleep

    async def take(self, key: str) -> None:
        """Wait for the next free moment of `key`. Raises Throttled with the wait it would have been."""
        document = await self._reserve(f"{self._name}/{hashlib.sha256(key.encode()).hexdigest()}")
        wait: timedelta = document["slot"] - document["asked"]
        if not document["granted"]:
            raise Throttled("Too many calls of this app are waiting for the platform", wait)
        await self._sleep(max(0.0, wait.total_seconds()))

    async def _reserve(self, identifier: str) -> Document:
        slot = {"$max": [x.NOW, {"$ifNull": ["$nextFree", x.NOW]}]}
        granted = {"$lte": ["$slot", {"$add": [x.NOW, self._patience]}]}
        update: list[Document] = [
            {"$set": {"asked": x.NOW, "slot": slot}},
            {"$set": {"granted": granted}},
            {
                "$set": {
                    "nextFree": x.when("$granted", {"$add": ["$slot", self._spacing]}, "$nextFree")
                }
            },
        ]
        while True:
            try:
                document = await self._budgets.find_one_and_update(
                    {"_id": identifier},
                    update,
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # somebody else has just made it
                continue
            return dict(document or {})


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
