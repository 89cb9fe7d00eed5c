"""Single runs over REST and gRPC: how they stand, and cancelling them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from bson import ObjectId
from finlink.connectors.v1 import sync_service_pb2

from server.domains.connectors.connections.sessions import new_sync_id
from tests.e2e.connector_steps import (
    connect,
    create_user,
    database,
    document,
    sync_status,
    synced,
    trigger,
)
from tests.e2e.replies import content_of
from tests.stack import Stack

if TYPE_CHECKING:
    from finlink.connectors.v1.sync_service_pb2_grpc import SyncServiceAsyncStub


@pytest.fixture
async def connector_id(rest: httpx.AsyncClient, new_id: str) -> str:
    """A connector after its first sync."""
    await create_user(rest, new_id)
    made: str = (await connect(rest, new_id))["id"]
    await synced(rest, made)
    return made


async def under_way(stack: Stack, connector_id: str) -> str:
    """A run that some worker began and will not end while this test looks."""
    sync_id = new_sync_id()
    now = datetime.now(UTC)
    run = {"syncId": sync_id, "dataTypes": ["profile"], "requestedAt": now, "startedAt": now}
    async with database(stack) as documents:
        result = await documents["connectors"].update_one(
            {"_id": ObjectId(connector_id), "sync.run": {"$exists": False}},
            {"$set": {"sync.run": run, "sync.dueAt": now + timedelta(hours=1)}},
        )
    assert result.matched_count == 1
    return sync_id


async def test_a_run_from_its_start_to_its_end(rest: httpx.AsyncClient, connector_id: str) -> None:
    sync_id = (await trigger(rest, connector_id))["data"]["syncId"]
    early = (await rest.get(f"/connectors/{connector_id}/syncs/{sync_id}")).json()["data"]
    assert early["syncId"] == sync_id
    assert early["state"] in {"in_progress", "success"}
    await synced(rest, connector_id, 2)
    reply = await rest.get(f"/connectors/{connector_id}/syncs/{sync_id}")
    assert reply.status_code == 200
    run = reply.json()["data"]
    entry = (await sync_status(rest, connector_id))["syncHistory"][0]
    assert run == {
        "syncId": sync_id,
        "state": "success",
        "startedAt": entry["startedAt"],
        "finishedAt": entry["syncedAt"],
        "counts": [{"dataType": "profile", "recordsCount": 1, "addedCount": 0}],
        "missing": [],
    }


async def test_cancelling_a_run(stack: Stack, rest: httpx.AsyncClient, connector_id: str) -> None:
    sync_id = await under_way(stack, connector_id)
    asked = await rest.get(f"/connectors/{connector_id}/syncs/{sync_id}")
    assert asked.json()["data"]["state"] == "in_progress"

    reply = await rest.post(f"/connectors/{connector_id}/syncs/{sync_id}/cancel")
    assert reply.status_code == 200
    assert reply.json()["message"] == "Sync cancelled"
    run = reply.json()["data"]
    assert run["state"] == "cancelled"
    assert run["error"] == {"code": "RUN_CANCELLED", "message": "The sync was cancelled"}

    status = await sync_status(rest, connector_id)
    assert "currentSyncId" not in status
    assert "nextSyncAt" in status
    assert (status["totalSyncs"], status["failedSyncs"]) == (2, 1)
    newest = status["syncHistory"][0]
    assert (newest["syncId"], newest["status"]) == (sync_id, "failed")
    assert newest["errorCode"] == "RUN_CANCELLED"
    async with database(stack) as documents:
        assert "run" not in (await document(documents, connector_id))["sync"]

    again = await rest.post(f"/connectors/{connector_id}/syncs/{sync_id}/cancel", json={})
    assert content_of(again) == {"message": "Sync already finished", "data": run}


async def test_a_run_that_succeeded_is_not_cancelled(
    rest: httpx.AsyncClient, connector_id: str
) -> None:
    entry = (await sync_status(rest, connector_id))["syncHistory"][0]
    reply = await rest.post(f"/connectors/{connector_id}/syncs/{entry['syncId']}/cancel")
    assert reply.status_code == 200
    assert reply.json()["message"] == "Sync already finished"
    assert reply.json()["data"]["state"] == "success"


async def test_runs_over_grpc(
    stack: Stack, rest: httpx.AsyncClient, syncs: SyncServiceAsyncStub, connector_id: str
) -> None:
    entry = (await sync_status(rest, connector_id))["syncHistory"][0]
    found = await syncs.GetSync(
        sync_service_pb2.GetSyncRequest(connector_id=connector_id, sync_id=entry["syncId"])
    )
    assert (found.data.state, found.data.counts[0].records_count) == ("success", 1)
    assert not found.data.HasField("error")

    sync_id = await under_way(stack, connector_id)
    cancelled = await syncs.CancelSync(
        sync_service_pb2.CancelSyncRequest(connector_id=connector_id, sync_id=sync_id)
    )
    assert (cancelled.message, cancelled.data.state) == ("Sync cancelled", "cancelled")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await syncs.GetSync(
            sync_service_pb2.GetSyncRequest(connector_id=connector_id, sync_id=new_sync_id())
        )
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_what_there_is_not(rest: httpx.AsyncClient, connector_id: str, verb: str) -> None:
    end = "" if verb == "GET" else "/cancel"

    async def failure(of_connector: str, sync_id: str) -> tuple[int, str, list[str]]:
        reply = await rest.request(verb, f"/connectors/{of_connector}/syncs/{sync_id}{end}")
        error = reply.json()["error"]
        return reply.status_code, error["code"], [entry["field"] for entry in error["details"]]

    unknown = new_sync_id()
    assert await failure(connector_id, unknown) == (404, "SYNC_NOT_FOUND", [])
    assert await failure("0" * 24, unknown) == (404, "CONNECTOR_NOT_FOUND", [])
    assert await failure(connector_id, "sync_x") == (400, "VALIDATION_ERROR", ["syncId"])
    assert await failure("x", "sync_x") == (400, "VALIDATION_ERROR", ["connectorId", "syncId"])
