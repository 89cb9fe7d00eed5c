"""The feed: which writes, whoever makes them, take a reply out of the cache."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bson import ObjectId

from server.cache.generations import Generations
from server.cache.responses import ResponseCache, Shown
from server.core.clock import utc_now
from server.domains.connectors.connections import store as connector_store
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.users import store as user_store
from server.domains.users.store import USERS
from server.storage import cache_feed
from server.storage.cache_feed import CacheFeed
from server.storage.driver import Database, connected, connected_for_feed
from tests.faults.load import until
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, settings

FOLLOWED = [user_store.FOLLOWED, connector_store.FOLLOWED]
METHOD = "/users/Get"


class Place:
    """A database of its own, with a cache that follows it."""

    def __init__(self, database: Database, cache: ResponseCache, feed: CacheFeed) -> None:
        self.database = database
        self.users = database.collection(USERS)
        self.connectors = database.collection(CONNECTORS)
        self.cache = cache
        self.feed = feed

    async def until(self, name: str, *, given: bool) -> None:
        await until(lambda: (self.cache.get(METHOD, name.encode()) is not None) == given)

    async def keep(self, name: str, *documents: object) -> None:
        """Have a reply about a user that shows these documents."""
        await until(lambda: self.cache.stamp(name) is not None)
        stamp = self.cache.stamp(name)
        assert stamp is not None
        shown = Shown([str(document) for document in documents])
        self.cache.put(METHOD, name.encode(), b"1", stamp, shown)
        await self.until(name, given=True)

    async def all_notified(self) -> None:
        """Once the feed has told of all that is committed until now."""
        marker = {"_id": ObjectId(), "userId": f"marker {ObjectId()}"}
        await self.users.insert_one(marker)
        await self.keep("marker", marker["_id"])
        await self.users.update_one({"_id": marker["_id"]}, {"$set": {"status": "told"}})
        await self.until("marker", given=False)


@asynccontextmanager
async def followed(uri: str, driver: str) -> AsyncIterator[Place]:
    given = settings(uri, driver)
    async with connected(given) as database, connected_for_feed(given) as asked:
        await database.collection(CONNECTORS).insert_one({"userId": "first", "platform": "zerodha"})
        cache = ResponseCache(Generations().numbers, 1_000_000)
        feed = CacheFeed(asked, cache, FOLLOWED)
        feed.start()
        try:
            yield Place(database, cache, feed)
        finally:
            await feed.stop()
            await database.drop()


@pytest.fixture(params=DRIVERS)
async def place(mongodb: MongoDb, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with followed(mongodb.uri, request.param) as made:
        yield made


async def test_changes_and_deletes_by_anybody_drop_the_responses_that_show_them(
    place: Place,
) -> None:
    for name in ("ann", "bob", "eve"):
        made = await place.users.insert_one({"userId": name, "email": name})
        await place.keep(name, made.inserted_id)
    await place.users.update_one({"userId": "ann"}, {"$set": {"profile.city": "Pune"}})
    await place.users.delete_one({"userId": "bob"})
    await place.until("ann", given=False)
    await place.until("bob", given=False)
    await place.until("eve", given=True)
    await place.users.replace_one({"userId": "eve"}, {"userId": "eve", "email": "other"})
    await place.until("eve", given=False)


async def test_a_new_connector_drops_the_responses_about_its_user(place: Place) -> None:
    await place.keep("ann")
    await place.keep("bob")
    await place.connectors.insert_one({"userId": "ann", "platform": "zerodha"})
    await place.until("ann", given=False)
    await place.until("bob", given=True)


async def test_what_only_moves_a_run_drops_nothing(place: Place) -> None:
    made = await place.connectors.insert_one(
        {
            "userId": "ann",
            "platform": "zerodha",
            "sync": {"run": {"syncId": "1"}, "owed": ["a"]},
            "connectionDetails": {"syncInterval": 5},
            "credentials": {"encryptedToken": "sealed" * 9, "tokenExpiresAt": utc_now()},
        }
    )
    await place.all_notified()
    await place.keep("ann", made.inserted_id)
    for heartbeat in (
        [{"$set": {"sync.dueAt": "$$NOW", "sync.fence": 1, "updatedAt": "$$NOW"}}],
        [{"$set": {"sync.run.done": [1], "connectionDetails.nextSyncAt": "$$NOW"}}],
        [{"$set": {"session.checkAt": "$$NOW", "sync.run": "$$REMOVE"}}],
        [{"$set": {"credentials.encryptedToken": "renewed", "errors": []}}],
    ):
        await place.connectors.update_one({"_id": made.inserted_id}, heartbeat)
    await place.all_notified()
    await place.until("ann", given=True)
    synced = {"$set": {"connectionDetails.lastSyncAt": utc_now(), "sync.fence": 2}}
    await place.connectors.update_one({"_id": made.inserted_id}, synced)
    await place.until("ann", given=False)


async def test_the_end_of_a_run_drops_what_shows_it(place: Place) -> None:
    """Also of one that failed as the run before did: its time is another one."""
    entry = {"syncedAt": utc_now(), "status": "failed"}
    document = {"userId": "ann", "platform": "zerodha", "failing": True, "syncHistory": [entry]}
    made = await place.connectors.insert_one(document)
    await place.all_notified()
    await place.keep("ann", made.inserted_id)
    newest = {"syncedAt": utc_now(), "status": "failed"}
    longer = [{"$set": {"syncHistory": {"$concatArrays": [[newest], "$syncHistory"]}}}]
    await place.connectors.update_one({"_id": made.inserted_id}, longer)
    await place.until("ann", given=False)


async def test_a_collection_that_is_dropped_drops_everything(place: Place) -> None:
    await place.users.insert_one({"userId": "somebody", "email": "e"})
    await place.keep("ann")
    await place.users.drop()
    await place.until("ann", given=False)
    await place.keep("ann")  # the feed goes on


async def test_a_feed_that_breaks_off_drops_everything_until_it_is_back(place: Place) -> None:
    await place.keep("ann")
    await place.feed.stop()
    assert place.cache.get(METHOD, b"ann") is None
    assert place.cache.stamp("ann") is None
    place.feed.start()
    await place.keep("ann")


async def test_a_poll_that_mongodb_keeps_open_too_long_is_a_silent_feed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.keep("ann")
    monkeypatch.setattr(cache_feed, "LEASE_SECONDS", -math.inf)
    await until(lambda: place.cache.stamp("ann") is None)
    assert place.cache.get(METHOD, b"ann") is None
