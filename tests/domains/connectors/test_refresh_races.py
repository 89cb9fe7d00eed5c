"""Refreshes of one connector at once, and refreshes that conflict with something newer."""

from __future__ import annotations

import asyncio

import pytest

from server.domains.connectors.connections.renewal import SessionRenewal
from server.domains.connectors.errors import NotConnected, ReauthRequired
from server.domains.connectors.model import Connector
from server.storage.leases import LEASES, Leases
from tests.domains.connectors.sync_world import ALL, Checkpoint, World


def another_process(world: World) -> SessionRenewal:
    return world.another_renewal(world.platforms, Leases(world.database))


async def frozen_refresh(
    world: World, connector: Connector
) -> tuple[Checkpoint, asyncio.Task[Connector]]:
    """A refresh that stands still at the platform, its lease lapsed."""
    checkpoint = world.platform.before_renewal = Checkpoint()
    refresh = asyncio.create_task(world.service.refresh(connector.id, {}))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    await world.database.collection(LEASES).delete_one({"_id": f"refresh/{connector.id}"})
    world.platform.before_renewal = None
    return checkpoint, refresh


async def test_of_many_refreshes_one_asks_the_platform(world: World) -> None:
    connector = await world.synced()
    processes = [another_process(world) for _ in range(3)]
    replies = await asyncio.gather(
        *(processes[number % 3].refresh(connector, {}) for number in range(60))
    )
    assert world.platform.renewals == 1
    assert {reply.session.generation for reply in replies} == {connector.session.generation + 1}
    assert len({reply.session.id for reply in replies}) == 1


async def test_of_many_refreshes_all_get_the_same_refusal(world: World) -> None:
    connector = await world.synced()
    world.platform.session_over = True
    replies = await asyncio.gather(
        *(world.service.refresh(connector.id, {}) for _ in range(10)), return_exceptions=True
    )
    assert {type(reply) for reply in replies} == {ReauthRequired}
    assert world.platform.renewals == 1
    with pytest.raises(ReauthRequired):
        await world.service.refresh(connector.id, {})


async def test_a_refresh_with_a_conflict_changes_nothing_and_returns_the_newer(
    world: World,
) -> None:
    connector = await world.synced()
    world.platform.renewable = True
    checkpoint, late = await frozen_refresh(world, connector)
    newer = await another_process(world).refresh(connector, {})
    document = await world.document(connector.id)
    checkpoint.opened.set()
    assert (await late).session.id == newer.session.id
    assert await world.document(connector.id) == document
    # The session that it opened all the same is ended again.
    assert [session.secrets["token"] for session in world.platform.logged_out] == ["tok_3"]


async def test_a_refusal_with_a_conflict_expires_nothing(world: World) -> None:
    connector = await world.synced()
    world.platform.renewable = True
    checkpoint, late = await frozen_refresh(world, connector)
    newer = await another_process(world).refresh(connector, {})
    world.platform.renewable = False
    world.platform.session_over = True
    checkpoint.opened.set()
    assert (await late).session.id == newer.session.id
    assert (await world.get(connector.id)).status == "connected"


async def test_a_disconnect_wins_over_a_refresh_under_way(world: World) -> None:
    connector = await world.synced()
    world.platform.renewable = True
    checkpoint, late = await frozen_refresh(world, connector)
    await world.service.disconnect(connector.id)
    document = await world.document(connector.id)
    checkpoint.opened.set()
    with pytest.raises(NotConnected):
        await late
    assert await world.document(connector.id) == document


async def test_connecting_again_wins_over_a_refresh_under_way(world: World) -> None:
    connector = await world.synced()
    world.platform.renewable = True
    checkpoint, late = await frozen_refresh(world, connector)
    await world.service.disconnect(connector.id)
    anew, _ = await world.connect(connector.user_id, "fi_money", ALL, {})
    checkpoint.opened.set()
    assert (await late).session.id == anew.session.id
    assert (await world.get(connector.id)).session.generation == anew.session.generation


async def test_a_deleted_user_wins_over_a_refresh_under_way(world: World) -> None:
    connector = await world.synced()
    world.platform.renewable = True
    checkpoint, late = await frozen_refresh(world, connector)
    await world.user_service.delete(connector.user_id)
    checkpoint.opened.set()
    with pytest.raises(NotConnected):
        await late
    assert await world.connectors.get(connector.id) is None


async def test_a_renewal_that_has_begun_is_stored_though_its_run_is_stopped(world: World) -> None:
    connector = await world.synced()
    world.platform.session_over = True
    world.platform.renewable = True
    checkpoint = world.platform.before_renewal = Checkpoint()
    await world.make_due(connector.id)
    run = asyncio.create_task(world.runner.run(await world.claim(connector.id)))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
        run.cancel()
        checkpoint.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await run
    after = await world.get(connector.id)
    assert after.session.generation == connector.session.generation + 1
    assert (await world.sessions.open(after)).secrets == {"token": "tok_2"}
    # The run was handed back all the same.
    assert after.sync.run is not None
    assert after.sync.run.started_at is None
