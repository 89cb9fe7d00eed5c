"""Rate limits per client address: exact, and no way round them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from codegen import envoy
from codegen.limits import groups
from server.edge.limits import Limits
from server.rpc.method import Method
from tests.contract.descriptors import ids, methods
from tests.e2e.strictness_calls import raw
from tests.e2e.users_errors import Failure, failed
from tests.edge.edge_stack import HOUR_MS, EdgeStack, edge_stack, untyped

METHODS = methods()
TRIGGER = "/finlink.connectors.v1.SyncService/TriggerSync"
CONNECTOR = "0123456789abcdef01234567"
SYNC = f"/api/v1/connectors/{CONNECTOR}/sync"
CALLS = {
    "users": "/api/v1/users/someone",
    "connectors": f"/api/v1/connectors/{CONNECTOR}",
    "status": "/api/v1/connectors/status",
}
RESOURCE_EXHAUSTED = str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
PRD = {"users": 30, "connectors": 20, "status": 60, "sync": 5}


@pytest.fixture
def hourly(tmp_path: Path) -> Iterator[EdgeStack]:
    """The PRD's numbers, an hour instead of a minute: every bucket starts full and stays used."""
    with edge_stack(tmp_path, Limits(window_ms=HOUR_MS)) as opened:
        yield opened


@asynccontextmanager
async def caller(
    at: EdgeStack, address: str, *, h2: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(local_address=address, http1=not h2, http2=h2)
    async with httpx.AsyncClient(transport=transport, base_url=at.rest, timeout=30) as client:
        yield client


async def statuses(client: httpx.AsyncClient, verb: str, path: str, count: int) -> Counter[int]:
    """How often each status was answered to calls made at once."""
    replies = await asyncio.gather(*(client.request(verb, path) for _ in range(count)))
    return Counter(reply.status_code for reply in replies)


@pytest.mark.full_only
async def test_a_full_bucket_admits_the_number_for_each_of_two_addresses(hourly: EdgeStack) -> None:
    async with caller(hourly, "127.0.0.1") as one, caller(hourly, "127.0.0.2") as two:
        for group, path in (("sync", SYNC), ("connectors", CALLS["connectors"]),
                            ("users", CALLS["users"])):  # fmt: skip
            verb, number = ("POST" if group == "sync" else "GET"), PRD[group]
            found = await asyncio.gather(
                *(statuses(c, verb, path, number + 15) for c in (one, two))
            )
            assert found == [Counter({200: number, 429: 15})] * 2, group
        # 55 of the 100 overall are used: 45 are left, though the group has 60.
        found = await asyncio.gather(*(statuses(c, "GET", CALLS["status"], 70) for c in (one, two)))
        assert found == [Counter({200: 45, 429: 25})] * 2
        # Now nothing is admitted, whatever it is.
        assert await statuses(one, "GET", "/nope", 3) == Counter({429: 3})
        # Probes are answered all the same.
        for probe in ("/health", "/ready"):
            assert await statuses(one, "GET", probe, 3) == Counter({200: 3})
        async with caller(hourly, "127.0.0.3") as three:
            assert await statuses(three, "GET", CALLS["status"], 65) == Counter({200: 60, 429: 5})


async def test_a_refusal_says_when_to_come_back(hourly: EdgeStack) -> None:
    async with caller(hourly, "127.0.0.1") as client:
        for left in reversed(range(5)):
            reply = await client.post(SYNC)
            assert reply.status_code == 200
            assert reply.headers["x-ratelimit-limit"] == "5"
            assert reply.headers["x-ratelimit-remaining"] == str(left)
            assert "retry-after" not in reply.headers
        reply = await client.post(SYNC)
        assert failed(reply) == Failure("RATE_LIMITED", "Too many requests")
        assert reply.headers["x-ratelimit-remaining"] == "0"
        # One token in 720 s; a little of it has passed.
        assert 0 < int(reply.headers["retry-after"]) <= HOUR_MS // 1000 // 5
    assert len(hourly.seen) == 5


async def test_stubs_are_not_limited(hourly: EdgeStack) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{hourly.grpc_port}") as channel:
        call = untyped(channel, TRIGGER)
        await asyncio.gather(*(call(b"") for _ in range(150)))
    assert len(hourly.seen) == 150


async def test_off_is_off(tmp_path: Path) -> None:
    with edge_stack(tmp_path, Limits(enabled=False, window_ms=HOUR_MS)) as opened:
        async with caller(opened, "127.0.0.1") as client:
            assert await statuses(client, "POST", SYNC, 120) == Counter({200: 120})


# --- which call counts where ------------------------------------------------------------------


NUMBERS = {name: 10_001 + place for place, name in enumerate(groups())}


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStack]:
    """A number for each group that tells it from the others."""
    calls = {"overall": 90_000, **NUMBERS}
    with edge_stack(
        tmp_path_factory.mktemp("marked"), Limits(window_ms=HOUR_MS, calls=calls)
    ) as opened:
        yield opened


@pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))
def test_every_rpc_counts_to_the_group_its_option_says(marked: EdgeStack, method: Method) -> None:
    paths = (method.http_path, *method.other_paths)
    for published in (each for path in paths for each in envoy.published(path)):
        for value in ("someone", "status", "sync", "user", "sync-status", CONNECTOR):
            path = published.replace("{connector_id}", CONNECTOR)
            for name in method.path_fields:
                path = path.replace(f"{{{name}}}", value)
            for query in ("", "?x=/sync", "?/api/v1/users"):
                line = f"{method.verb.upper()} {path}{query} HTTP/1.1"
                reply = raw(marked.rest, line.encode(), body=b"")
                assert reply.headers["x-ratelimit-limit"] == str(
                    NUMBERS[method.rate_limit_group]
                ), line
                assert marked.seen[-1].method == method.path


# --- ways round -------------------------------------------------------------------------------

SPELLINGS = [
    "//api/v1/connectors/{id}/sync", "/api//v1/connectors//{id}///sync", "/api/v1/./connectors/{id}/sync",
    "/api/v1/users/../connectors/{id}/sync", "/api/v1/connectors/{id}/x/../sync",
    "/api/v1/connectors/{id}/sync/", "/api/v1/connectors/{id}/sync?", "/api/v1/connectors/{id}/sync?x=1",
    "/api/v1/connectors/{id}/sync#x", "/api/v1/connectors/{id}/syn%63", "/api/v1/connectors/{id}/%73ync",
    "/api/v1/connectors/{id}/%2e/sync", "/api/v1/connectors/%2e%2e/connectors/{id}/sync",
    "/api/v1/connectors/{id}%2Fsync", "/api/v1/connectors/{id}%2fsync", "/api/v1/connectors/{id}%5Csync",
    "/api/v1/connectors/{id}\\sync", "/api/v1/connectors/{id}/sync%00", "/api/v1/connectors/{id}/sync%20",
    "/api/v1/connectors/{id}/syn%2563", "/api/v1/connectors/{id}/sync;x=1", "/api/v1/connectors/{id}/SYNC",
    "/API/v1/connectors/{id}/sync", "/api/V1/connectors/{id}/sync", "/api/v1/Connectors/{id}/sync",
    "/api/v1/connectors/%30123456789abcdef01234567/sync", "/api/v1/connectors/{id}/sync%3F",
    "http://finlink/api/v1/connectors/{id}/sync", "http://other/api/v1/connectors/{id}/sync",
    "/v1/connectors/{id}/sync", "/api/connectors/{id}/sync", "//v1//connectors/{id}/sync",
    "/api/v1/../connectors/{id}/sync", "/v1/connectors/{id}/sync/", "/api/connectors/{id}/sync;x=1",
    "/v1/v1/connectors/{id}/sync", "/api/api/v1/connectors/{id}/sync",
]  # fmt: skip
HEADERS = [
    "X-Forwarded-For: 10.1.2.3", "X-Forwarded-For: 10.1.2.3, 10.1.2.4", "X-Real-IP: 10.1.2.3",
    "Forwarded: for=10.1.2.3", "True-Client-IP: 10.1.2.3", "CF-Connecting-IP: 10.1.2.3",
    "X-Client-IP: 10.1.2.3", "X-Envoy-External-Address: 10.1.2.3", "X-Envoy-Internal: true",
    "X-Envoy-Original-Path: /api/v1/users", "X-Original-URL: /api/v1/users", "X-Rewrite-URL: /api/v1/users",
    "X-HTTP-Method-Override: GET", "X-Envoy-Force-Trace: 1", "X-Forwarded-Proto: https",
    "X-Forwarded-Host: other", "X-RateLimit-Limit: 100000", "X-Request-Id: other", "User-Agent: other",
    "Authorization: Bearer other", "Idempotency-Key: other", "Content-Type: application/grpc",
    "Connection: close", "Origin: https://app.example",
]  # fmt: skip


