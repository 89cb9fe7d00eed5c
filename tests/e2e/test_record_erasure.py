"""Erasing what syncs have fetched, with the disconnect: over REST and gRPC."""

from __future__ import annotations

import grpc
import httpx
import pytest
from finlink.connectors.v1 import session_pb2
from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceStub

from tests.e2e import connector_steps as steps
from tests.e2e.users_errors import rest_error
from tests.stack import Stack


@pytest.fixture
async def synced(rest: httpx.AsyncClient, new_id: str) -> str:
    """A connector that has records."""
    await steps.create_user(rest, new_id)
    connector_id: str = (await steps.connect(rest, new_id))["id"]
    await steps.synced(rest, connector_id)
    assert await steps.records(rest, connector_id)
    return connector_id


async def test_over_rest(rest: httpx.AsyncClient, stack: Stack, synced: str, new_id: str) -> None:
    reply = await rest.delete(f"/connectors/{synced}", params={"deleteRecords": "true"})
    assert reply.status_code == 200, reply.text
    assert await steps.records(rest, synced) == []

    async with steps.database(stack) as documents:

        async def erased() -> bool:
            return await documents["records"].count_documents({"connectorId": synced}) == 0

        await steps.eventually(erased, "the records to be erased")
    events = (await rest.get("/audit-events", params={"connectorId": synced})).json()["data"]
    actions = [event["action"] for event in events["events"]]
    assert actions[:2] == ["connector.records_deleted", "connector.disconnected"]

    await steps.connect(rest, new_id)
    await steps.synced(rest, synced, 2)
    assert await steps.records(rest, synced)


async def test_over_grpc(rest: httpx.AsyncClient, channel: grpc.aio.Channel, synced: str) -> None:
    stub = ConnectorServiceStub(channel)
    kept = session_pb2.DisconnectConnectorRequest(connector_id=synced, delete_records=False)
    first = await stub.DisconnectConnector(kept)
    assert await steps.records(rest, synced)
    erasing = session_pb2.DisconnectConnectorRequest(connector_id=synced, delete_records=True)
    assert await stub.DisconnectConnector(erasing) == first
    assert await steps.records(rest, synced) == []


@pytest.mark.parametrize("query", ["deleteRecords=yes", "deleteRecords=1", "delete_records=true"])
async def test_a_wrong_wish_erases_nothing(
    rest: httpx.AsyncClient, synced: str, query: str
) -> None:
    reply = await rest.delete(f"/connectors/{synced}?{query}")
    failure = rest_error(reply.status_code, reply.content, f"/api/v1/connectors/{synced}")
    assert failure.code == "VALIDATION_ERROR"
    assert set(failure.fields) == {query.partition("=")[0]}
    assert (await steps.get(rest, synced))["connectionStatus"] == "connected"
    assert await steps.records(rest, synced)
