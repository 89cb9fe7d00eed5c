"""A call is one trace through Envoy, server, MongoDB and platform, without a secret in it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import grpc
import httpx
import pytest
from finlink.users.v1.user_lists_pb2 import ListUsersRequest
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub

from tests.e2e import connector_steps as steps
from tests.observability.collector import Collected, collecting
from tests.stack import Stack, running

USERS = "finlink.users.v1.UserService"
CONNECTORS = "finlink.connectors.v1.ConnectorService"
PASSWORD = "canary-of-traces"


@pytest.fixture(scope="module")
def collected() -> Iterator[Collected]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def traced(collected: Collected, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collected.endpoint, "TRACE_PERCENT": "100",
        "OTEL_BSP_SCHEDULE_DELAY": "200", "WORKERS": "1",
    }  # fmt: skip
    with running(tmp_path_factory.mktemp("traced"), **settings) as stack:
        yield stack


@pytest.fixture
async def rest(traced: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{traced.rest}/api/v1", timeout=40) as client:
        yield client


async def test_a_call_is_one_trace_from_envoy_to_mongodb_and_the_platform(
    collected: Collected, rest: httpx.AsyncClient
) -> None:
    user_id, request_id = f"user_{uuid.uuid4().hex}", uuid.uuid4().hex
    headers = {"x-request-id": request_id, "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    body = {"userId": user_id, "email": f"{user_id}@example.com"}
    assert (await rest.post("/users", json=body)).is_success
    wanted = {"platform": "fi_money", "userId": user_id, "permissions": ["profile"],
              "credentials": {"username": steps.new_login(), "password": PASSWORD}}  # fmt: skip
    reply = await rest.post("/connectors", json=wanted, headers=headers)
    assert reply.status_code == 201
    assert reply.headers["x-request-id"] == request_id

    async def reported() -> bool:
        edges = {span.trace for span in collected.spans if span.service == "finlink-edge"}
        return bool(
            {span.trace for span in collected.named(f"{CONNECTORS}/CreateConnector")} & edges
        )

    await steps.eventually(reported, "the spans")
    (call,) = collected.named(f"{CONNECTORS}/CreateConnector")
    assert call.attributes["finlink.request_id"] == request_id
    assert call.attributes["finlink.code"] == "OK"
    assert call.trace != "ab" * 16  # a stranger's
    (edge,) = (s for s in collected.spans if s.trace == call.trace and s.service == "finlink-edge")
    assert call.parent == edge.span
    of_call = {span.name: span for span in collected.spans if span.trace == call.trace}
    assert of_call["mongodb commitTransaction"].parent == call.span
    assert of_call["fi_money initialize"].attributes["finlink.outcome"] == "2xx"
    assert not any(PASSWORD.encode() in raw for raw in collected.raw)


async def test_a_trace_of_an_internal_caller_goes_on(collected: Collected, traced: Stack) -> None:
    trace = uuid.uuid4().hex
    metadata = (("traceparent", f"00-{trace}-{'cd' * 8}-01"),)
    async with grpc.aio.insecure_channel(traced.grpc) as channel:
        await UserServiceStub(channel).ListUsers(ListUsersRequest(), metadata=metadata)

    async def reported() -> bool:
        return any(span.trace == trace for span in collected.named(f"{USERS}/ListUsers"))

    await steps.eventually(reported, "the span")
