"""Disconnecting with `delete_records`: records are unreadable at once, and what comes later stays."""

from __future__ import annotations

import asyncio

import pytest

from server.core.pages import PageRequest
from server.domains.connectors.model import Connector
from server.domains.connectors.records.store import ERASURES
from server.storage.audit import AUDIT_EVENTS
from server.storage.driver import ClientSession
from tests.domains.connectors.sync_world import ALL, Checkpoint, World, transaction

ENDED, ERASED = "connector.disconnected", "connector.records_deleted"


async def listed(world: World, connector_id: str) -> list[str]:
    page, _ = await world.sync_service.records(connector_id, None, PageRequest(limit=100))
    return [record.id for record in page]


async def reported(world: World) -> list[str]:
    events = world.database.collection(AUDIT_EVENTS).find({"action": {"$in": [ENDED, ERASED]}})
    return [event["action"] for event in await events.sort("_id", 1).to_list(None)]


async def connected_again(world: World, connector: Connector) -> Connector:
    await world.connect(connector.user_id, connector.platform, ALL, {})
    return await world.sync(connector.id)


async def erase(world: World) -> None:
    while await world.records.erase_some():
        pass


async def test_records_are_unreadable_at_once_and_erased_later(world: World) -> None:
    connector, other = await world.synced(), await world.synced()
    ended = await world.service.disconnect(connector.id, delete_records=True)
    assert ended.status == "disconnected"
    assert await listed(world, connector.id) == []
    assert sum((await world.kept(connector.id)).values()) == 7
    await erase(world)
    assert await world.kept(connector.id) == {}
    assert sum((await world.kept(other.id)).values()) == 7
    assert (ended.history, ended.errors) == (connector.history, connector.errors)
    assert await reported(world) == [ENDED, ERASED]


async def test_without_being_asked_for_they_stay(world: World) -> None:
    connector = await world.synced()
    before = await listed(world, connector.id)
    await world.service.disconnect(connector.id)
    await erase(world)
    assert await listed(world, connector.id) == before
    assert await reported(world) == [ENDED]


async def test_what_a_later_connection_fetches_stays(world: World) -> None:
    connector = await world.synced()
    before = await listed(world, connector.id)
    await world.service.disconnect(connector.id, delete_records=True)
    again = await connected_again(world, connector)
    assert (again.id, again.history[0].added_count) == (connector.id, 7)
    after = await listed(world, connector.id)
    assert len(after) == 7
    assert not set(after) & set(before)
    await erase(world)
    assert await listed(world, connector.id) == after
    await world.service.disconnect(connector.id, delete_records=True)
    await erase(world)
    assert await listed(world, connector.id) == []
    assert await world.database.collection("records").count_documents({}) == 0


async def test_a_disconnected_connector_s_records_are_erased_too(world: World) -> None:
    connector = await world.synced()
    ended = await world.service.disconnect(connector.id)
    erased = await world.service.disconnect(connector.id, delete_records=True)
    assert erased.session.disconnected_at == ended.session.disconnected_at
    assert await listed(world, connector.id) == []
    # Nothing is left to do for a third one.
    assert await world.service.disconnect(connector.id, delete_records=True) == erased
    assert await reported(world) == [ENDED, ERASED]
    assert len(world.platform.logged_out) == 1


async def test_all_or_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = await world.synced()
    document, records = await world.document(connector.id), await listed(world, connector.id)

    async def broken(records_ids: list[str], session: ClientSession) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(world.records, "forget", broken)
    with pytest.raises(RuntimeError):
        await world.service.disconnect(connector.id, delete_records=True)
    assert await world.document(connector.id) == document
    assert await listed(world, connector.id) == records
    assert await reported(world) == []


async def test_of_two_at_once_one_erases(world: World) -> None:
    connector = await world.synced()
    await world.service.disconnect(connector.id)
    calls = [world.service.disconnect(connector.id, delete_records=True) for _ in range(4)]
    await asyncio.gather(*calls)
    assert (await world.get(connector.id)).records_erased == 1
    assert await world.database.collection(ERASURES).count_documents({}) == 1
    assert await reported(world) == [ENDED, ERASED]


async def test_a_run_under_way_writes_nothing_more(world: World) -> None:
    connector = await world.synced()
    world.platform.items["transactions"].append(transaction("t3"))
    checkpoint = Checkpoint()
    world.platform.before_fetch = checkpoint
    await world.syncs.request_run(connector.id, "sync_x", [])
    run = asyncio.create_task(world.runner.run(await world.claim(connector.id)))
    await checkpoint.reached.wait()
    await world.service.disconnect(connector.id, delete_records=True)
    await erase(world)
    checkpoint.opened.set()
    await run
    assert await world.database.collection("records").count_documents({}) == 0


async def test_a_walk_that_began_before_ends_empty(world: World) -> None:
    connector = await world.synced()
    _, token = await world.sync_service.records(connector.id, None, PageRequest(limit=2))
    await world.service.disconnect(connector.id, delete_records=True)
    assert await world.sync_service.records(
        connector.id, None, PageRequest(page_token=token, limit=2)
    ) == ([], None)


async def test_a_deleted_user_s_records_are_erased_whatever_they_are_under(world: World) -> None:
    connector = await world.synced()
    await world.service.disconnect(connector.id, delete_records=True)
    await connected_again(world, connector)
    await world.user_service.delete(connector.user_id)
    await erase(world)
    assert await world.database.collection("records").count_documents({}) == 0
