"""Watching with the client: one iterator over as many streams as it takes."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from finlink.connectors.v1.connector_service_pb2 import CreateConnectorRequest
from finlink.connectors.v1.session_pb2 import Credentials
from finlink.connectors.v1.watch_pb2 import WatchConnectorsRequest, WatchConnectorsResponse
from finlink.users.v1.user_creation_pb2 import CreateUserRequest
from finlink_client import (
    Cancelled,
    FinlinkError,
    Internal,
    ResumeTokenExpired,
    Unavailable,
    UserNotFound,
    ValidationError,
    policy,
    watching,
)
from finlink_client.gen.reasons import REASONS

from server.core.errors import ApiError
from server.rpc.status import STATUSES, grpc_details
from tests.clients.flavours import Client
from tests.clients.scripted import HANG, Failure, Script

WATCH = "WatchConnectors"
TIMEOUT = 30.0
DOWN = Failure(grpc.StatusCode.UNAVAILABLE, "no healthy upstream")
CUT = Failure(grpc.StatusCode.INTERNAL, "what gRPC says of a stream whose server was killed")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(watching, "LONGEST_PAUSE", 0.01)


def reported(token: str) -> bytes:
    return WatchConnectorsResponse(resume_token=token, type="sync").SerializeToString()


def failure(reason: str) -> Failure:
    error = ApiError("As the server puts it")
    error.code = reason
    return Failure(STATUSES[error.code][0], error.message, grpc_details(error))


def asked(script: Script) -> list[tuple[str, str]]:
    requests = [WatchConnectorsRequest.FromString(call.request) for call in script.received]
    return [(request.user_id, request.resume_token) for request in requests]


async def test_it_goes_on_after_the_last_event(script: Script, scripted: Client) -> None:
    script.streams[WATCH].extend(
        [[reported("a"), reported("b"), DOWN], [DOWN], [CUT], [reported("c")]]
    )
    request = WatchConnectorsRequest(user_id="ann", resume_token="start")
    tokens = [event.resume_token async for event in scripted.watch(request)]
    assert tokens == ["a", "b", "c"]
    assert asked(script) == [("ann", "start"), ("ann", "b"), ("ann", "b"), ("ann", "b")]
    assert request.resume_token == "start"
    assert min(call.seconds for call in script.received) > 1e9, "a watch has no deadline"


@pytest.mark.parametrize("error_class", [ResumeTokenExpired, Internal])
async def test_what_does_not_pass_ends_it(
    error_class: type[FinlinkError], script: Script, scripted: Client
) -> None:
    [reason] = [name for name, each in REASONS.items() if each is error_class]
    script.streams[WATCH].extend([[reported("a"), DOWN], [failure(reason)]])
    events = scripted.watch()
    assert (await anext(events)).resume_token == "a"
    with pytest.raises(error_class):
        await anext(events)
    assert asked(script) == [("", ""), ("", "a")]


async def test_one_that_does_not_begin_fails_at_once(script: Script, scripted: Client) -> None:
    script.streams[WATCH].append([DOWN])
    with pytest.raises(Unavailable):
        await anext(scripted.watch())
    assert script.calls(WATCH) == 1


async def test_closing_the_client_ends_it(script: Script, scripted: Client) -> None:
    script.streams[WATCH].append([reported("a"), HANG])
    events = scripted.watch()
    assert (await anext(events)).resume_token == "a"
    waiting = asyncio.ensure_future(anext(events))
    assert await asyncio.to_thread(script.hanging.wait, TIMEOUT)
    await scripted.close()
    with pytest.raises(Cancelled):
        await waiting


def test_streams_are_not_tried_again_by_the_channel() -> None:
    streams = [method.name for method in policy.METHODS.values() if policy.is_stream(method)]
    assert sorted(streams) == ["ExportUser", WATCH]
    [options] = [text for name, text in policy.channel_options() if name == "grpc.service_config"]
    assert [stream for stream in streams if stream in str(options)] == []


# Against a running Finlink


async def test_a_connection_is_reported(client: Client, new_id: str) -> None:
    await client.call(CreateUserRequest(user_id=new_id, email=f"{new_id}@example.com"))
    events = client.watch(WatchConnectorsRequest(user_id=new_id))
    ready = await anext(events)
    assert ready.type == "ready"
    made = await client.call(
        CreateConnectorRequest(
            user_id=new_id, platform="fi_money", permissions=["profile"],
            credentials=Credentials(username="9876543210", password="correct horse"),
        )
    )  # fmt: skip
    event = await anext(events)
    assert (event.type, event.connector.id) == ("connector", made.data.id)
    await events.aclose()  # type: ignore[attr-defined]
    resumed = client.watch(WatchConnectorsRequest(resume_token=ready.resume_token, user_id=new_id))
    assert (await anext(resumed)).resume_token == ready.resume_token
    assert await anext(resumed) == event


async def test_what_finlink_refuses(client: Client, new_id: str) -> None:
    with pytest.raises(UserNotFound):
        await anext(client.watch(WatchConnectorsRequest(user_id=new_id)))
    with pytest.raises(ValidationError) as caught:
        await anext(client.watch(WatchConnectorsRequest(resume_token="?")))
    assert [entry.field for entry in caught.value.fields] == ["resumeToken"]
