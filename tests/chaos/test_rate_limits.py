"""One app's backlog stays within the platform's limit, and does not starve another app."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from bson import ObjectId

from server.config import Settings
from server.core.clock import utc_now
from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.connections.store import CONNECTORS, ConnectorStore
from server.domains.connectors.model import ConnectRequest
from server.platforms.base import PlatformSession
from server.platforms.zerodha.adapter import checksum, next_session_end
from server.storage.driver import ClientSession, Collection, Database, connected
from server.storage.leases import LEASES
from tests.chaos.figures import Figures
from tests.chaos.ground import Ground
from tests.chaos.processes import process, refresh_grpc
from tests.e2e.connector_steps import connect, create_user, eventually, synced, trigger
from tests.sandbox.driver import API_SECRET

LIMIT = 10  # calls a second of one app, in any second
AT_ONCE = 10  # logins


async def logged_in(client: httpx.AsyncClient, api_key: str) -> PlatformSession:
    """A new user's session at the platform."""
    user_id = f"BG{uuid.uuid4().hex[:8]}".upper()
    form = {"api_key": api_key, "user_id": user_id, "password": "secret"}
    page = await client.post("/connect/login", data=form)
    token = parse_qs(urlsplit(page.headers["location"]).query)["request_token"][0]
    form = {
        "api_key": api_key,
        "request_token": token,
        "checksum": checksum(api_key, token, API_SECRET),
    }
    reply = await client.post("/session/token", data=form)
    access_token = reply.raise_for_status().json()["data"]["access_token"]
    kept = {"api_key": api_key, "api_secret": API_SECRET, "access_token": access_token}
    return PlatformSession(user_id, "individual", next_session_end(utc_now()), kept)


async def sessions(site: Ground, api_key: str, count: int) -> list[PlatformSession]:
    gate = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=site.sandbox.sandbox.zerodha) as client:

        async def one() -> PlatformSession:
            async with gate:
                return await logged_in(client, api_key)

        return list(await asyncio.gather(*(one() for _ in range(count))))


async def connectors(
    site: Ground, database: Database, opened: Sequence[PlatformSession]
) -> list[ObjectId]:
    """A connector for each session, its first sync due at once; a run of it takes one call."""
    store = ConnectorStore(database)
    vault = site.vault(database)
    made = []
    for session in opened:
        user_id = f"user_{uuid.uuid4().hex}"
        key = vault.new_key(user_id, "zerodha")

        async def store_it(transaction: ClientSession) -> Any:
            await vault.store_key(key, transaction)  # noqa: B023 - awaited here
            wanted = ConnectRequest(user_id, "zerodha", ["profile"], {})  # noqa: B023 - awaited here
            sealed = vault.seal(key, session)  # noqa: B023 - awaited here
            return await store.connect(wanted, sealed, new_sync_id(), transaction, paused=False)

        made.append(ObjectId((await database.transact(store_it)).id))
    return made


@asynccontextmanager
async def kept_busy(
    api: httpx.AsyncClient, collection: Collection, of: Sequence[ObjectId]
) -> AsyncIterator[None]:
    """Whatever has finished a run is told to start the next."""
    over = asyncio.Event()

    async def keep() -> None:
        idle = {"_id": {"$in": list(of)}, "sync.run": {"$exists": False}}
        while not over.is_set():
            found = await collection.find(idle, {"_id": 1}).to_list(None)
            await asyncio.gather(*(trigger(api, str(document["_id"])) for document in found))
            await asyncio.sleep(0.05)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        over.set()
        await task


async def totals(collection: Collection, of: Sequence[ObjectId]) -> Counter[str]:
    """How many runs there have been, by how they ended."""
    counted: Counter[str] = Counter()
    for document in await collection.find({"_id": {"$in": list(of)}}, {"sync": 1}).to_list(None):
        for name in ("total", "successful", "failed"):
            counted[name] += document["sync"].get(name, 0)
    return counted


async def runs_a_second(collection: Collection, of: Sequence[ObjectId], seconds: float) -> float:
    before, began = (await totals(collection, of))["successful"], time.monotonic()
    await asyncio.sleep(seconds)
    after = (await totals(collection, of))["successful"]
    return (after - before) / (time.monotonic() - began)


