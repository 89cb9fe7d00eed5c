"""Watching through Envoy: over REST as server-sent events, over gRPC as a stream of messages."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from finlink.connectors.v1 import watch_pb2
from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceStub
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format

from server.rpc.call import ORIGINAL_PATH
from server.streaming import tokens
from server.streaming.hub import STOPPING
from tests.e2e import connector_steps as step
from tests.e2e.users_errors import Failure, failed, grpc_error
from tests.e2e.watch_steps import Sent, events_of, has_ended_a_run, until, watching
from tests.stack import ROOT, Stack, free_ports

if TYPE_CHECKING:
    from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceAsyncStub

WATCH = "/finlink.connectors.v1.ConnectorService/WatchConnectors"
Response = watch_pb2.WatchConnectorsResponse


@pytest.fixture
async def user(rest: httpx.AsyncClient, new_id: str) -> str:
    await step.create_user(rest, new_id)
    return new_id


def ended(event: Response) -> bool:
    return event.HasField("ended_sync")


def as_json(event: Response) -> dict[str, object]:
    return json_format.MessageToDict(event, always_print_fields_with_no_presence=True)


def requested(user_id: str, token: str | None = None) -> watch_pb2.WatchConnectorsRequest:
    return watch_pb2.WatchConnectorsRequest(user_id=user_id, resume_token=token)


async def test_a_connection_from_its_start_over_both(
    stack: Stack, rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, user: str
) -> None:
    stream = connectors.WatchConnectors(requested(user))
    async with watching(rest, user) as events:
        first = await until(events, lambda event: event.name == "ready")
        messages = await until(aiter(stream), lambda event: event.type == "ready")
        made = await step.connect(rest, user, permissions=step.ALL)
        sent: list[Sent] = await until(events, has_ended_a_run)
        reported: list[Response] = await until(aiter(stream), ended)
        disconnected = await step.disconnect(rest, made["id"])
        assert disconnected["platform"] == "fi_money"
        sent += await until(events, lambda event: event.name == "connector")
        reported += await until(aiter(stream), lambda event: event.type == "connector")
    stream.cancel()
    assert first[0].data.keys() == {"resumeToken", "type", "occurredAt"}
    assert (len(first), len(messages)) == (1, 1)

    for event in (*first, *sent):
        assert event.id == event.data["resumeToken"]
        assert event.name == event.data["type"]
    assert [event.data for event in sent] == [as_json(event) for event in reported]
    assert {event.name for event in sent} == {"connector", "sync"}
    seen = [event.data.get("sync", {}).get("counts") for event in sent]
    fetched = [[count["dataType"] for count in counts] for counts in seen if counts]
    assert fetched == [list(step.ALL[: number + 1]) for number in range(len(step.ALL))]

    run = next(event.data["endedSync"] for event in sent if "endedSync" in event.data)
    reply = await rest.get(f"/connectors/{made['id']}/syncs/{run['syncId']}")
    assert run == reply.json()["data"]
    last = sent[-1].data["connector"]
    whole = await step.get(rest, made["id"])
    details = whole["connectionDetails"]
    assert last == {
        **{name: whole[name] for name in ("id", "userId", "platform", "connectionStatus")},
        **{name: whole[name] for name in ("lastRun", "failing")},
        **{name: details[name] for name in ("connectedAt", "disconnectedAt", "lastSyncAt")},
    }


async def test_no_secret_is_reported(stack: Stack, rest: httpx.AsyncClient, user: str) -> None:
    login = step.credentials_of(step.new_login())
    known = {login["password"], login["apiKey"]}
    async with watching(rest, user) as events:
        made = await step.connect(rest, user, credentials=login)
        sent = await until(events, has_ended_a_run)
        async with step.database(stack) as documents:
            document = await step.document(documents, made["id"])
        known |= {made["sessionId"], document["credentials"]["encryptedToken"]}
        pending = await step.connect(rest, user, "zerodha", credentials={})
        known.add(pending["loginUrl"])
        async with step.database(stack) as documents:
            document = await step.document(documents, pending["id"])
        known.add(document["credentials"]["encryptedLogin"])
        await step.disconnect(rest, made["id"])
        sent += await until(events, lambda event: "disconnectedAt" in event.data["connector"])
    assert len(known) == 6
    text = "\n".join(event.text for event in sent)
    assert [secret for secret in known if secret in text] == []


async def test_a_watch_goes_on_from_where_it_was(
    rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, user: str
) -> None:
    async with watching(rest, user) as events:
        ready = await anext(aiter(events))
        await step.connect(rest, user)
        whole: list[Sent] = await until(events, has_ended_a_run)
    assert len(whole) > 2
    token = whole[0].id
    async with watching(rest, user, token) as events:
        again = await until(events, has_ended_a_run)
    assert again[0].name == "ready"
    assert again[0].id == token
    assert again[1:] == whole[1:]
    # Over the other protocol too, and for all users.
    stream = connectors.WatchConnectors(watch_pb2.WatchConnectorsRequest(resume_token=token))
    reported = await until(
        aiter(stream), lambda event: ended(event) and event.connector.user_id == user
    )
    stream.cancel()
    assert [as_json(event) for event in reported if event.connector.user_id == user] == [
        event.data for event in whole[1:]
    ]
    # A browser repeats its first URL; the header says how far it came.
    headers = {"last-event-id": whole[-2].id or ""}
    path = f"/connectors/watch?userId={user}&resumeToken={ready.id}"
    async with rest.stream("GET", path, headers=headers) as reply:
        last = await until(events_of(reply.aiter_lines()), has_ended_a_run)
    assert [event.id for event in last] == [whole[-2].id, whole[-1].id]


async def test_a_deleted_user_is_reported(rest: httpx.AsyncClient, user: str) -> None:
    made = await step.connect(rest, user)
    async with watching(rest, user) as events:
        await anext(aiter(events))
        assert (await rest.delete(f"/users/{user}")).status_code == 200
        sent = await until(events, lambda event: event.name == "deleted")
    connector = sent[-1].data["connector"]
    assert (connector["id"], connector["userId"]) == (made["id"], user)


# What it refuses, before it begins


async def refused_over_rest(rest: httpx.AsyncClient, query: str, **headers: str) -> Failure:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return failed(await rest.get(f"/connectors/watch?{query}", headers=names))


async def refused_over_grpc(
    connectors: ConnectorServiceAsyncStub, request: watch_pb2.WatchConnectorsRequest
) -> Failure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(connectors.WatchConnectors(request)))
    return grpc_error(caught.value)


NO_TOKEN = {"resumeToken": "is not a resume token of a watch"}


async def test_an_unknown_user(
    rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, new_id: str
) -> None:
    expected = Failure("USER_NOT_FOUND", "User not found")
    assert await refused_over_rest(rest, f"userId={new_id}") == expected
    assert await refused_over_grpc(connectors, requested(new_id)) == expected


@pytest.mark.parametrize("token", ["abc", "!", "A" * 100, "HbJH7h72gmsAQ0AAAAACKwIpKW4"])
async def test_what_is_no_token(
    rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, token: str
) -> None:
    expected = Failure("VALIDATION_ERROR", "Validation failed", NO_TOKEN)
    assert await refused_over_rest(rest, f"resumeToken={token}") == expected
    assert await refused_over_rest(rest, "", last_event_id=token) == expected
    request = watch_pb2.WatchConnectorsRequest(resume_token=token)
    assert await refused_over_grpc(connectors, request) == expected


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("resumeToken=", {"resumeToken"}),
        ("userId=", {"userId"}),
        ("userId=no%20spaces&resumeToken=" + "x" * 513 + "&nope=1", {"userId", "resumeToken", "nope"}),
        ("user_id=ann", {"user_id"}),
        ("userId=a&userId=b", {"userId"}),
        ("lastEventId=abc", {"lastEventId"}),
        ("connectorId=" + "0" * 24, {"connectorId"}),
    ],
)  # fmt: skip
async def test_a_query_is_read_strictly(
    rest: httpx.AsyncClient, query: str, named: set[str]
) -> None:
    failure = await refused_over_rest(rest, query)
    assert failure.code == "VALIDATION_ERROR"
    assert set(failure.fields) == named


@pytest.mark.parametrize("token", ["x" * 600, "caf\u00e9"])
async def test_a_header_is_read_strictly(rest: httpx.AsyncClient, token: str) -> None:
    reply = await rest.get("/connectors/watch", headers={b"last-event-id": token.encode()})
    failure = failed(reply)
    assert failure.code == "VALIDATION_ERROR"
    assert set(failure.fields) == {"resumeToken"}


async def test_a_token_that_is_too_old(
    rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, user: str
) -> None:
    async with watching(rest, user) as events:
        await anext(aiter(events))
        await step.connect(rest, user)
        now = tokens.decode((await anext(aiter(events))).id or "")
    # The same change in the year 2020: the type of the first field, then its seconds.
    old = tokens.encode(f"82{1_577_836_800:08X}{now[10:]}")
    expected = Failure(
        "RESUME_TOKEN_EXPIRED", "The resume token is too old; list again, then watch without it"
    )
    reply = await rest.get("/connectors/watch", headers={"last-event-id": old})
    assert reply.status_code == 409
    assert failed(reply) == expected
    assert await refused_over_grpc(connectors, requested(user, old)) == expected


# The end of a server


@dataclass(frozen=True)
class Server:
    """A server process of its own on the database of the others, without Envoy."""

    process: subprocess.Popen[bytes]
    address: str


@pytest.fixture
def server(stack: Stack, tmp_path: Path) -> Iterator[Server]:
    (port,) = free_ports(1)
    with serving(stack, tmp_path, f"127.0.0.1:{port}") as started:
        yield started


@contextmanager
def serving(stack: Stack, folder: Path, address: str) -> Iterator[Server]:
    environment = {
        **os.environ,
        "MONGODB_URI": stack.mongodb_uri,
        "ENCRYPTION_KEY": (stack.data_dir / "encryption.key").read_text().strip(),
        "DATA_DIR": str(folder),
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "serve", "--no-syncs", "--listen", address],
            cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Server(process, address)
    finally:
        process.kill()
        process.wait()


async def as_server_sent_events(
    call: grpc.aio.UnaryStreamCall[bytes, bytes],
) -> AsyncIterator[str]:
    """What Envoy makes of the messages a REST caller's watch has, line by line."""
    async for message in call:
        body = HttpBody.FromString(message)
        assert body.content_type == "text/event-stream"
        for line in body.data.decode().split("\n")[:-1]:
            yield line


