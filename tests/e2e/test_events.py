"""What happens is told in the log, under the request id of the call that did it."""

from __future__ import annotations

import uuid

import grpc
import httpx
import pytest
from finlink.users.v1.user_service_pb2 import GetUserRequest
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub

from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import Json
from tests.observability.log import Log
from tests.stack import Stack


class Caller:
    """Calls over REST, each with a request id of its own, and looks what the log has under it."""

    def __init__(self, rest: httpx.AsyncClient, log: Log) -> None:
        self._rest = rest
        self._log = log
        self.reply = httpx.Response(0)  # the last
        self.request_id = ""

    async def reported(
        self, event: str, verb: str, path: str, body: Json | None = None, status: int = 200
    ) -> Json:
        """The line of `event` that a call makes."""
        self.request_id = uuid.uuid4().hex
        headers = {"x-request-id": self.request_id}
        self.reply = await self._rest.request(verb, path, headers=headers, json=body)
        assert self.reply.status_code == status, self.reply.text
        assert self.reply.headers["x-request-id"] == self.request_id
        return await self._log.line(event, request_id=self.request_id)


@pytest.fixture
def log(stack: Stack) -> Log:
    return Log.from_now(stack.log)


@pytest.fixture
def caller(rest: httpx.AsyncClient, log: Log) -> Caller:
    return Caller(rest, log)


async def test_what_happens_to_a_user(caller: Caller, new_id: str) -> None:
    path, new = f"/users/{new_id}", {"userId": new_id, "email": f"{new_id}@example.com"}
    lines = [
        await caller.reported("user created", "POST", "/users", new, 201),
        updated := await caller.reported(
            "user updated", "PUT", f"{path}/profile", {"city": "Pune"}
        ),
        await caller.reported("user updated", "PUT", f"{path}/preferences", {"currency": "INR"}),
        await caller.reported("user updated", "PUT", f"{path}/metadata", {"source": "web"}),
        await caller.reported(
            "user updated", "PUT", f"{path}/email-verified", {"emailVerified": True}
        ),
        await caller.reported("user export begun", "GET", f"{path}/export"),
        left := await caller.reported(
            "user status changed", "PUT", f"{path}/status", {"status": "inactive"}
        ),
        await caller.reported("user deleted", "DELETE", path),
    ]
    assert {(line["user_id"], line["level"]) for line in lines} == {(new_id, "info")}
    assert updated["fields"] == ["profile.city"]
    assert left["status"] == "inactive"


