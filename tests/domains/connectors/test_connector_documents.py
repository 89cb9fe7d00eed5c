"""Connectors as MongoDB keeps them, and as another tool may have written them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from server.core.clock import utc_now
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.model import Connector, ConnectorFilter
from tests.domains.connectors.sync_world import ALL, World

CONNECTED = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


def of_another_tool(user_id: str, **changes: Any) -> dict[str, Any]:
    """The product's schema (2.2) to the letter, as Mongoose writes it: numbers are doubles."""
    return {
        "_id": ObjectId(),
        "userId": user_id,
        "platform": "fi_money",
        "connectionStatus": "connected",
        "sessionId": f"sess_{user_id}",
        "connectionDetails": {
            "connectedAt": CONNECTED,
            "lastSyncAt": CONNECTED + timedelta(minutes=55),
            "sessionDuration": 55.0,
            "syncInterval": 10.0,
        },
        "credentials": {
            "encryptedToken": "U2FsdGVkX1",
            "tokenExpiresAt": CONNECTED + timedelta(hours=8),
            "refreshToken": "r",
        },
        "metadata": {
            "platformUserId": "fi_user_123",
            "accountType": "premium",
            "permissions": ["transactions", "portfolio"],
            "dataTypes": ["transactions"],
        },
        "syncHistory": [
            {
                "syncedAt": CONNECTED + timedelta(minutes=55), "status": "success",
                "recordsCount": 150.0,
            },
            {
                "syncedAt": CONNECTED + timedelta(minutes=50), "status": "failed",
                "errorMessage": "Rate limit exceeded",
            },
        ],
        "errors": [
            {
                "errorCode": "RATE_LIMIT", "errorMessage": "Rate limit exceeded",
                "occurredAt": CONNECTED,
            }
        ],
        "createdAt": CONNECTED - timedelta(days=1),
        "updatedAt": CONNECTED,
        "__v": 0,
        **changes,
    }  # fmt: skip


async def written(world: World, document: dict[str, Any]) -> Connector:
    await world.database.collection(CONNECTORS).insert_one(document)
    return await world.get(str(document["_id"]))


async def test_a_document_of_another_tool(world: World) -> None:
    connector = await written(world, of_another_tool(await world.user()))
    assert connector.status == "connected"
    assert connector.session.connected_at == CONNECTED
    assert (connector.sync.interval, connector.session.ended_duration) == (10, 55)
    assert isinstance(connector.sync.interval, int)
    assert (connector.session.platform_user_id, connector.session.account_type) == (
        "fi_user_123",
        "premium",
    )
    assert connector.permissions == ("transactions", "portfolio")
    assert connector.sync.data_types == ("transactions",)
    assert [entry.status for entry in connector.history] == ["success", "failed"]
    assert connector.history[0].records_count == 150
    assert connector.history[1].error_message == "Rate limit exceeded"
    assert connector.errors[0].error_code == "RATE_LIMIT"
    assert (connector.sync.auto, connector.sync.paused, connector.sync.run) == (True, False, None)
    assert (connector.session.generation, connector.sync.fence, connector.totals.runs) == (0, 0, 0)
    assert connector.created_at == CONNECTED - timedelta(days=1)


async def test_what_another_tool_left_out_has_its_default(world: World) -> None:
    identifier = ObjectId()
    connector = await written(
        world, {"_id": identifier, "userId": await world.user(), "platform": "zerodha"}
    )
    assert connector.status == "disconnected"
    assert (connector.sync.interval, connector.sync.auto) == (5, True)
    assert (connector.permissions, connector.sync.data_types) == ((), ())
    assert (connector.history, connector.errors) == ((), ())
    assert connector.created_at == connector.updated_at == identifier.generation_time


async def test_sections_another_tool_stored_as_null(world: World) -> None:
    nulls = dict.fromkeys(
        ("connectionDetails", "credentials", "metadata", "syncHistory", "errors", "sync", "session")
    )
    connector = await written(world, of_another_tool(await world.user(), **nulls))
    assert connector.sync.interval == 5
    changed = await world.sync_service.update_settings(connector.id, 9, [], None)
    assert changed.sync.interval == 9
    assert (await world.service.disconnect(connector.id)).status == "disconnected"


