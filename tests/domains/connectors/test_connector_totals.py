"""The summary of connectors: whatever happens to them, and whoever does it, it is a count of them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from finlink_words import CONNECTION_STATUSES, PLATFORMS

from server.core.clock import utc_now
from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.connections.store import CONNECTED_INDEX, CONNECTORS, COUNTED
from server.domains.connectors.errors import AlreadyConnected
from server.domains.connectors.model import FAILURES_TO_ERROR, ConnectorFilter
from server.platforms.base import PlatformDataError, SessionEnded
from server.storage.counters import Counters
from tests.domains.connectors.sync_world import ALL, World

EVERYTHING = ConnectorFilter()


async def counted(world: World, where: ConnectorFilter) -> dict[tuple[str, str, bool], int]:
    documents = await world.database.collection(CONNECTORS).find({}).to_list(None)
    found = Counter(
        (
            each["platform"],
            each.get("connectionStatus") or "disconnected",
            each.get("failing") is True,
        )
        for each in documents
    )
    return {
        (platform, status, failing): number
        for (platform, status, failing), number in found.items()
        if where.platform in {None, platform} and where.status in {None, status}
    }


class Life:
    """What happens to connectors."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.counters = Counters(world.database, COUNTED)
        self.users: list[str] = []
        self.steps = 0

    async def one(self) -> Any:
        """A connector that this product made."""
        cursor = world_connectors(self.world).find({"userId": {"$in": self.users}})
        found = await cursor.to_list(None)
        return await self.world.get(str(self.chance.choice(found)["_id"])) if found else None

    async def connect(self) -> None:
        self.users.append(await self.world.user())
        self.world.platform.wants_login = self.chance.random() < 0.2
        await self.world.connect(self.users[-1], "fi_money", ALL, {})

    async def connect_again(self) -> None:
        self.world.platform.wants_login = False
        if self.users:
            user_id = self.chance.choice(self.users)
            try:
                await self.world.connect(user_id, "fi_money", ALL, {})
            except AlreadyConnected:
                assert (await self.world.connectors.find(user_id, "fi_money")) is not None

    async def disconnect(self) -> None:
        if found := await self.one():
            await self.world.service.disconnect(found.id)

    async def runs_fail(self) -> None:
        """As often as it takes to become `error`, or `connected` again."""
        good = self.chance.random() < 0.2 and len(self.users) > 1
        self.world.platform.fail_with(None if good else PlatformDataError("It makes no sense"))
        await self.run(1 if good else FAILURES_TO_ERROR)
        self.world.platform.fail_with(None)

    async def session_ends(self) -> None:
        self.world.platform.session_over = True
        self.world.platform.fail_with(SessionEnded("over"))
        await self.run(1)
        self.world.platform.session_over = False
        self.world.platform.fail_with(None)

    async def comes_in_part(self) -> None:
        self.world.platform.failures = {"trades": PlatformDataError("It makes no sense")}
        await self.run(1)
        self.world.platform.fail_with(None)

    async def run(self, times: int) -> None:
        if (found := await self.one()) is None or not found.live:
            return
        for _ in range(times):
            await self.world.syncs.request_run(found.id, new_sync_id(), [])
            if claimed := await self.world.syncs.claim():
                await self.world.runner.run(claimed)

    async def user_leaves(self) -> None:
        if self.users:
            await self.world.user_service.delete(
                self.users.pop(self.chance.randrange(len(self.users)))
            )

    async def another_program_writes(self) -> None:
        document: dict[str, Any] = {
            "_id": ObjectId(),
            "userId": str(ObjectId()),
            "platform": self.chance.choice(PLATFORMS),
        }
        if (status := self.chance.choice((*CONNECTION_STATUSES, None, "missing"))) != "missing":
            document["connectionStatus"] = status
        if (failing := self.chance.choice((True, False, None, "yes", "missing"))) != "missing":
            document["failing"] = failing
        await world_connectors(self.world).insert_one(document)

    async def another_program_changes(self) -> None:
        await world_connectors(self.world).update_one(
            {"userId": {"$nin": self.users}},
            {"$set": {"connectionStatus": self.chance.choice(CONNECTION_STATUSES)}},
        )

    async def roll_up(self) -> None:
        await self.counters.roll_up_some()

    async def killed_rollup(self) -> None:
        rolling = asyncio.create_task(self.counters.roll_up_some())
        await asyncio.wait({rolling}, timeout=self.chance.random() * 0.005)
        rolling.cancel()
        await asyncio.gather(rolling, return_exceptions=True)


def world_connectors(world: World) -> Any:
    return world.database.collection(CONNECTORS)


