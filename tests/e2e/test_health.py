"""The health of a running Finlink, over REST and gRPC."""

from __future__ import annotations

import grpc
import httpx
from finlink.system.v1 import system_service_pb2 as rpc
from finlink.system.v1.system_service_pb2_grpc import SystemServiceStub

from server.core.version import VERSION
from tests.e2e.connector_steps import database, eventually
from tests.stack import Stack

CHECKS = {"mongodb", "workers", "jobs", "outbox", "platforms", "signingKeys"}


async def test_all_parts_are_looked_at(rest: httpx.AsyncClient, channel: grpc.aio.Channel) -> None:
    async def well() -> httpx.Response | None:
        reply = await rest.get("/health/detailed")
        return reply if reply.status_code == 200 else None

    reply = await eventually(well, "a sync engine that reports")
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert body["success"] is True
    assert body["data"]["version"] == VERSION
    checks = body["data"]["checks"]
    assert checks.keys() >= CHECKS
    assert {checks[name]["status"] for name in ("mongodb", "outbox", "signingKeys")} == {"ok"}
    assert "2 of them sync" in checks["workers"]["message"]
    over_grpc = await SystemServiceStub(channel).GetHealth(rpc.GetHealthRequest())
    assert over_grpc.data.checks.keys() == checks.keys()
    assert not over_grpc.data.checks["mongodb"].HasField("lag_seconds")


async def test_a_failing_check_is_a_503_with_the_same_data(
    stack: Stack, rest: httpx.AsyncClient
) -> None:
    """The engines are made to look as if they had never reported, which they do again in seconds."""

    async with database(stack) as documents:

        async def nobody_syncs() -> httpx.Response | None:
            await documents["processes"].update_many({}, {"$unset": {"syncedAt": 1}})
            reply = await rest.get("/health/detailed")
            return reply if reply.status_code == 503 else None

        body = (await eventually(nobody_syncs, "a failing check")).json()
    assert (body["success"], body["data"]["status"]) == (False, "failing")
    assert "error" not in body
    assert body["data"]["checks"]["workers"]["status"] == "failing"
    assert body["data"]["checks"]["mongodb"]["status"] == "ok"
    async with httpx.AsyncClient(base_url=stack.rest) as elsewhere:
        for base in ("/v1", "/api"):
            reply = await elsewhere.get(f"{base}/health/detailed")
            assert reply.json()["data"].keys() == body["data"].keys()
