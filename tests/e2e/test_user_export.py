"""Everything held on one user, as a stream: JSON lines over REST, messages over gRPC."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import httpx
import pytest
from finlink.exports.v1 import export_service_pb2
from finlink.exports.v1.export_service_pb2_grpc import ExportServiceStub
from google.protobuf import json_format

from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Json
from tests.e2e.identity_steps import bearer, login, signed_in
from tests.e2e.users_errors import grpc_error, rest_error
from tests.stack import Stack

# 30 MB in all: more than the buffers of all sockets on the way hold, and than Envoy takes for a reply
# that is one message.
MANY, LONG = 3000, 10_000


async def exported(rest: httpx.AsyncClient, user_id: str) -> list[Json]:
    """All lines."""
    async with rest.stream("GET", f"/users/{user_id}/export") as reply:
        assert reply.status_code == 200, await reply.aread()
        assert reply.headers["content-type"] == "application/x-ndjson"
        assert reply.headers["cache-control"] == "no-store"
        return [json.loads(line) async for line in reply.aiter_lines()]


def kinds(lines: list[Json]) -> list[str]:
    return [next(name for name in line if name != "connectorId") for line in lines]


@pytest.fixture
async def user(rest: httpx.AsyncClient, new_id: str) -> str:
    """A user with both platforms, synced."""
    await steps.create_user(rest, new_id)
    await rest.put(f"/users/{new_id}/profile", json={"city": "Pune"})
    for platform in steps.GRANTED:
        credentials = steps.credentials_of(steps.new_login())
        made = await steps.connect(rest, new_id, platform, credentials=credentials)
        await steps.synced(rest, made["id"])
    return new_id


async def test_all_of_a_user(rest: httpx.AsyncClient, stack: Stack, user: str) -> None:
    lines = await exported(rest, user)
    read: dict[str, Any] = (await rest.get(f"/users/{user}")).json()["data"]
    assert lines[0] == {"user": read}

    assert lines[1] == {"loginMethods": {"password": False, "phone": False, "external": []}}

    # Connectors in their order, each followed by its records, as other calls give them.
    place = 2
    ids = [each["id"] for each in (await steps.of_user(rest, user))["connectors"]]
    for connector_id in ids:
        whole = await steps.get(rest, connector_id)
        reported = lines[place]["connector"]
        for name in ("id", "platform", "syncHistory", "errors", "metadata", "createdAt"):
            assert reported[name] == whole[name]
        assert reported["connectionDetails"]["syncInterval"] == 5
        assert reported["autoSync"] is True
        records = await steps.records(rest, connector_id)
        assert records
        expected = [{"record": record, "connectorId": connector_id} for record in records]
        assert lines[place + 1 : place + 1 + len(records)] == expected
        place += 1 + len(records)

    events = [line["auditEvent"] for line in lines[place:-1]]
    actions = [event["action"] for event in events]
    assert actions[0] == "user.exported"
    assert sorted(actions[1:]) == [
        "connector.connected", "connector.connected", "user.created", "user.updated",
    ]  # fmt: skip
    counts = {"user": 1, "loginMethods": 1, "connector": 2, "record": place - 4, "auditEvent": 5}
    assert lines[-1] == {"completed": {"counts": counts}}

    text = json.dumps(lines)
    async with steps.database(stack) as documents:
        stored = await documents["connectors"].find({"userId": user}).to_list(None)
    for document in stored:
        secrets = [document["sessionId"], document["credentials"]["encryptedToken"]]
        assert [secret for secret in secrets if secret in text] == []
    assert "sessionId" not in text


async def test_over_grpc_it_is_the_same(
    rest: httpx.AsyncClient, channel: grpc.aio.Channel, user: str
) -> None:
    stub = ExportServiceStub(channel)
    parts = [
        part async for part in stub.ExportUser(export_service_pb2.ExportUserRequest(user_id=user))
    ]
    assert parts[-1].WhichOneof("item") == "completed"
    lines = await exported(rest, user)
    reported = [
        line for line in lines if line.get("auditEvent", {}).get("action") == "user.exported"
    ]
    assert len(reported) == 2, "each export is told of"
    over_grpc = [
        json_format.MessageToDict(part, always_print_fields_with_no_presence=True)
        for part in parts
        if part.WhichOneof("item") == "record"
    ]
    assert over_grpc == [line for line in lines if "record" in line]
    assert kinds(lines).count("connector") == 2


async def test_one_s_own_has_sessions_without_secrets_and_names_nobody_else(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    session = await signed_in(rest, new_id)
    other = await login(rest, new_id, deviceName="Asha's phone")
    await rest.put("/auth/me", json={"city": "Pune"}, headers=bearer(session))
    await rest.put(f"/users/{new_id}/metadata", json={"tags": ["vip"]})
    behalf = {"x-on-behalf-of": new_id}
    await rest.put(f"/users/{new_id}/profile", json={"city": "Mumbai"}, headers=behalf)
    reply = await rest.get(f"/users/{new_id}/export", headers=bearer(session))
    assert reply.status_code == 200, reply.text
    lines = [json.loads(line) for line in reply.text.splitlines()]
    methods = {"password": True, "phone": False, "external": []}
    assert [line["loginMethods"] for line in lines if "loginMethods" in line] == [methods]
    sessions = {
        each["session"]["sessionId"]: each["session"] for each in lines if "session" in each
    }
    assert {name: each["current"] for name, each in sessions.items()} == {
        session["sessionId"]: True, other["sessionId"]: False,
    }  # fmt: skip
    assert sessions[other["sessionId"]]["deviceName"] == "Asha's phone"
    for secret in ("token", "refreshToken", "deviceToken"):
        assert session[secret] not in reply.text
        assert session[secret].rpartition(".")[2] not in reply.text

    events = [line["auditEvent"] for line in lines if "auditEvent" in line]
    by_user = [each for each in events if each["actor"].get("userId") == new_id]
    assert {"user.exported", "user.updated"} <= {each["action"] for each in by_user}
    assert {each["actor"]["sessionId"] for each in by_user} == {session["sessionId"]}
    assert all("address" in each["actor"] for each in by_user)
    others = [each for each in events if each not in by_user]
    assert {"user.registered", "user.updated"} <= {each["action"] for each in others}
    assert [each["actor"] for each in others if each["actor"] != {"kind": "caller"}] == []

    whole = [
        line["auditEvent"]["actor"] for line in await exported(rest, new_id) if "auditEvent" in line
    ]
    assert any(actor.get("onBehalfOf") == new_id for actor in whole)
    assert all("address" in actor for actor in whole)


async def test_what_was_about_an_earlier_user_of_the_name_is_not_part_of_it(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    await signed_in(rest, new_id)
    assert (await rest.delete(f"/users/{new_id}")).status_code == 200
    await steps.create_user(rest, new_id)
    lines = await exported(rest, new_id)
    actions = [line["auditEvent"]["action"] for line in lines if "auditEvent" in line]
    assert actions == ["user.exported", "user.created"]
    assert "session" not in kinds(lines)


async def test_nobody_s_export(
    rest: httpx.AsyncClient, channel: grpc.aio.Channel, new_id: str
) -> None:
    reply = await rest.get(f"/users/{new_id}/export")
    failure = rest_error(reply.status_code, reply.content, f"/api/v1/users/{new_id}/export")
    assert (reply.status_code, failure.code) == (404, "USER_NOT_FOUND")
    assert reply.headers["content-type"] == "application/json"
    stub = ExportServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(stub.ExportUser(export_service_pb2.ExportUserRequest(user_id=new_id))))
    assert grpc_error(caught.value).code == "USER_NOT_FOUND"


@pytest.mark.parametrize(
    ("path", "field"),
    [("/users/no-dash/export", "userId"), ("/users/somebody/export?limit=5", "limit")],
)
async def test_wrong_requests(rest: httpx.AsyncClient, path: str, field: str) -> None:
    reply = await rest.get(path, headers={"last-event-id": "of a stream of events"})
    reported = f"/api/v1{path.partition('?')[0]}"
    failure = rest_error(reply.status_code, reply.content, reported)
    assert failure.code == "VALIDATION_ERROR"
    assert set(failure.fields) == {field}


@pytest.fixture
async def large(rest: httpx.AsyncClient, stack: Stack, new_id: str) -> AsyncIterator[str]:
    """A user with so many records that nobody on the way can hold them all."""
    await steps.create_user(rest, new_id)
    connector_id = (await steps.connect(rest, new_id))["id"]
    await steps.synced(rest, connector_id)
    await steps.disconnect(rest, connector_id)
    now = datetime.now(UTC)
    async with steps.database(stack) as documents:
        await documents["records"].insert_many(
            {
                "connectorId": connector_id,
                "dataType": "transactions",
                "key": f"large-{number}",
                "at": now - timedelta(minutes=number),
                "data": {
                    "date": "2024-01-15",
                    "direction": "debit",
                    "amount": {"value": "10.5", "currency": "INR"},
                    "narration": "x" * LONG,
                    "mode": "UPI",
                    "institution": "Bank",
                },
                "addedAt": now,
                "updatedAt": now,
            }
            for number in range(MANY)
        )
        yield new_id
        await documents["records"].delete_many({"connectorId": connector_id})


async def test_a_large_one_is_streamed_and_a_deletion_meanwhile_ends_it(
    rest: httpx.AsyncClient, large: str
) -> None:
    """Of what nobody reads yet nothing is read from MongoDB, so the deletion finds it under way."""
    lines: list[Json] = []
    async with rest.stream("GET", f"/users/{large}/export") as reply:
        async for line in reply.aiter_lines():
            if not lines:
                assert (await rest.delete(f"/users/{large}")).status_code == 200
            lines.append(json.loads(line))
    assert lines[0]["user"]["userId"] == large
    assert len(lines) < MANY
    assert lines[-1]["error"]["code"] == "USER_NOT_FOUND"
    assert lines[-1]["error"]["path"] == f"/api/v1/users/{large}/export"
    assert kinds(lines).count("error") == 1


async def test_a_large_one_is_complete(rest: httpx.AsyncClient, large: str) -> None:
    lines = await exported(rest, large)
    assert lines[-1]["completed"]["counts"]["record"] == kinds(lines).count("record") > MANY
    ids = {line["record"]["id"] for line in lines if "record" in line}
    assert len(ids) == lines[-1]["completed"]["counts"]["record"]