async def test_without_data_types_the_permissions_are_synced(world: World) -> None:
    document = of_another_tool(await world.user())
    del document["metadata"]["dataTypes"]
    connector = await written(world, document)
    assert connector.sync.data_types == ("transactions", "portfolio")
    run = (await world.sync_service.trigger(connector.id, [], force=True)).sync_id
    wanted = (await world.get(connector.id)).sync.run
    assert wanted is not None
    assert (wanted.sync_id, wanted.data_types) == (run, ("transactions", "portfolio"))


async def test_it_is_listed_and_counted(world: World) -> None:
    connector = await written(world, of_another_tool(await world.user()))
    listed, token = await world.lists.page(ConnectorFilter(), None, 10)
    assert ([each.id for each in listed], token) == ([connector.id], None)
    counts = await world.lists.count_by_status(ConnectorFilter())
    assert counts == {("fi_money", "connected", False): 1}


async def test_one_without_a_status_is_counted_as_disconnected(world: World) -> None:
    connector = await written(
        world, {"_id": ObjectId(), "userId": await world.user(), "platform": "zerodha"}
    )
    assert connector.status == "disconnected"
    try:
        counts = await world.lists.count_by_status(ConnectorFilter())
    except KeyError as error:
        raise AssertionError("the summary fails") from error
    assert counts == {("zerodha", "disconnected", False): 1}


async def test_one_without_a_status_can_be_connected(world: World) -> None:
    user_id = await world.user()
    found = await written(world, {"_id": ObjectId(), "userId": user_id, "platform": "fi_money"})
    try:
        connector, _ = await world.connect(user_id, "fi_money", ALL, {})
    except Exception as error:
        raise AssertionError("it is refused") from error
    assert (connector.id, connector.status) == (found.id, "connected")


async def test_its_foreign_session_expires_with_the_first_sync(world: World) -> None:
    connector = await written(world, of_another_tool(await world.user()))
    after = await world.sync(connector.id)
    assert after.status == "expired"
    assert after.history[0].error_code == "REAUTH_REQUIRED"
    assert len(after.history) == 3
    assert (after.totals.runs, after.totals.failed) == (1, 1)


async def test_it_is_disconnected_and_connected_again(world: World) -> None:
    connector = await written(world, of_another_tool(await world.user()))
    ended = await world.service.disconnect(connector.id)
    assert ended.status == "disconnected"
    assert "credentials" not in await world.document(connector.id)
    again, _ = await world.connect(connector.user_id, "fi_money", ["trades"], {})
    assert again.id == connector.id
    assert again.history == connector.history
    synced = await world.sync(again.id)
    assert synced.history[0].status == "success"
    assert synced.created_at == connector.created_at


async def test_stored_fields_have_the_product_s_names(world: World) -> None:
    connector = await world.synced()
    document = await world.document(connector.id)
    assert set(document) == {
        "_id", "userId", "platform", "connectionStatus", "sessionId", "connectionDetails",
        "credentials", "metadata", "syncHistory", "errors", "createdAt", "updatedAt",
        "sync", "session",
    }  # fmt: skip
    assert {"connectedAt", "lastSyncAt", "syncInterval"} <= set(document["connectionDetails"])
    assert {"encryptedToken", "tokenExpiresAt"} <= set(document["credentials"])
    assert set(document["metadata"]) == {
        "platformUserId", "accountType", "permissions", "dataTypes",
    }  # fmt: skip
    assert {"syncedAt", "status", "recordsCount"} <= set(document["syncHistory"][0])
    assert document["connectionDetails"]["syncInterval"] == 5
    assert document["errors"] == []


async def test_round_trip(world: World) -> None:
    """What the store gives after a write is what a read gives."""
    connector = await world.connected()
    assert await world.get(connector.id) == connector
    claimed = await world.claim(connector.id)
    assert await world.get(connector.id) == claimed.item
    await world.runner.run(claimed)
    refreshed = await world.service.refresh(connector.id, {})
    assert await world.get(connector.id) == refreshed
    changed = await world.sync_service.update_settings(connector.id, 7, ["trades"], False)
    assert await world.get(connector.id) == changed
    ended = await world.service.disconnect(connector.id)
    assert await world.get(connector.id) == ended


async def test_times_are_on_one_clock(world: World) -> None:
    before = utc_now() - timedelta(seconds=1)
    connector = await world.connected()
    await asyncio.sleep(0)
    after = utc_now() + timedelta(seconds=1)
    for moment in (connector.created_at, connector.updated_at, connector.session.connected_at):
        assert moment is not None
        assert before <= moment <= after