async def test_no_way_round(hourly: EdgeStack) -> None:
    async with caller(hourly, "127.0.0.1") as client:
        assert await statuses(client, "POST", SYNC, 6) == Counter({200: 5, 429: 1})
    for spelling in SPELLINGS:
        path = spelling.format(id=CONNECTOR)
        reply = raw(hourly.rest, f"POST {path} HTTP/1.1".encode(), body=b"")
        assert reply.status in {400, 404, 429}, path
        assert json.loads(reply.content)["error"]["code"]
        assert len(hourly.seen) == 5, path
    for header in HEADERS:
        reply = raw(hourly.rest, f"POST {SYNC} HTTP/1.1".encode(), header.encode(), body=b"")
        # A gRPC call that strayed to this port is refused in gRPC's own way.
        assert reply.status == 429 or reply.headers.get("grpc-status") == RESOURCE_EXHAUSTED, header
    # Every call above was a connection of its own; HTTP/2 is no other caller either.
    async with caller(hourly, "127.0.0.1", h2=True) as client:
        assert await statuses(client, "GET", f"{SYNC}s/sync_1", 20) == Counter({429: 20})
    assert len(hourly.seen) == 5


# --- behind proxies ---------------------------------------------------------------------------


async def test_behind_trusted_proxies_the_address_is_the_forwarded_one(
    tmp_path: Path,
) -> None:
    proxies = ("127.0.0.2/31", "2001:db8:ffff::/48")
    with edge_stack(tmp_path, Limits(window_ms=HOUR_MS, trusted_proxies=proxies)) as opened:
        async with caller(opened, "127.0.0.2") as proxy, caller(opened, "127.0.0.1") as direct:

            async def admitted(client: httpx.AsyncClient, *forwarded: str) -> Counter[int]:
                found: Counter[int] = Counter()
                for each in forwarded:
                    reply = await client.post(SYNC, headers={"x-forwarded-for": each})
                    found[reply.status_code] += 1
                return found

            assert await admitted(proxy, *["10.0.0.1"] * 6) == Counter({200: 5, 429: 1})
            assert await admitted(proxy, *["10.0.0.2"] * 6) == Counter({200: 5, 429: 1})
            # What the client wrote itself stands left of what the proxies added.
            lies = [f"10.9.9.{n}, 10.0.0.1" for n in range(5)]
            assert await admitted(proxy, *lies) == Counter({429: 5})
            chain = ["10.0.0.1, 127.0.0.3, 2001:db8:ffff::7"]
            assert await admitted(proxy, *chain) == Counter({429: 1})
            # From anybody else it is but a text.
            spoofed = [f"10.7.7.{n}" for n in range(8)]
            assert await admitted(direct, *spoofed) == Counter({200: 5, 429: 3})
            # An IPv6 caller has a /64 for itself.
            same = [f"2001:db8:1:2::{n}" for n in range(1, 9)]
            assert await admitted(proxy, *same) == Counter({200: 5, 429: 3})
            assert await admitted(proxy, "2001:db8:1:3::1") == Counter({200: 1})
        addresses = {seen.metadata["x-forwarded-for"] for seen in opened.seen}
    assert addresses == {
        "10.0.0.1", "10.0.0.2", "127.0.0.1", "2001:db8:1:3::1",
        *(f"2001:db8:1:2::{n}" for n in range(1, 6)),
    }  # fmt: skip
