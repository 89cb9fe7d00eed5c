"""The audit trail as its readers get it: who did what, over REST and gRPC, and whether it is whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import grpc
import httpx
import pytest
from finlink.audit.v1 import audit_service_pb2 as rpc
from finlink.audit.v1.audit_service_pb2_grpc import AuditServiceStub

from tests.e2e.connector_steps import (
    BROKEN_NET_WORTH,
    GRANTED,
    connect,
    create_user,
    credentials_of,
    database,
    eventually,
    new_login,
    synced,
    trigger,
)
from tests.e2e.users_errors import rest_error
from tests.stack import ROOT, Stack

PATH = "/api/v1/audit-events"


async def events(rest: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    """All events that a walk by token gives, newest first."""
    parameters: dict[str, Any] = {"limit": 2, **filters}
    found: list[dict[str, Any]] = []
    while True:
        reply = await rest.get("/audit-events", params=parameters)
        assert reply.status_code == 200, reply.text
        data = reply.json()["data"]
        found += data["events"]
        if "nextPageToken" not in data["pagination"]:
            return found
        parameters["pageToken"] = data["pagination"]["nextPageToken"]


async def test_changes_are_recorded(rest: httpx.AsyncClient, new_id: str) -> None:
    headers = {"user-agent": "auditor/1.0", "x-request-id": f"req-{new_id}"}
    body = {"userId": new_id, "email": f"{new_id}@example.com", "firstName": "Asha"}
    made = await rest.post("/users", json=body, headers=headers)
    assert made.status_code == 201, made.text
    await rest.put(f"/users/{new_id}/profile", json={"city": "Pune"})
    connector = await connect(rest, new_id)
    await synced(rest, connector["id"])
    await rest.put(f"/connectors/{connector['id']}/sync-settings", json={"syncInterval": 17})
    await trigger(rest, connector["id"])
    await rest.put(f"/connectors/{connector['id']}/refresh-session", json={})
    await rest.put(f"/users/{new_id}/status", json={"status": "suspended"})
    await rest.delete(f"/connectors/{connector['id']}")
    await rest.delete(f"/users/{new_id}")

    reported = await events(rest, userId=new_id)
    assert [event["action"] for event in reversed(reported)] == [
        "user.created",
        "user.updated",
        "connector.connected",
        "sync.settings_changed",
        "sync.requested",
        "session.refreshed",
        "user.status_changed",
        "connector.disconnected",
        "user.deleted",
    ]
    first = reported[-1]
    assert first["fields"] == ["email", "profile.first_name"]
    assert first["actor"]["kind"] == "caller"
    assert first["actor"]["userAgent"] == "auditor/1.0"
    assert first["actor"]["requestId"] == f"req-{new_id}"
    assert first["actor"]["address"] == "127.0.0.1"
    assert "Asha" not in json.dumps(reported)
    assert "Pune" not in json.dumps(reported)
    of_connector = await events(rest, connectorId=connector["id"])
    assert [event["id"] for event in of_connector] == [
        event["id"] for event in reported if "connectorId" in event
    ]
    (connected,) = await events(rest, userId=new_id, action="connector.connected")
    assert connected["platform"] == connector["platform"]


async def test_a_sync_that_fails_is_recorded(rest: httpx.AsyncClient, new_id: str) -> None:
    await create_user(rest, new_id)
    credentials = credentials_of(BROKEN_NET_WORTH)
    made = await connect(rest, new_id, permissions=["portfolio"], credentials=credentials)

    async def reported() -> list[dict[str, Any]]:
        return await events(rest, connectorId=made["id"], action="sync.failed")

    (failed, *_) = await eventually(reported, "the failure to be told")
    assert failed["actor"] == {"kind": "system"}
    assert failed["code"] == "PLATFORM_DATA_ERROR"


async def test_a_sync_that_brings_a_part_is_recorded_with_what_is_missing(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    await create_user(rest, new_id)
    credentials = credentials_of(BROKEN_NET_WORTH)
    granted = ["transactions", "portfolio"]
    made = await connect(rest, new_id, permissions=granted, credentials=credentials)

    async def reported() -> list[dict[str, Any]]:
        return await events(rest, connectorId=made["id"], action="sync.partial")

    (partial,) = await eventually(reported, "the partial run to be told")
    assert partial["actor"] == {"kind": "system"}
    assert (partial["code"], partial["fields"]) == ("PLATFORM_DATA_ERROR", ["portfolio"])
    assert await events(rest, connectorId=made["id"], action="sync.failed") == []


async def test_a_refused_call_is_not_recorded_as_done(rest: httpx.AsyncClient, new_id: str) -> None:
    await create_user(rest, new_id)
    again = await rest.post("/users", json={"userId": new_id, "email": "other@example.com"})
    assert again.status_code == 409
    assert [event["action"] for event in await events(rest, userId=new_id)] == ["user.created"]


async def test_over_grpc(rest: httpx.AsyncClient, channel: grpc.aio.Channel, new_id: str) -> None:
    await create_user(rest, new_id)
    audit = AuditServiceStub(channel)
    reply = await audit.ListAuditEvents(rpc.ListAuditEventsRequest(user_id=new_id))
    (event,) = reply.data.events
    assert (event.action, event.user_id) == ("user.created", new_id)
    assert not reply.data.pagination.HasField("next_page_token")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"userId": "no spaces"}, "userId"),
        ({"fromDate": "yesterday"}, "fromDate"),
        ({"fromDate": "2026-02-01", "toDate": "2026-01-01"}, "fromDate"),
        ({"limit": "0"}, "limit"),
        ({"pageToken": "nonsense"}, "pageToken"),
        ({"who": "me"}, "who"),
    ],
)
async def test_wrong_requests(rest: httpx.AsyncClient, query: dict[str, str], field: str) -> None:
    reply = await rest.get("/audit-events", params=query)
    failure = rest_error(reply.status_code, reply.content, PATH)
    assert failure.code == "VALIDATION_ERROR"
    assert field in failure.fields


async def test_times_bound_the_list(rest: httpx.AsyncClient, new_id: str) -> None:
    await create_user(rest, new_id)
    (event,) = await events(rest, userId=new_id)
    exactly = {"fromDate": event["at"], "toDate": event["at"]}
    assert [each["id"] for each in await events(rest, userId=new_id, **exactly)] == [event["id"]]
    assert await events(rest, userId=new_id, toDate="2026-01-01") == []


async def test_the_trail_is_sealed_and_verified(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    await create_user(rest, new_id)

    async def sealed() -> bool:
        return "sequence" in (await events(rest, userId=new_id))[0]

    await eventually(sealed, "the event to be sealed")
    assert (await verified(stack))["problems"] == []
    async with database(stack) as documents:
        where = {"userId": new_id}
        await documents["audit_events"].update_one(where, {"$set": {"action": "user.updated"}})
        try:
            (problem,) = (await verified(stack))["problems"]
            assert "was altered" in problem
        finally:
            await documents["audit_events"].update_one(where, {"$set": {"action": "user.created"}})
    assert (await verified(stack))["problems"] == []


async def verified(stack: Stack) -> dict[str, Any]:
    environment = {**os.environ, "DATA_DIR": str(stack.data_dir)}
    outcome = subprocess.run(  # noqa: ASYNC221 - nothing else goes on here
        [sys.executable, "-m", "server", "verify-audit"],
        cwd=ROOT, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(outcome.stdout)
    assert outcome.returncode == (1 if report["problems"] else 0), outcome.stderr
    return report


async def test_where_there_is_no_trail_that_is_said_and_nothing_made(stack: Stack) -> None:
    nowhere = "nobody_has_this_database"
    environment = {**os.environ, "DATA_DIR": str(stack.data_dir), "DB_NAME": nowhere}
    outcome = subprocess.run(  # noqa: ASYNC221 - nothing else goes on here
        [sys.executable, "-m", "server", "verify-audit"],
        cwd=ROOT, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert f"there is no audit trail in the database {nowhere}" in outcome.stderr
    async with database(stack) as documents:
        assert nowhere not in await documents.client.list_database_names()


async def test_both_platforms_are_named(rest: httpx.AsyncClient, new_id: str) -> None:
    await create_user(rest, new_id)
    for platform in GRANTED:
        credentials = credentials_of(new_login())
        await connect(rest, new_id, platform, credentials=credentials)
    reported = await events(rest, userId=new_id, action="connector.connected")
    assert {event["platform"] for event in reported} == set(GRANTED)