@pytest.mark.parametrize("seed", range(2))
async def test_the_summary_is_a_count_whatever_happens(world: World, seed: int) -> None:
    life = Life(world, random.Random(seed))  # noqa: S311 - the same each time
    steps: list[Callable[[], Awaitable[None]]] = [
        life.connect, life.connect, life.connect_again, life.disconnect, life.runs_fail, life.runs_fail,
        life.comes_in_part,        life.session_ends, life.user_leaves, life.another_program_writes,
        life.another_program_changes, life.roll_up, life.roll_up, life.killed_rollup,
    ]  # fmt: skip
    await life.connect()
    await life.connect_again()
    await life.runs_fail()
    seen: set[str] = set()
    failing = False
    while life.steps < 55 or (seen != set(CONNECTION_STATUSES) and life.steps < 400):
        life.steps += 1
        step = life.chance.choice(steps)
        await step()
        where = ConnectorFilter(
            life.chance.choice((None, None, *PLATFORMS)),
            life.chance.choice((None, *CONNECTION_STATUSES)),
        )
        for filters in (EVERYTHING, where):
            found = await world.lists.count_by_status(filters)
            assert found == await counted(world, filters), step.__name__
            seen |= {status for _, status, _ in found}
            failing = failing or any(fails for _, _, fails in found)
    assert seen == set(CONNECTION_STATUSES), "all that can become of a connector was seen"
    assert failing
    await life.roll_up()
    assert (await life.counters.waiting())[0] == 0
    assert await world.lists.count_by_status(EVERYTHING) == await counted(world, EVERYTHING)


async def test_a_rollup_is_shown_to_no_watcher(world: World) -> None:
    await world.connected()
    async with world.connector_changes.follow() as (following, _):
        assert await Counters(world.database, COUNTED).roll_up_some() == 1
        connector = await world.connected()
        while (change := await following.next()) is None:
            pass
    assert change.change.connector.id == connector.id


async def test_within_dates_only_keys_of_the_index_are_read(world: World) -> None:
    now = utc_now()
    await world_connectors(world).insert_many(
        [
            {
                "userId": f"u{number}", "platform": PLATFORMS[number % 2],
                "connectionStatus": (*CONNECTION_STATUSES, None)[number % 5],
                "connectionDetails": {"connectedAt": now - timedelta(days=number)},
            }
            for number in range(100)
        ]
    )  # fmt: skip
    bounds = {"$gte": now - timedelta(days=19, hours=1)}
    plan = await world.database._database.command(
        {
            "explain": {
                "aggregate": CONNECTORS,
                "pipeline": [
                    {"$match": {"connectionDetails.connectedAt": bounds}},
                    {
                        "$group": {
                            "_id": {name: f"${name}" for name in COUNTED.by},
                            "n": {"$sum": 1},
                        }
                    },
                ],
                "hint": CONNECTED_INDEX,
                "cursor": {},
            },
            "verbosity": "executionStats",
        }
    )
    stats = (
        plan["executionStats"]
        if "executionStats" in plan
        else plan["stages"][0]["$cursor"]["executionStats"]
    )
    assert (stats["totalKeysExamined"], stats["totalDocsExamined"]) in {(20, 0), (21, 0)}
    where = ConnectorFilter(
        "fi_money", "disconnected", connected_from=bounds["$gte"], connected_to=now
    )
    assert await world.lists.count_by_status(where) == {("fi_money", "disconnected", False): 4}


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("platform", [None, "zerodha"])
@pytest.mark.parametrize("status", [None, "connected", "disconnected"])
async def test_a_page_reads_no_more_than_it_shows(
    world: World, platform: str | None, status: str | None, failing: bool
) -> None:
    """Also where those that pass the filters are few."""
    now = utc_now()
    rare = {"platform": "zerodha", "connectionStatus": "connected", "failing": True}
    await world_connectors(world).insert_many(
        [
            {
                "userId": f"u{number}", "platform": "fi_money", "connectionStatus": "error",
                "createdAt": now - timedelta(seconds=number), **({"failing": True} if number % 3 else {}),
                **(rare if number % 25 == 0 else {}),
                **({"platform": "zerodha", "connectionStatus": None} if number % 25 == 1 else {}),
            }
            for number in range(500)
        ]
    )  # fmt: skip
    where = ConnectorFilter(platform, status, failing)
    raw = world.database._database
    before = await raw["system.profile"].count_documents(
        {"op": "query", "ns": {"$regex": CONNECTORS}}
    )
    await raw.command("profile", 2)
    try:
        page, token = await world.lists.page(where, None, 5)
        assert (token is None) == (page == []) == (failing and status == "disconnected")
        await world.lists.page(where, token, 5)
    finally:
        await raw.command("profile", 0)
    profiled = raw["system.profile"].find({"op": "query", "ns": {"$regex": CONNECTORS}})
    queries = (await profiled.sort("ts", 1).to_list(None))[before:]
    assert len(queries) >= 2
    for query in queries:
        assert "COLLSCAN" not in query["planSummary"]
        wanted = query["command"]["filter"]
        # Those without a status are sorted only where they are of one moment, or have none.
        of_one = "createdAt" in wanted and not isinstance(wanted["createdAt"], dict)
        assert not query.get("hasSortStage") or (wanted["connectionStatus"] is None and of_one)
        assert query["docsExamined"] <= 6
        assert query["keysExamined"] <= 20
