"""Sealing of what an earlier release kept in clear: stopped, resumed, and beside runs and erasures."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId

from server.core.clock import utc_now
from server.core.pages import PageRequest
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.model import Connector
from server.domains.connectors.records import store as record_store
from server.domains.connectors.records.model import StoredRecord
from server.domains.connectors.records.store import ERASURES, RECORDS
from server.domains.connectors.sync.sealing import store as sealing_store
from server.domains.connectors.sync.sealing.store import SealedRecords
from server.domains.connectors.sync.sealing.walk import RecordSealing
from server.storage.data_keys import DATA_KEYS
from server.storage.driver import Document
from tests.domains.connectors.sync_world import Checkpoint, World, holding, trade, transaction
from tests.domains.connectors.unsealed import in_clear, unseal
from tests.mongodb import MongoDb
from tests.stack import ROOT

BATCH = 10
KILLS = 4


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_store, "BATCH", BATCH)
    monkeypatch.setattr(sealing_store, "BATCH", BATCH)
    monkeypatch.setattr("server.domains.connectors.sync.sealing.walk.BATCH", BATCH)
    monkeypatch.setattr("server.domains.connectors.sync.sealing.walk.PAUSE_SECONDS", 0)


def sealing(world: World) -> RecordSealing:
    """As another process has it."""
    return RecordSealing(world.database, world.records, world.keys)


async def seal_all(world: World) -> None:
    walk = sealing(world)
    while await walk.seal_some():
        pass


async def earlier(world: World, transactions: int = 25) -> Connector:
    """A connector whose records an earlier release wrote."""
    world.platform.items["transactions"] = [transaction(f"t{n}") for n in range(transactions)]
    connector = await world.synced()
    await unseal(world, connector.id)
    return await world.get(connector.id)


async def listed(world: World, connector_id: str) -> list[StoredRecord]:
    records, token = await world.sync_service.records(connector_id, None, PageRequest(limit=7))
    while token is not None:
        wanted = PageRequest(page_token=token, limit=7)
        more, token = await world.sync_service.records(connector_id, None, wanted)
        records += more
    return records


def by_id(documents: Sequence[Document]) -> dict[Any, Document]:
    return {each["_id"]: each for each in documents}


async def lapse(world: World, connector_id: str) -> None:
    await world.change(connector_id, {"sync.sealing": utc_now() - timedelta(hours=1)})


def killed_at(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """The process ends in the transaction of this batch, and releases nothing."""
    seal_some, calls = sealing_store.SealingStore.seal_some, 0

    async def dying(self: Any, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        sealed = await seal_some(self, *given)
        if calls == batch:
            raise Killed
        return sealed

    async def nothing(self: Any, lease: Any) -> None:
        return

    monkeypatch.setattr(sealing_store.SealingStore, "seal_some", dying)
    monkeypatch.setattr(sealing_store.SealingStore, "release", nothing)


async def test_all_is_sealed_and_nothing_else_changes(world: World) -> None:
    one, other = await earlier(world), await earlier(world, 3)
    await world.service.disconnect(other.id)
    documents = [await world.opened(each.id) for each in (one, other)]
    before = [await listed(world, each.id) for each in (one, other)]
    assert await in_clear(world) == 25 + 5 + 3 + 5
    assert await SealedRecords(world.database).count_unsealed() == 38
    connector = await world.document(one.id)

    await seal_all(world)
    assert await in_clear(world) == 0
    assert [await listed(world, each.id) for each in (one, other)] == before
    after = [await world.opened(each.id) for each in (one, other)]
    assert list(map(by_id, after)) == list(map(by_id, documents))
    raw = await world.database.collection(RECORDS).find({}).to_list(None)
    assert {type(each["key"]) for each in raw} == {bytes}
    assert all(("mac" in each) == (each["dataType"] != "transactions") for each in raw)
    sealed = await world.document(one.id)
    assert connector["sync"].pop("kept")
    assert sealed["sync"].pop("fence") == connector["sync"].pop("fence") + 1
    assert sealed == connector


async def test_a_page_token_of_before_goes_on(world: World) -> None:
    connector = await earlier(world)
    before = await listed(world, connector.id)
    first, token = await world.sync_service.records(connector.id, None, PageRequest(limit=12))
    await seal_all(world)
    rest, _ = await world.sync_service.records(
        connector.id, None, PageRequest(page_token=token, limit=100)
    )
    assert [*first, *rest] == before


async def test_the_next_run_finds_what_is_there(world: World) -> None:
    connector = await earlier(world)
    documents = by_id(await world.opened(connector.id))
    await seal_all(world)
    after = await world.sync(connector.id)
    assert (after.history[0].added_count, after.history[0].status) == (0, "success")
    now = by_id(await world.opened(connector.id))
    assert {each["seen"] for each in now.values()} == {after.last_sync_id}
    for each in (*documents.values(), *now.values()):
        del each["seen"]
    assert now == documents


async def test_a_run_seals_what_it_sees(world: World) -> None:
    """Before the walk comes: it looks up both forms."""
    connector = await earlier(world)
    world.platform.items["portfolio"] = [holding("h1", 5), holding("h2")]
    world.platform.items["trades"].append(trade("x2"))
    after = await world.sync(connector.id)
    assert after.history[0].added_count == 1
    left = await world.database.collection(RECORDS).find({"data": {"$exists": True}}).to_list(None)
    assert [(each["key"], "closedAt" in each) for each in left] == [("h3", True)], "not seen again"
    await seal_all(world)
    kept = {each["key"]: each for each in await world.opened(connector.id)}
    assert len(kept) == 31
    assert kept["h1"]["data"]["quantity"] == "5"
    assert ("closedAt" in kept["h3"], await in_clear(world)) == (True, 0)


@pytest.mark.parametrize("batch", [1, 2, 3])
async def test_killed_in_the_middle_and_a_run_between(
    world: World, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    connector = await earlier(world)
    before = await listed(world, connector.id)
    documents = by_id(await world.opened(connector.id))
    with monkeypatch.context() as patched:
        killed_at(patched, batch)
        with pytest.raises(Killed):
            await seal_all(world)
    left = 30 - BATCH * (batch - 1)
    assert await in_clear(world) == left, "a batch is sealed whole or not at all"
    assert await listed(world, connector.id) == before

    # Nobody has it until the lease lapses: no run, and no other walk.
    await world.sync_service.trigger(connector.id, [], force=True)
    assert await world.syncs.claim() is None
    await seal_all(world)
    assert await in_clear(world) == left

    await lapse(world, connector.id)
    world.platform.items["transactions"].append(transaction("new"))
    after = await world.sync(connector.id)
    assert (after.history[0].added_count, after.history[0].records_count) == (1, 31)
    await seal_all(world)
    assert await in_clear(world) == 0
    now = by_id(await world.opened(connector.id))
    assert len(now) == 31
    for identifier, document in documents.items():
        assert now[identifier] == {**document, "seen": after.last_sync_id}
    again = await world.sync(connector.id)
    assert again.history[0].added_count == 0


async def test_a_walker_that_froze_writes_nothing_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease lapsed and a run had the connector: the fence has grown."""
    connector = await earlier(world)
    checkpoint = Checkpoint()
    seal_some = sealing_store.SealingStore.seal_some
    calls = 0

    async def freezing(self: Any, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            await checkpoint()
        return await seal_some(self, *given)

    monkeypatch.setattr(sealing_store.SealingStore, "seal_some", freezing)
    walk = asyncio.create_task(sealing(world).seal_some())
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    await lapse(world, connector.id)
    fence = (await world.sync(connector.id)).sync.fence
    checkpoint.opened.set()
    assert await walk is True
    assert (await world.get(connector.id)).sync.fence == fence
    await lapse(world, connector.id)
    await seal_all(world)
    assert await in_clear(world) == 0
    assert len(await world.opened(connector.id)) == 30


async def test_a_connector_that_a_run_has_is_left_alone(world: World) -> None:
    connector, other = await earlier(world), await earlier(world)
    checkpoint = Checkpoint()
    world.platform.before_fetch = checkpoint
    await world.sync_service.trigger(connector.id, [], force=True)
    run = asyncio.create_task(world.runner.run(await world.claim(connector.id)))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    await seal_all(world)
    assert await in_clear(world) == 30
    assert all("data" in each for each in await world.opened(other.id))
    checkpoint.opened.set()
    await run
    await seal_all(world)
    assert await in_clear(world) == 0


async def test_two_walks_at_once(world: World) -> None:
    connectors = [await earlier(world) for _ in range(4)]
    before = [by_id(await world.opened(each.id)) for each in connectors]
    await asyncio.gather(*(seal_all(world) for _ in range(3)))
    assert await in_clear(world) == 0
    assert [by_id(await world.opened(each.id)) for each in connectors] == before
    assert await world.database.collection(DATA_KEYS).count_documents({}) == 8


async def test_records_that_are_erased_meanwhile_stay_erased(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = await earlier(world)
    checkpoint = Checkpoint()
    box_of = world.records.box_of

    async def slow(records: Any) -> Any:
        await checkpoint()
        return await box_of(records)

    monkeypatch.setattr(world.records, "box_of", slow)
    walk = asyncio.create_task(sealing(world).seal_some())
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    await world.service.disconnect(connector.id, delete_records=True)
    checkpoint.opened.set()
    await walk
    owners = await world.database.collection(DATA_KEYS).distinct("owner")
    assert not [owner for owner in owners if owner.startswith("records/")]
    while await world.records.erase_some():
        pass
    assert await world.database.collection(RECORDS).count_documents({}) == 0


async def test_records_of_no_connector_are_erased(world: World) -> None:
    connector = await earlier(world)
    await world.database.collection(CONNECTORS).delete_one({"_id": ObjectId(connector.id)})
    await seal_all(world)
    assert await world.database.collection(ERASURES).count_documents({}) == 1
    while await world.records.erase_some():
        pass
    assert await in_clear(world) == 0


async def test_what_is_there_in_both_forms_stays_once(world: World) -> None:
    """A worker of the earlier release, which still ran, stored again what it did not find."""
    connector = await earlier(world)
    await seal_all(world)
    before = by_id(await world.opened(connector.id))
    again = [{**each, "_id": ObjectId()} for each in before.values()]
    await world.database.collection(RECORDS).insert_many(again[:20])
    await seal_all(world)
    assert by_id(await world.opened(connector.id)) == before
    await world.database.collection(RECORDS).insert_many(again)
    assert (await world.sync(connector.id)).history[0].added_count == 0
    await seal_all(world)
    assert set(by_id(await world.opened(connector.id))) == set(before)


_WALK = """
import asyncio, sys
from server.domains.connectors.records import store as record_store
from server.domains.connectors.records.store import RecordStore
from server.domains.connectors.sync.sealing import store as sealing_store, walk
from server.storage.data_keys import DataKeyStore
from server.storage.driver import connected
from tests.domains.connectors.sync_world import RING
from tests.storage.databases import settings
for module in (record_store, sealing_store, walk):
    module.BATCH = 10
walk.PAUSE_SECONDS = 0.001

async def main():
    async with connected(settings(sys.argv[1], "pymongo", db_name=sys.argv[2])) as database:
        keys = DataKeyStore(database, RING)
        one = walk.RecordSealing(database, RecordStore(database, keys), keys)
        print("ready", flush=True)
        while await one.seal_some():
            pass
        print("done", flush=True)

asyncio.run(main())
"""


async def _sealed_down_to(world: World, count: int) -> None:
    while True:
        if await in_clear(world) <= count:
            return
        await asyncio.sleep(0.001)


async def test_a_process_that_is_killed_again_and_again(world: World, mongodb: MongoDb) -> None:
    """With SIGKILL, wherever it is; then another goes on, to the same end."""
    connector = await earlier(world, 400)
    before = by_id(await world.opened(connector.id))
    name = world.database.collection(RECORDS).database.name
    left, kills, sealed = 405, 0, False
    while not sealed:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WALK, mongodb.uri, name, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert process.stdout is not None
        await process.stdout.readline()
        if kills < KILLS:
            await _sealed_down_to(world, left - 40)
            process.send_signal(signal.SIGKILL)
            kills += 1
        await process.wait()
        now = await in_clear(world)
        assert now % BATCH == 405 % BATCH or now == 0
        left, sealed = now, now == 0
        assert by_id(await world.opened(connector.id)) == before
        await lapse(world, connector.id)
    assert kills == KILLS
    owners = await world.database.collection(DATA_KEYS).distinct("owner")
    assert [owner for owner in owners if owner.startswith("records/")] == [
        f"records/{connector.id}"
    ]


# Keys that are missing


async def test_sealed_records_without_their_key(world: World) -> None:
    connector, other, plain = await world.synced(), await world.synced(), await earlier(world)
    never = await world.connected()
    await world.service.disconnect(never.id)
    rows = SealedRecords(world.database)
    assert (await rows.count_keyless(), await rows.count_keyless(50)) == (0, 0)
    lost = f"records/{connector.id}"
    await world.database.collection(DATA_KEYS).delete_one({"owner": lost})
    assert (await rows.count_keyless(), await rows.count_keyless(50)) == (1, 1)
    assert plain.id != never.id, "neither has anything sealed"

    with pytest.raises(Exception, match="data key of these records is missing"):
        await listed(world, connector.id)
    failed = await world.sync(connector.id)
    assert (failed.history[0].status, failed.history[0].error_code) == ("failed", "INTERNAL")
    assert len(await listed(world, other.id)) == 7

    assert await rows.erase_keyless() == 1
    assert await rows.count_keyless() == 0
    assert await listed(world, connector.id) == []
    again = await world.sync(connector.id)
    assert (again.history[0].status, again.history[0].added_count) == ("success", 30)
    while await world.records.erase_some():
        pass
    assert await world.kept(connector.id) == {}
