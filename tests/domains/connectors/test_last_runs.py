"""How a connector's last run ended, whether its syncs fail, and how many connectors' do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from finlink.connectors.v1 import connector_pb2 as pb

from server.core.clock import utc_now
from server.domains.connectors.connections import convert
from server.domains.connectors.connections.store import CONNECTORS, COUNTED
from server.domains.connectors.model import Connector, ConnectorFilter
from server.platforms.base import PlatformDataError, PlatformUnavailable, SessionEnded
from server.storage.counter_spec import COUNTED_AS
from server.storage.counters import Counters
from tests.domains.connectors.sync_world import ALL, World

WRONG = PlatformDataError("It makes no sense")
EVERYTHING = ConnectorFilter()


async def shown(world: World, connector: Connector) -> pb.ConnectorSummary:
    """It, as all reads show it; the list of those that fail has it if it is one."""
    now = utc_now()
    (of_user,) = await world.lists.summaries(connector.user_id)
    summary = convert.summary(of_user, now)
    whole = convert.connector(await world.get(connector.id), now)
    (listed,), _ = await world.lists.page(EVERYTHING, None, 10)
    assert whole.last_run == summary.last_run == convert.summary(listed, now).last_run
    assert whole.failing == summary.failing == convert.summary(listed, now).failing
    failing, _ = await world.lists.page(ConnectorFilter(failing=True), None, 10)
    assert [each.id for each in failing] == ([connector.id] if summary.failing else [])
    assert await counted(world) == {
        (connector.platform, summary.connection_status, summary.failing): 1
    }
    return summary


async def counted(world: World) -> object:
    return await world.lists.count_by_status(EVERYTHING)


async def test_before_the_first_run_there_is_none(world: World) -> None:
    summary = await shown(world, await world.connected())
    assert not summary.HasField("last_run")
    assert not summary.failing


async def test_a_run_that_fails_brings_a_part_or_succeeds(world: World) -> None:
    connector = await world.synced()
    summary = await shown(world, connector)
    assert (summary.last_run.state, summary.last_run.error_code) == ("success", "")
    assert not summary.failing
    world.platform.fail_with(PlatformUnavailable("It is away"))
    connector = await world.sync(connector.id)
    summary = await shown(world, connector)
    newest = connector.history[0]
    assert summary.last_run.state == "failed"
    assert summary.last_run.error_code == "PLATFORM_UNAVAILABLE"
    assert summary.last_run.sync_id == newest.sync_id
    assert summary.last_run.finished_at.ToDatetime(newest.synced_at.tzinfo) == newest.synced_at
    assert summary.failing
    world.platform.failures = {"trades": WRONG}
    summary = await shown(world, await world.sync(connector.id))
    assert (summary.last_run.state, list(summary.last_run.missing)) == ("partial", ["trades"])
    assert summary.failing
    world.platform.fail_with(None)
    summary = await shown(world, await world.sync(connector.id))
    assert (summary.last_run.state, summary.failing) == ("success", False)


async def test_a_cancelled_run_says_nothing_about_the_connector(world: World) -> None:
    connector = await world.synced()
    for failing in (False, True):
        run = (await world.sync_service.trigger(connector.id, [], force=True)).sync_id
        assert run is not None
        await world.sync_service.cancel(connector.id, run)
        summary = await shown(world, connector)
        assert (summary.last_run.state, summary.failing) == ("cancelled", failing)
        world.platform.fail_with(WRONG)
        await world.sync(connector.id)


async def test_a_run_whose_worker_died_failed(world: World) -> None:
    connector = await world.synced()
    await world.syncs.request_run(connector.id, "sync_1", [])
    await world.claim(connector.id)
    await world.make_due(connector.id)
    taken_over = await world.claim(connector.id)
    assert taken_over.abandoned
    summary = await shown(world, connector)
    assert (summary.last_run.state, summary.failing) == ("abandoned", True)


async def test_without_a_session_none_fails(world: World) -> None:
    world.platform.fail_with(WRONG)
    connector = await world.synced()
    assert (await shown(world, connector)).failing
    world.platform.session_over = True
    world.platform.fail_with(SessionEnded("over"))
    summary = await shown(world, await world.sync(connector.id))
    assert (summary.connection_status, summary.last_run.error_code) == (
        "expired",
        "REAUTH_REQUIRED",
    )
    assert not summary.failing
    world.platform.session_over = False
    world.platform.fail_with(WRONG)
    await world.connect(connector.user_id, connector.platform, ALL, {})
    assert not (await shown(world, connector)).failing, "its first run has not ended yet"
    await world.sync(connector.id)
    assert (await shown(world, connector)).failing
    await world.service.disconnect(connector.id)
    summary = await shown(world, connector)
    assert (summary.connection_status, summary.failing) == ("disconnected", False)


async def test_the_count_is_right_while_it_changes(world: World) -> None:
    """Runs fail and recover while counters are rolled up; each total is one that there was."""
    made = [await world.synced() for _ in range(4)]
    counters = Counters(world.database, COUNTED)
    rounds, seen = 12, []
    going = True

    async def change(connector: Connector) -> None:
        for number in range(rounds):
            fields = {"$set": {"failing": True}} if number % 2 == 0 else {"$unset": {"failing": ""}}
            where = {"userId": connector.user_id}
            await world.database.collection(CONNECTORS).update_one(where, fields)

    async def roll_up() -> None:
        while going:
            await counters.roll_up_some()

    async def read() -> None:
        while going:
            totals = await counters.totals()
            seen.append(totals)
            assert sum(totals.values()) == len(made)

    others = [asyncio.create_task(roll_up()), asyncio.create_task(read())]
    await asyncio.gather(*(change(each) for each in made))
    going = False
    await asyncio.gather(*others)
    assert seen
    await counters.roll_up_some()
    assert await counted(world) == {("fi_money", "connected", False): len(made)}


async def test_what_was_counted_before_connectors_could_fail_stays_counted(world: World) -> None:
    connector = await world.synced()
    await world.change(connector.id, {COUNTED_AS: COUNTED.mark("fi_money/connected", "1234")})
    sums = {"_id": CONNECTORS, "epoch": "1234", "counts": {"fi_money/connected": 1}}
    await world.database.collection("tallies").insert_one(sums)
    assert (await Counters(world.database, COUNTED).waiting())[0] == 0
    assert await counted(world) == {("fi_money", "connected", False): 1}
    await world.change(connector.id, {"failing": True})
    assert await counted(world) == {("fi_money", "connected", True): 1}


async def test_a_list_of_those_that_fail_is_walked_by_token(world: World) -> None:
    world.platform.fail_with(WRONG)
    made = [(await world.synced()).id for _ in range(5)]
    for number, connector_id in enumerate(made):
        created = utc_now() - timedelta(minutes=number)
        await world.change(connector_id, {"createdAt": created})
    world.platform.fail_with(None)
    await world.sync(made[2])
    failing = ConnectorFilter("fi_money", "connected", failing=True)
    first, token = await world.lists.page(failing, None, 2)
    second, last = await world.lists.page(failing, token, 2)
    expected = [each for each in made if each != made[2]]
    assert [each.id for each in (*first, *second)] == expected
    assert last is None