async def test_what_happens_to_a_connection(
    rest: httpx.AsyncClient, caller: Caller, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    wanted: Json = {"userId": new_id, "platform": "zerodha", "permissions": ["profile"]}
    right = {**wanted, "credentials": step.credentials_of(step.new_login())}
    wrong = {**wanted, "credentials": {**right["credentials"], "password": "wrong"}}
    page = {**wanted, "credentials": {}}

    refused = await caller.reported("not connected", "POST", "/connectors", wrong, 400)
    assert (refused["user_id"], refused["platform"]) == (new_id, "zerodha")
    assert (refused["code"], refused["cause"]) == ("INVALID_CREDENTIALS", "Invalid credentials")
    lines = [await caller.reported("login required", "POST", "/connectors", page, 201)]
    made = caller.reply.json()["data"]
    path = f"/connectors/{made['id']}"
    token = {"requestToken": await step.request_token(made["loginUrl"], step.new_login())}
    login = {"credentials": token}
    lines += [
        await caller.reported("login completed", "PUT", f"{path}/refresh-session", login),
        await caller.reported("disconnected", "DELETE", path),
        await caller.reported("connected", "POST", "/connectors", right, 201),
        await caller.reported("session refreshed", "PUT", f"{path}/refresh-session"),
        await caller.reported("disconnected", "DELETE", f"{path}?deleteRecords=true"),
        await caller.reported("connected", "POST", "/connectors", right, 201),
        await caller.reported("records deleted", "DELETE", f"{path}?deleteRecords=true"),
    ]
    assert {(line["connector_id"], line["platform"]) for line in lines} == {(made["id"], "zerodha")}
    assert {line["event"] for line in lines if "sync_id" in line} == {
        "connected",
        "login completed",
    }


async def test_a_session_that_the_platform_ended(
    stack: Stack, rest: httpx.AsyncClient, caller: Caller, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    login, app = step.new_login(), f"app_{step.new_login()}"
    own = {**step.credentials_of(login), "apiKey": app, "apiSecret": step.KITE_SECRET}
    made = await step.connect(rest, new_id, "zerodha", credentials=own)
    await step.synced(rest, made["id"])
    await step.zerodha_session(stack, login, app)
    path = f"/connectors/{made['id']}/refresh-session"
    line = await caller.reported("session expired", "PUT", path, status=409)
    assert (line["connector_id"], line["level"]) == (made["id"], "warning")


async def test_syncs_and_their_failures(
    rest: httpx.AsyncClient, caller: Caller, log: Log, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    broken = step.credentials_of(step.BROKEN_NET_WORTH)
    granted = ["profile", "portfolio"]
    made = await step.connect(rest, new_id, "fi_money", permissions=granted, credentials=broken)
    (first,) = (await step.synced(rest, made["id"]))["syncHistory"]
    partial = await log.line("sync finished", sync_id=first["syncId"])
    assert (partial["level"], partial["status"]) == ("warning", "partial")
    assert partial["missing"] == {"portfolio": "PLATFORM_DATA_ERROR"}
    path = f"/connectors/{made['id']}"
    each_hour = {"syncInterval": 60}
    changed = await caller.reported(
        "sync settings changed", "PUT", f"{path}/sync-settings", each_hour
    )
    assert changed["connector_id"] == made["id"]
    ends = []
    for data_type in granted:
        wanted = {"dataTypes": [data_type], "forceSync": True}
        asked = await caller.reported("sync requested", "POST", f"{path}/sync", wanted)
        begun = await log.line("sync started", sync_id=asked["sync_id"])
        assert begun["data_types"] == [data_type]
        ends.append(await log.line("sync finished", sync_id=asked["sync_id"]))
        await step.synced(rest, made["id"], 0)
        assert {line["connector_id"] for line in (asked, begun, ends[-1])} == {made["id"]}
    succeeded, failed = ends
    assert (succeeded["level"], succeeded["status"]) == ("info", "success")
    assert (failed["level"], failed["status"]) == ("warning", "failed")
    assert failed["code"] == "PLATFORM_DATA_ERROR"
    assert "fetch_net_worth" in failed["cause"]


async def test_calls_their_errors_and_how_long_they_took(
    stack: Stack, rest: httpx.AsyncClient, caller: Caller, new_id: str
) -> None:
    path = f"/users/{new_id}"
    missing = await caller.reported("call", "GET", path, status=404)
    await step.create_user(rest, new_id)
    found = await caller.reported("call", "GET", path)
    wrong = await caller.reported("call", "PUT", f"{path}/profile", {"city": 5}, 400)
    async with step.database(stack) as documents:
        broken = {"$set": {"createdAt": "never"}}
        assert (await documents["users"].update_one({"userId": new_id}, broken)).matched_count == 1
        internal = await caller.reported("call", "GET", f"{path}?", status=500)
        why = await caller.reported("unhandled exception", "GET", f"{path}?", status=500)
        await documents["users"].delete_one({"userId": new_id})  # others list users here, too

    lines = (found, missing, wrong, internal)
    codes = [line["code"] for line in lines]
    assert codes == ["OK", "USER_NOT_FOUND", "VALIDATION_ERROR", "INTERNAL"]
    assert [line["level"] for line in lines] == ["info", "info", "info", "error"]
    assert all(line["duration_ms"] > 0 and line["peer"] for line in lines)
    assert {line["method"] for line in (found, missing, internal)} == {
        "/finlink.users.v1.UserService/GetUser"
    }
    assert found["http"] == "GET /api/v1/users/{user_id}"
    assert wrong["fields"] == ["city"]
    assert why["cause"] == "UnreadableDocument"
    assert why["frames"]


async def test_calls_of_stubs(channel: grpc.aio.Channel, log: Log, new_id: str) -> None:
    metadata = (("x-request-id", new_id),)
    with pytest.raises(grpc.aio.AioRpcError):
        await UserServiceStub(channel).GetUser(GetUserRequest(user_id=new_id), metadata=metadata)
    line = await log.line("call", request_id=new_id)
    assert line["code"] == "USER_NOT_FOUND"
    assert "http" not in line
