"""The data keys of connectors: destroyed with the connection, and what holds when one is missing."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest
import structlog

from server.core.clock import utc_now
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.errors import AlreadyConnected
from server.security.encryption import Undecipherable
from server.security.ring import KeyRing, MissingKey
from server.storage.data_keys import DATA_KEYS
from server.storage.driver import Document
from tests.domains.connectors.sync_world import ALL, World


async def keys_of(world: World, user_id: str) -> list[Document]:
    return await world.database.collection(DATA_KEYS).find({"userId": user_id}).to_list(None)


async def restored(world: World, backup: Document) -> None:
    """Put a connector's document back as it was."""
    await world.database.collection(CONNECTORS).replace_one(
        {"_id": backup["_id"]}, backup, upsert=True
    )


async def test_a_connector_keeps_its_key_while_it_is_connected(world: World) -> None:
    connector = await world.synced()
    (key,) = await keys_of(world, connector.user_id)
    world.platform.session_over = True
    world.platform.renewable = True
    await world.sync(connector.id)
    world.platform.session_over = True
    world.platform.renewable = False
    expired = await world.sync(connector.id)
    assert expired.status == "expired"
    assert expired.session.sealed_login is not None
    refreshed = await world.service.refresh(connector.id, {"requestToken": "t"})
    assert refreshed.status == "connected"
    assert await keys_of(world, connector.user_id) == [key]


async def test_no_backup_of_a_disconnected_connector_opens(world: World) -> None:
    connector = await world.synced()
    backup = await world.document(connector.id)
    await world.service.disconnect(connector.id)
    assert await keys_of(world, connector.user_id) == []

    await restored(world, backup)
    with pytest.raises(Undecipherable, match="its data key was destroyed"):
        await world.sessions.open(await world.get(connector.id))
    assert (await world.sync(connector.id)).status == "expired"


async def test_nor_does_one_after_connecting_again(world: World) -> None:
    connector = await world.synced()
    backup = await world.document(connector.id)
    (before,) = await keys_of(world, connector.user_id)
    await world.service.disconnect(connector.id)
    await world.connect(connector.user_id, connector.platform, ALL, {})
    (after,) = await keys_of(world, connector.user_id)
    assert after["_id"] != before["_id"]
    await restored(world, backup)
    with pytest.raises(Undecipherable, match="another data key"):
        await world.sessions.open(await world.get(connector.id))


async def test_connecting_an_expired_connector_again_destroys_its_key(world: World) -> None:
    connector = await world.synced()
    (before,) = await keys_of(world, connector.user_id)
    world.platform.session_over = True
    assert (await world.sync(connector.id)).status == "expired"
    again, _ = await world.connect(connector.user_id, connector.platform, ALL, {})
    (after,) = await keys_of(world, connector.user_id)
    assert after["_id"] != before["_id"]
    assert (await world.sessions.open(again)).secrets == {"token": "tok_2"}


async def test_a_login_that_is_abandoned_loses_its_key(world: World) -> None:
    world.platform.wants_login = True
    user_id = await world.user()
    pending, url = await world.connect(user_id, world.platform.name, ALL, {})
    assert url is not None
    backup = await world.document(pending.id)
    await world.service.disconnect(pending.id)
    assert len(world.platform.abandoned) == 1, "it was opened before its key went"
    assert await keys_of(world, user_id) == []
    await restored(world, backup)
    assert await world.sessions.open_login(await world.get(pending.id)) is None


async def test_a_deleted_user_s_keys_go_and_nobody_else_s(world: World) -> None:
    connector, other = await world.synced(), await world.synced()
    backup = await world.document(connector.id)
    await world.user_service.delete(connector.user_id)
    assert await keys_of(world, connector.user_id) == []
    await restored(world, backup)
    with pytest.raises(Undecipherable):
        await world.sessions.open(await world.get(connector.id))
    assert (await world.sessions.open(other)).secrets


async def test_a_refused_connect_leaves_the_key_of_the_connection(world: World) -> None:
    connector = await world.connected()
    with pytest.raises(AlreadyConnected):
        await world.connect(connector.user_id, connector.platform, ALL, {})
    assert (await world.sessions.open(await world.get(connector.id))).secrets


async def test_whoever_wins_a_connector_is_connected_opens_or_has_no_key(world: World) -> None:
    """Disconnecting, refreshing and connecting at once never leave a session that does not open."""
    connector = await world.connected()
    for _ in range(8):
        world.platform.renewable = True
        refreshed_before = utc_now() - timedelta(hours=1)
        await world.change(connector.id, {"session.refreshedAt": refreshed_before})
        await asyncio.gather(
            world.service.disconnect(connector.id),
            world.service.refresh(connector.id, {}),
            world.connect(connector.user_id, connector.platform, ALL, {}),
            return_exceptions=True,
        )
        after = await world.get(connector.id)
        if after.live:
            assert (await world.sessions.open(after)).secrets
        else:
            assert await keys_of(world, connector.user_id) == []
            await world.connect(connector.user_id, connector.platform, ALL, {})


async def test_a_swapped_session_ends_it_and_the_log_says_whose(world: World) -> None:
    connector, victim = await world.synced(), await world.synced()
    stolen = (await world.document(victim.id))["credentials"]["encryptedToken"]
    await world.change(connector.id, {"credentials.encryptedToken": stolen})
    with structlog.testing.capture_logs() as logs:
        assert (await world.sync(connector.id)).status == "expired"
    (line,) = [line for line in logs if line["event"] == "session does not open"]
    assert line["connector_id"] == connector.id
    assert (await world.get(victim.id)).status == "connected"


async def test_a_data_key_that_was_changed_is_replaced_by_the_next_login(world: World) -> None:
    connector = await world.synced()
    await world.database.collection(DATA_KEYS).update_one(
        {"userId": connector.user_id}, {"$set": {"wrapped": b"changed"}}
    )
    expired = await world.sync(connector.id)
    assert expired.status == "expired"
    refreshed = await world.service.refresh(connector.id, {"requestToken": "t"})
    assert refreshed.status == "connected"
    assert (await world.sessions.open(refreshed)).secrets


async def test_a_key_missing_from_the_ring_ends_no_session(world: World) -> None:
    """An operator's mistake: nobody has to log in again once the key is back."""
    connector = await world.synced()
    forgetful = World(world.database, KeyRing({"two": os.urandom(32)}))
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(MissingKey):
            await forgetful.service.refresh(connector.id, {})
        failed = await forgetful.sync(connector.id)
    assert {"event": "encryption key missing", "key_id": "one", "log_level": "error"} in logs
    assert failed.status == "connected"
    assert (failed.history[0].status, failed.history[0].error_code) == ("failed", "INTERNAL")

    assert (await world.sync(connector.id)).history[0].status == "success"


async def test_without_the_key_one_can_still_disconnect(world: World) -> None:
    connector = await world.synced()
    forgetful = World(world.database, KeyRing({"two": os.urandom(32)}))
    assert (await forgetful.service.disconnect(connector.id)).status == "disconnected"
    assert await keys_of(world, connector.user_id) == []
    another = await world.synced()
    await forgetful.user_service.delete(another.user_id)
    assert await keys_of(world, another.user_id) == []