@pytest.mark.full_only
async def test_a_backlog_keeps_to_the_limit_and_starves_nobody(
    site: Ground, api: httpx.AsyncClient, figures: Figures
) -> None:
    many, few = 200, 20
    alone_seconds, beside_seconds = 20, 60
    crowded, other = (f"key_{uuid.uuid4().hex[:8]}" for _ in range(2))
    # Logins count as well, so those that are needed at once come first.
    other_sessions = await sessions(site, other, few)
    backlog_sessions = await sessions(site, crowded, many)
    site.sandbox.control.delete("/calls").raise_for_status()
    site.sandbox.put("/limits", {"zerodha": {"per_second": LIMIT}})
    settings = Settings.model_validate({"mongodb_uri": site.stack.mongodb_uri})
    async with connected(settings) as database, AsyncExitStack() as stack:
        collection = database.collection(CONNECTORS)
        others = await connectors(site, database, other_sessions)
        await stack.enter_async_context(kept_busy(api, collection, others))
        alone = await runs_a_second(collection, others, alone_seconds)
        backlog = await connectors(site, database, backlog_sessions)
        await stack.enter_async_context(kept_busy(api, collection, backlog))
        before = await totals(collection, backlog)
        began = time.monotonic()
        beside = await runs_a_second(collection, others, beside_seconds)
        after = await totals(collection, backlog)
        crowded_rate = (after - before)["successful"] / (time.monotonic() - began)
        failed = (await totals(collection, [*backlog, *others]))["failed"]
    calls = site.sandbox.calls(api_key=crowded)["calls"]
    arrived = sorted(call["real_at"] for call in calls)
    spans = [later - first for first, later in zip(arrived, arrived[LIMIT:], strict=False)]
    limits = site.sandbox.calls(limit=0)["limits"]["zerodha"]
    busiest = limits["busiest_second"]
    figures.show("busiest second of the crowded app", busiest[crowded])
    figures.show("shortest time of 11 calls, ms", min(spans))
    figures.show("busiest second of the other app", busiest[other])
    figures.show("calls refused by the platform", limits["refused"])
    figures.show("runs a second of the other app alone", alone)
    figures.show("runs a second of the other app beside the backlog", beside)
    figures.show("runs a second of the crowded app", crowded_rate)
    figures.show("ratio", beside / alone)
    assert busiest[crowded] <= LIMIT
    assert busiest[other] <= LIMIT
    assert failed == 0
    assert beside >= alone / 2


@pytest.mark.full_only
async def test_two_processes_call_a_session_one_after_another(
    site: Ground, api: httpx.AsyncClient, figures: Figures
) -> None:
    """A sync in one of them and a refresh in another."""
    user_id, phone = f"user_{uuid.uuid4().hex}", f"9{secrets.randbelow(10**9):09}"
    await create_user(api, user_id)
    credentials = {"username": phone, "password": "secret"}
    connector_id = (await connect(api, user_id, credentials=credentials))["id"]
    await synced(api, connector_id)
    site.sandbox.control.delete("/calls").raise_for_status()
    site.sandbox.put("/limits", {"fi_money": {"concurrent_per_session": 1}})
    hold = {"platform": "fi_money", "login": phone, "call": "fetch_credit_report", "times": 1}
    site.sandbox.put("/breakpoints/sync", hold)
    settings = Settings.model_validate({"mongodb_uri": site.stack.mongodb_uri})
    async with process(site) as (_, channel), connected(settings) as database:
        await trigger(api, connector_id)
        await site.sandbox.until_blocked("sync")
        refresh = asyncio.create_task(refresh_grpc(channel, connector_id))

        async def refreshing() -> bool:
            claim = {"_id": f"refresh/{connector_id}"}
            return await database.collection(LEASES).find_one(claim) is not None

        await eventually(refreshing, "the refresh to be under way")
        for _ in range(20):  # it has the time to call, and does not
            assert len(site.sandbox.calls(platform="fi_money", login=phone)["calls"]) == 1
        site.sandbox.control.delete("/breakpoints/sync").raise_for_status()
        await refresh
        status = await synced(api, connector_id, 2)
    assert (status["successfulSyncs"], status["failedSyncs"]) == (2, 0)
    report = site.sandbox.calls(platform="fi_money", login=phone)
    assert len(report["calls"]) == 3  # two of the sync, one of the refresh
    limits = report["limits"]["fi_money"]
    assert limits["concurrent_violations"] == 0
    assert limits["most_at_once"] == 1
    figures.show("calls of one session at a time", limits["most_at_once"])
