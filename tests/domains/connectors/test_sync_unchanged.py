"""A run that fetches what is stored already writes no records, and misses nothing for that."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from server.core.clock import utc_now
from server.domains.connectors.model import DataTypeCount
from server.domains.connectors.records import store as record_store
from server.domains.connectors.records.store import RECORDS
from tests.domains.connectors.sync_world import (
    Checkpoint,
    World,
    holding,
    profile,
    trade,
    transaction,
)


async def stored(world: World, connector_id: str) -> dict[str, object]:
    found = (
        await world.database.collection(RECORDS).find({"connectorId": connector_id}).to_list(None)
    )
    return {
        f"{each['dataType']}/{each['key']}": (each["data"], "closedAt" in each) for each in found
    }


async def changed_at(world: World, connector_id: str) -> dict[str, object]:
    found = (
        await world.database.collection(RECORDS).find({"connectorId": connector_id}).to_list(None)
    )
    return {each["key"]: (each["seen"], each["updatedAt"]) for each in found}


async def test_what_is_stored_already_is_not_written_again(world: World) -> None:
    connector = await world.synced()
    before = await changed_at(world, connector.id)
    after = await world.sync(connector.id)
    assert await changed_at(world, connector.id) == before
    assert [(c.data_type, c.records_count, c.added_count) for c in after.history[0].counts] == [
        ("transactions", 2, 0), ("portfolio", 3, 0), ("trades", 1, 0), ("profile", 1, 0),
    ]  # fmt: skip
    assert after.history[0].status == "success"
    assert after.history[0].records_count == 7


async def test_a_known_reply_is_not_read(world: World) -> None:
    connector = await world.synced()
    world.platform.looked_into.clear()
    after = await world.sync(connector.id)
    assert world.platform.looked_into == []
    assert [(c.records_count, c.added_count) for c in after.history[0].counts] == [
        (2, 0),
        (3, 0),
        (1, 0),
        (1, 0),
    ]
    world.platform.items["portfolio"].reverse()  # another answer that says the same
    before = await changed_at(world, connector.id)
    await world.sync(connector.id)
    assert world.platform.looked_into == ["portfolio"]
    assert await changed_at(world, connector.id) == before
    await world.sync(connector.id)
    assert world.platform.looked_into == ["portfolio"]


async def test_a_reply_is_read_if_something_else_was_stored_since(world: World) -> None:
    """As by a run that died, whose end would have told which answer it was."""
    connector = await world.synced("portfolio")
    world.platform.looked_into.clear()
    await world.change(connector.id, {"sync.kept.portfolio": "of another answer"})
    await world.sync(connector.id)
    assert world.platform.looked_into == ["portfolio"]


async def test_what_changed_is_written_and_only_that(world: World) -> None:
    connector = await world.synced()
    before = await changed_at(world, connector.id)
    world.platform.items["portfolio"] = [holding("h1", 5), holding("h2")]
    await world.sync(connector.id)
    after = await changed_at(world, connector.id)
    assert {key for key in after if after[key] != before[key]} == {"h1", "h2", "h3"}
    kept = await stored(world, connector.id)
    assert [kept[f"portfolio/h{n}"][1] for n in (1, 2, 3)] == [False, False, True]  # type: ignore[index]


@pytest.mark.parametrize("seed", range(3))
async def test_records_are_what_they_are_when_all_is_written(world: World, seed: int) -> None:
    """Against a twin that forgets before each run what was stored, and so writes everything."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    one, twin = await world.synced(), await world.synced()
    for _ in range(12):
        match chance.randrange(5):
            case 0:
                world.platform.items["portfolio"] = [
                    holding(f"h{n}", chance.randint(1, 2)) for n in range(chance.randint(0, 3))
                ]
            case 1:
                world.platform.items["transactions"] = [
                    transaction(f"t{n}") for n in chance.sample(range(4), 2)
                ]
            case 2:
                world.platform.items["trades"] = [trade("x1"), trade(f"x{chance.randint(2, 3)}")]
            case 3:
                world.platform.items["profile"] = [profile(chance.choice(("Ann", "Anna")))]
            case _:
                world.platform.items["portfolio"].reverse()  # the same in another order
        await world.change(twin.id, {"sync.kept": {}})
        for connector in (one, twin):
            await world.sync(connector.id)
        assert await stored(world, one.id) == await stored(world, twin.id)
    histories = [
        [entry.counts for entry in (await world.get(each.id)).history] for each in (one, twin)
    ]
    assert histories[0] == histories[1]


async def test_what_a_dead_run_stored_is_not_taken_for_what_was_there_before(world: World) -> None:
    """It stored another portfolio and died; the platform then reports the first one again."""
    connector = await world.synced("portfolio", "profile")
    first = await stored(world, connector.id)
    world.platform.items["portfolio"] = [holding("h1", 9)]
    checkpoint = Checkpoint()

    async def at_profile() -> None:
        if world.platform.fetched[-1] == "portfolio":
            await checkpoint()

    world.platform.before_fetch = at_profile
    await world.sync_service.trigger(connector.id, [], force=True)
    world.platform.fetched.append("profile")
    run = asyncio.create_task(world.runner.run(await world.claim(connector.id)))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    assert await stored(world, connector.id) != first
    await world.make_due(connector.id)  # its claim lapses
    world.platform.before_fetch = None
    world.platform.items["portfolio"] = [holding("h1"), holding("h2"), holding("h3")]
    await world.runner.run(await world.claim(connector.id))
    checkpoint.opened.set()
    await run
    assert await stored(world, connector.id) == first
    abandoned = (await world.get(connector.id)).history[1]
    assert abandoned.error_code == "RUN_ABANDONED"
    assert abandoned.counts == (DataTypeCount("portfolio", 1, 0),)


async def test_erased_records_are_fetched_again(world: World) -> None:
    connector = await world.synced()
    await world.service.disconnect(connector.id, delete_records=True)
    again, _ = await world.connect(connector.user_id, "fi_money", connector.permissions, {})
    after = await world.sync(again.id)
    assert after.history[0].added_count == 7
    assert sum((await world.kept(after.records_id)).values()) == 7


async def test_once_a_day_all_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """So whatever became of records by another hand is put right."""
    connector = await world.synced()
    await world.database.collection(RECORDS).delete_many({"connectorId": connector.id})
    await world.sync(connector.id)
    assert await world.kept(connector.id) == {}
    monkeypatch.setattr(record_store, "utc_now", lambda: utc_now() + timedelta(days=1))
    await world.sync(connector.id)
    assert sum((await world.kept(connector.id)).values()) == 7


async def test_a_run_that_is_handed_back_goes_on_after_what_changed_nothing(world: World) -> None:
    connector = await world.synced("transactions", "profile")
    checkpoint = Checkpoint()

    async def second() -> None:
        if fetched := world.platform.fetched[before:]:
            assert fetched == ["transactions"]
            await checkpoint()

    before = len(world.platform.fetched)
    world.platform.before_fetch = second
    await world.sync_service.trigger(connector.id, [], force=True)
    run = asyncio.create_task(world.runner.run(await world.claim(connector.id)))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    world.platform.before_fetch = None
    waiting = (await world.get(connector.id)).sync.run
    assert waiting is not None
    assert [count.data_type for count in waiting.done] == ["transactions"]
    after = await world.sync(connector.id)
    assert world.platform.fetched[before:] == ["transactions", "profile"]
    assert [count.data_type for count in after.history[0].counts] == ["transactions", "profile"]
