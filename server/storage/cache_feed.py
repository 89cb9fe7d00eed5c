"""Reports to the response cache what MongoDB has committed, whichever host or tool wrote it.

An event names a document; nothing more of it leaves MongoDB. Why and for how long the cache may be used is in
`server/cache/README.md`.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from server.cache.responses import ResponseCache
from server.storage.driver import Database, Document

_log = structlog.stdlib.get_logger("finlink.cache")

WAIT = timedelta(milliseconds=500)  # for which MongoDB lets a poll wait while nothing changes
LEASE_SECONDS = 2.0
RETRY_SECONDS = 0.5
SILENCE_SECONDS = 5.0  # after which a poll is abandoned
STOP_SECONDS = 1.0

_ALL_CHANGED = ["drop", "rename", "dropDatabase", "invalidate"]


@dataclass(frozen=True)
class Followed:
    """A collection that cached replies are made of.

    `ignored` are the paths that none shows; `inserts` says whether a new document can change one.
    """

    collection: str
    ignored: Sequence[str] = ()
    inserts: bool = True


class CacheFeed:
    """`start` it once; it goes on until `stop`."""

    def __init__(
        self, database: Database, cache: ResponseCache, followed: Sequence[Followed]
    ) -> None:
        """`database` is one of `driver.connected_for_feed`."""
        self._database = database
        self._cache = cache
        self._pipeline = pipeline_for(followed)
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        running, self._running = self._running, None
        while running is not None and not running.done():  # a driver may lose a cancellation
            running.cancel()
            await asyncio.wait({running}, timeout=STOP_SECONDS)
        self._cache.drop_all()

    async def _follow(self) -> None:
        lost = False
        while True:
            try:
                async with self._database.feed(self._pipeline, WAIT) as ask:
                    if lost:
                        _log.info("responses are cached again")
                    lost = False
                    while self._running is not None:
                        asked = time.monotonic()
                        async with asyncio.timeout(SILENCE_SECONDS):
                            self._notify(await ask())
                        self._cache.heard(asked + LEASE_SECONDS)
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, there is a gap now
                self._cache.drop_all()
                if not lost:
                    _log.warning("responses are not cached for now", cause=type(error).__name__)
                lost = True
            await asyncio.sleep(RETRY_SECONDS)

    def _notify(self, changes: Sequence[Document]) -> None:
        if any(change["operationType"] in _ALL_CHANGED for change in changes):
            self._cache.drop_all()
        # The documents that have changed, and where that is known the users whose they are.
        named = [change.get("documentKey", {}).get("_id") for change in changes]
        named += [change.get("user") for change in changes]
        if names := [str(name) for name in named if name is not None]:
            self._cache.name(names)


def pipeline_for(followed: Sequence[Followed]) -> list[Document]:
    """The pipeline for MongoDB: changes that some reply shows, by the keys of their documents."""
    shown: list[Document] = [{"operationType": {"$in": _ALL_CHANGED}}]
    for each in followed:
        whole = ["replace", "delete", *(["insert"] if each.inserts else [])]
        shown += [
            {"ns.coll": each.collection, "operationType": {"$in": whole}},
            {"ns.coll": each.collection, "operationType": "update", **_shows(each.ignored)},
        ]
    return [
        {"$match": {"$or": shown}},
        {"$project": {"operationType": 1, "documentKey": 1, "user": "$fullDocument.userId"}},
    ]


def _shows(ignored: Sequence[str]) -> Document:
    """That an update is not all about what no reply shows."""
    if not ignored:
        return {}
    pattern = "^(" + "|".join(path.replace(".", r"\.") for path in ignored) + r")(\.|$)"
    updated = {
        "$map": {"input": {"$objectToArray": "$updateDescription.updatedFields"}, "in": "$$this.k"}
    }
    changed = {"$concatArrays": [updated, "$updateDescription.removedFields"]}
    hidden = {
        "$map": {"input": changed, "in": {"$regexMatch": {"input": "$$this", "regex": pattern}}}
    }
    return {"$expr": {"$not": [{"$allElementsTrue": [hidden]}]}}