@pytest.mark.full_only
async def test_a_server_that_stops_ends_its_watches(
    rest: httpx.AsyncClient, server: Server, user: str
) -> None:
    path = ((ORIGINAL_PATH, f"/api/v1/connectors/watch?userId={user}"),)
    async with grpc.aio.insecure_channel(server.address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 30)
        over_grpc = ConnectorServiceStub(channel).WatchConnectors(requested(user))
        call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(WATCH)
        over_rest = call(b"", metadata=path)
        events = events_of(as_server_sent_events(over_rest))
        ready = await anext(events)
        message = await anext(aiter(over_grpc))
        assert (ready.name, message.type) == ("ready", "ready")
        gone = [ConnectorServiceStub(channel).WatchConnectors(requested(user)) for _ in range(20)]
        await asyncio.gather(*(anext(aiter(each)) for each in gone))
        for each in gone:  # nor is it held up by who has gone
            each.cancel()
        server.process.terminate()

        last = await anext(events)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(aiter(over_grpc))
        assert grpc_error(caught.value) == Failure("UNAVAILABLE", STOPPING)
        assert (last.id, last.name) == (None, "error")
        error = last.data["error"]
        assert (error["code"], error["message"]) == ("UNAVAILABLE", STOPPING)
        assert error["path"] == "/api/v1/connectors/watch"
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        assert await over_rest.code() is grpc.StatusCode.OK
    assert await asyncio.to_thread(server.process.wait, 30) == 0

    await step.connect(rest, user)
    async with watching(rest, user, ready.id) as again:
        sent = await until(again, has_ended_a_run)
    assert [event.name for event in sent[:2]] == ["ready", "connector"]
