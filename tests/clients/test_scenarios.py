"""What every client does, shown by Python's: see clients/SCENARIOS.md. `make test-clients` runs all of it."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, TypeVar, cast

import pytest
from finlink.audit.v1.audit_service_pb2 import ListAuditEventsRequest
from finlink.connectors.v1.connector_reads_pb2 import (
    GetConnectorRequest,
    ListConnectorsRequest,
    ListUserConnectorsRequest,
)
from finlink.connectors.v1.connector_service_pb2 import CreateConnectorRequest
from finlink.connectors.v1.record_pb2 import ListRecordsRequest
from finlink.connectors.v1.session_pb2 import (
    Credentials,
    DisconnectConnectorRequest,
    RefreshSessionRequest,
)
from finlink.connectors.v1.sync_service_pb2 import GetSyncRequest, TriggerSyncRequest
from finlink.connectors.v1.watch_pb2 import WatchConnectorsRequest
from finlink.exports.v1.export_service_pb2 import ExportUserRequest
from finlink.identity.v1.login_pb2 import LoginRequest, LogoutRequest
from finlink.identity.v1.me_pb2 import GetMeRequest
from finlink.identity.v1.registration_pb2 import RegisterRequest
from finlink.identity.v1.session_pb2 import SessionData
from finlink.users.v1.user_creation_pb2 import CreateUserRequest
from finlink.users.v1.user_lists_pb2 import ListUsersRequest
from finlink.users.v1.user_service_pb2 import GetUserRequest
from finlink_client import (
    DeadlineExceeded,
    FinlinkError,
    InvalidCredentials,
    RateLimited,
    ReauthRequired,
    UserExists,
    UserNotFound,
    ValidationError,
)

from tests.clients.flavours import Client, Flavour
from tests.faults.load import kill, under
from tests.stack import ROOT, Stack, running

PASSWORD = "correct horse"
PLATFORMS = ["fi_money", "zerodha"]
ErrorT = TypeVar("ErrorT", bound=FinlinkError)


@pytest.fixture(scope="module")
def site(full: bool, tmp_path_factory: pytest.TempPathFactory, request: Any) -> Iterator[Stack]:
    """At full length a Finlink of its own, whose workers may be killed."""
    if not full:
        yield request.getfixturevalue("stack")
        return
    with running(tmp_path_factory.mktemp("victim")) as started:
        yield started


@pytest.fixture
async def client(flavour: Flavour, full: bool, site: Stack) -> AsyncIterator[Client]:
    if flavour.name == "blocking" and not full:
        pytest.skip("the blocking flavour is shown by make test-clients")
    async with flavour.connect(site.grpc) as connected:
        yield connected


async def new_user(client: Client, **facts: str) -> str:
    user_id = f"py_{uuid.uuid4().hex}"
    await client.call(
        CreateUserRequest(user_id=user_id, email=f"{user_id}@example.com", **cast("Any", facts))
    )
    return user_id


def login(user_id: str, platform: str, password: str = PASSWORD) -> CreateConnectorRequest:
    return CreateConnectorRequest(
        user_id=user_id, platform=platform, permissions=["portfolio", "profile"],
        credentials=Credentials(username="9876543210", password=password),
    )  # fmt: skip


def watch(client: Client, **request: str) -> AsyncGenerator[Any, None]:
    events = client.watch(WatchConnectorsRequest(**cast("Any", request)))
    return cast("AsyncGenerator[Any, None]", events)


async def failed(client: Client, request: Any, error_class: type[ErrorT], **more: Any) -> ErrorT:
    with pytest.raises(error_class) as caught:
        await client.call(request, **more)
    return caught.value


async def test_creates_a_user(client: Client) -> None:
    user_id = f"py_{uuid.uuid4().hex}"
    email = f"{user_id}@example.com"
    request = CreateUserRequest(user_id=user_id, email=email, first_name="Asha")
    created = await client.call(request)
    read = await client.call(GetUserRequest(user_id=user_id))
    assert read.data == created.data
    assert read.data.profile.first_name == "Asha"
    taken = await failed(client, CreateUserRequest(user_id=f"{user_id}_", email=email), UserExists)
    assert [each.field for each in taken.fields] == ["email"]


async def test_connects_both_platforms(client: Client) -> None:
    user_id = await new_user(client)
    for platform in PLATFORMS:
        reply = await client.call(login(user_id, platform))
        assert reply.data.connection_status == "connected"
    listed = (await client.call(ListUserConnectorsRequest(user_id=user_id))).data.connectors
    assert [each.platform for each in listed] == PLATFORMS
    for each in listed:
        await client.call(DisconnectConnectorRequest(connector_id=each.id))
        read = await client.call(GetConnectorRequest(connector_id=each.id))
        assert read.data.connection_status == "disconnected"


async def test_follows_a_sync(client: Client) -> None:
    user_id = await new_user(client)
    async with aclosing(watch(client, user_id=user_id)) as events:
        assert (await anext(events)).type == "ready"
        connector_id = (await client.call(login(user_id, "fi_money"))).data.id
        started = await client.call(TriggerSyncRequest(connector_id=connector_id))
        sync_id = started.data.sync_id
        while (await anext(events)).ended_sync.sync_id != sync_id:
            pass
    request = GetSyncRequest(connector_id=connector_id, sync_id=sync_id)
    run = (await client.call(request)).data
    assert run.state == "success"
    for count in run.counts:
        records = await client.iterate(
            "records", ListRecordsRequest(connector_id=connector_id, data_type=count.data_type)
        )
        assert len(records) == count.records_count > 0


async def test_watches_and_resumes(client: Client) -> None:
    user_id = await new_user(client)
    async with aclosing(watch(client, user_id=user_id)) as events:
        ready = await anext(events)
        assert ready.type == "ready"
        made = await client.call(login(user_id, "zerodha"))
        event = await anext(events)
        assert (event.type, event.connector.id) == ("connector", made.data.id)
    async with aclosing(watch(client, user_id=user_id, resume_token=ready.resume_token)) as again:
        assert (await anext(again)).resume_token == ready.resume_token
        assert await anext(again) == event


async def test_reports_what_is_wrong(client: Client) -> None:
    user_id = await new_user(client)
    wrong = CreateUserRequest(user_id=f"{user_id}_", email="nobody", first_name="x" * 101)
    headers = (("x-request-id", "from-a-test"),)
    invalid = await failed(client, wrong, ValidationError, metadata=headers)
    assert {each.field for each in invalid.fields} == {"email", "firstName"}
    assert invalid.request_id == "from-a-test"

    asked = CreateConnectorRequest(user_id=user_id, platform="zerodha", permissions=["portfolio"])
    pending = (await client.call(asked)).data
    reauth = await failed(client, RefreshSessionRequest(connector_id=pending.id), ReauthRequired)
    assert reauth.login_url == pending.login_url != ""
    assert pending.login_url not in f"{reauth} {reauth!r}"

    refused = login(user_id, "fi_money", "wrong")
    for _ in range(10):
        await failed(client, refused, InvalidCredentials)
    limited = await failed(client, refused, RateLimited)
    assert limited.retry_after is not None
    assert limited.retry_after.total_seconds() > 0


async def test_survives_a_killed_worker(client: Client, site: Stack, full: bool) -> None:
    if not full:
        pytest.skip("workers are killed by make test-clients")
    user_id = await new_user(client)
    connected = await client.call(login(user_id, "zerodha"))
    calls: Counter[str] = Counter()
    created: list[str] = []
    city = uuid.uuid4().hex

    async def read() -> None:
        await client.call(GetUserRequest(user_id=user_id))
        calls["reads"] += 1

    async def change() -> None:
        created.append(await new_user(client, city=city))

    async with aclosing(watch(client, user_id=user_id)) as events:
        assert (await anext(events)).type == "ready"
        async with under(read, read, change, change, change):
            for worker in ("worker-0", "worker-1"):
                await kill(site, worker)
        assert calls["reads"] > 0
        listed = await client.iterate("users", ListUsersRequest(city=city))
        assert sorted(user.user_id for user in listed) == sorted(created)
        for each in created:
            events_of = ListAuditEventsRequest(user_id=each, action="user.created")
            assert len((await client.call(events_of)).data.events) == 1
        await client.call(DisconnectConnectorRequest(connector_id=connected.data.id))
        while (await anext(events)).connector.connection_status != "disconnected":
            pass


async def test_walks_lists(client: Client) -> None:
    city = uuid.uuid4().hex
    newest_first = [await new_user(client, city=city) for _ in range(5)][::-1]
    request = ListUsersRequest(city=city, limit=2)
    for page, wanted in ((1, newest_first), (2, newest_first[2:]), (9, [])):
        request.page = page
        before = ListUsersRequest.FromString(request.SerializeToString())
        users = await client.iterate("users", request)
        assert [user.user_id for user in users] == wanted
        assert request == before
    owners = newest_first[:2]
    for user_id in reversed(owners):
        await client.call(login(user_id, "fi_money"))
    connected = ListConnectorsRequest(limit=1, status="connected")
    found = [each.user_id for each in await client.iterate("connectors", connected)]
    assert [user_id for user_id in found if user_id in owners] == owners


async def test_exports_a_user(client: Client) -> None:
    user_id = await new_user(client)
    await client.call(login(user_id, "zerodha"))
    pieces = await client.export(ExportUserRequest(user_id=user_id))
    kinds = Counter(piece.WhichOneof("item") for piece in pieces)
    assert pieces[0].user.user_id == user_id
    completed = pieces[-1].completed
    assert completed.counts["connector"] == kinds["connector"] == 1
    assert completed.counts["record"] == kinds["record"]
    assert completed.counts["auditEvent"] == kinds["audit_event"] > 0
    with pytest.raises(UserNotFound):
        await client.export(ExportUserRequest(user_id=f"{user_id}_"))


async def test_keeps_deadlines(client: Client) -> None:
    user_id = await new_user(client)
    # Connecting asks the platform, which nothing can do within a millisecond.
    await failed(client, login(user_id, "zerodha"), DeadlineExceeded, timeout=0.001)
    with pytest.raises(DeadlineExceeded):
        await client.export(ExportUserRequest(user_id=user_id), timeout=0.001)
    await client.call(GetUserRequest(user_id=user_id))


async def test_stays_signed_in(client: Client, flavour: Flavour, site: Stack) -> None:
    user_id = f"py_{uuid.uuid4().hex}"
    email, password = f"{user_id}@example.com", "a long and quiet walk"
    await client.call(RegisterRequest(user_id=user_id, email=email, password=password))
    sessions: list[SessionData] = []
    who = LoginRequest(email=email, password=password)
    async with flavour.connect(site.grpc, login=who, on_session=sessions.append) as one:
        assert (await one.call(GetMeRequest())).data.user_id == user_id
        await client.call(LogoutRequest(refresh_token=sessions[0].refresh_token))
        assert (await one.call(GetMeRequest())).data.user_id == user_id
    begun, again = sessions
    assert begun.session_id != again.session_id
    token = again.refresh_token
    async with flavour.connect(site.grpc, refresh_token=token, on_session=sessions.append) as other:
        assert (await other.call(GetMeRequest())).data.user_id == user_id
    assert sessions[-1].session_id == again.session_id
    assert sessions[-1].refresh_token != token


def test_every_client_shows_every_scenario() -> None:
    clients = ROOT / "clients"
    table = re.findall(r"^\| (.*?) \|", (clients / "SCENARIOS.md").read_text(), re.MULTILINE)
    scenarios = [name for name in table if name not in {"scenario", "---"}]
    assert len(scenarios) == 10
    own = [name for name in globals() if name.startswith("test_")][:-1]
    assert [name.removeprefix("test_").replace("_", " ") for name in own] == scenarios
    typescript = (clients / "typescript" / "test" / "scenarios.test.ts").read_text()
    assert re.findall(r'^test\("(.*?)"', typescript, re.MULTILINE) == scenarios
    go = (clients / "go" / "finlink" / "scenarios_test.go").read_text()
    assert re.findall(r't\.Run\("(.*?)"', go) == scenarios
