"""One refresh of a session at a time over all processes, whatever happens to the one that does it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

import grpc
import httpx
import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient, MongoClient

from tests.chaos.figures import Figures
from tests.chaos.ground import Ground
from tests.chaos.processes import process, refresh_grpc
from tests.e2e.connector_steps import Json, connect, create_user, eventually, get, synced
from tests.sandbox.accounts import PLATFORM_KEY

RENEWAL = "POST /session/refresh_token"
HOLD = "/breakpoints/renewal"
ACTIVE = "cluster.finlink.upstream_rq_active"
HEALED = "seconds from the end of the refreshing process to the first answer"


async def connected(api: httpx.AsyncClient) -> tuple[str, str]:
    """A connector that holds a refresh token, its first sync over; and its login."""
    user_id, login = f"user_{uuid.uuid4().hex}", f"RF{uuid.uuid4().hex[:8]}".upper()
    await create_user(api, user_id)
    credentials = {"username": login, "password": "secret", "apiKey": PLATFORM_KEY}
    made = await connect(api, user_id, "zerodha", credentials=credentials)
    connector_id: str = made["id"]
    await synced(api, connector_id)
    return connector_id, login


def block(site: Ground, login: str, at: str) -> None:
    """Keep the next renewal at the platform, before (`arrival`) or after (`answer`) it is done."""
    body = {"platform": "zerodha", "login": login, "call": RENEWAL, "at": at, "times": 1}
    site.sandbox.put(HOLD, body)


def renewals(site: Ground, login: str) -> dict[str, int]:
    """The replies to renewals, counted by status; unanswered ones under `None`."""
    counted: dict[str, int] = {}
    for call in site.sandbox.calls(login=login, call=RENEWAL)["calls"]:
        status = str(call["status"])
        counted[status] = counted.get(status, 0) + 1
    return counted


async def refresh_rest(api: httpx.AsyncClient, connector_id: str) -> httpx.Response:
    return await api.put(f"/connectors/{connector_id}/refresh-session", json={})


async def arrived(site: Ground, count: int) -> None:
    """Until so many calls are with the server processes, through Envoy."""
    admin = f"http://127.0.0.1:{site.stack.ports['ADMIN_PORT']}"

    async with httpx.AsyncClient(base_url=admin) as client:

        async def probe() -> bool:
            reply = await client.get("/stats", params={"filter": ACTIVE, "format": "json"})
            values = {stat.get("name"): stat.get("value") for stat in reply.json()["stats"]}
            return bool(values.get(ACTIVE) == count)

        await eventually(probe, f"{count} calls at the servers")


def session_of(site: Ground, connector_id: str) -> Json:
    """What the connector's document says of its session."""
    with closing(MongoClient[Any](site.stack.mongodb_uri)) as client:
        document = client["financial_app"]["connectors"].find_one({"_id": ObjectId(connector_id)})
    assert document is not None
    fields = ("sessionId", "session", "credentials", "connectionStatus", "errors")
    return {name: document.get(name) for name in fields}


@asynccontextmanager
async def generations_of(site: Ground, connector_id: str) -> AsyncIterator[list[int]]:
    """The session's generations in the order they were seen."""
    seen: list[int] = []
    over = asyncio.Event()

    async def watch() -> None:
        where = {"_id": ObjectId(connector_id)}
        async with AsyncMongoClient[Any](site.stack.mongodb_uri) as client:
            connectors = client["financial_app"]["connectors"]
            while not over.is_set():
                document = await connectors.find_one(where, {"session.generation": 1})
                assert document is not None
                seen.append(document["session"]["generation"])

    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        over.set()
        await task


async def test_many_refreshes_are_one(
    site: Ground,
    api: httpx.AsyncClient,
    stubs: grpc.aio.Channel,
    figures: Figures,
    full: bool,
) -> None:
    """All of them at the servers before the platform answers the only one it gets."""
    count = 200 if full else 40
    connector_id, login = await connected(api)
    generation = session_of(site, connector_id)["session"]["generation"]
    block(site, login, "arrival")
    began = time.monotonic()
    rest = [asyncio.create_task(refresh_rest(api, connector_id)) for _ in range(count // 2)]
    over_grpc = [asyncio.create_task(refresh_grpc(stubs, connector_id)) for _ in range(count // 2)]
    await site.sandbox.until_blocked("renewal")
    await arrived(site, count)
    assert not any(call.done() for call in (*rest, *over_grpc))
    figures.show("refreshes at the servers while one is held", count)
    site.sandbox.control.delete(HOLD).raise_for_status()
    replies = await asyncio.gather(*rest)
    assert {reply.status_code for reply in replies} == {200}, replies[0].text
    sessions = [reply.json()["data"] for reply in replies] + await asyncio.gather(*over_grpc)
    figures.show("seconds for all", time.monotonic() - began)
    assert len(sessions) == count
    assert all(session == sessions[0] for session in sessions)
    assert renewals(site, login) == {"200": 1}
    # And who asks within moments gets it as well.
    assert (await refresh_rest(api, connector_id)).json()["data"] == sessions[0]
    assert renewals(site, login) == {"200": 1}
    after = session_of(site, connector_id)
    assert (after["sessionId"], after["session"]["generation"]) == (
        sessions[0]["sessionId"],
        generation + 1,
    )
    figures.show("renewals at the platform", 1)


async def test_the_engine_renews_a_session_by_itself(site: Ground, api: httpx.AsyncClient) -> None:
    """One process of the two, without a caller or a sync."""
    connector_id, login = await connected(api)
    before = session_of(site, connector_id)
    with closing(MongoClient[Any](site.stack.mongodb_uri)) as client:
        client["financial_app"]["connectors"].update_one(
            {"_id": ObjectId(connector_id)}, [{"$set": {"session.checkAt": "$$NOW"}}]
        )

    async def renewed() -> bool:
        return bool((await get(api, connector_id)).get("sessionId") != before["sessionId"])

    await eventually(renewed, "another session")
    after = session_of(site, connector_id)
    assert after["connectionStatus"] == "connected"
    assert after["session"]["generation"] == before["session"]["generation"] + 1
    assert after["credentials"]["encryptedToken"] != before["credentials"]["encryptedToken"]
    assert renewals(site, login) == {"200": 1}


async def waiting(
    site: Ground, api: httpx.AsyncClient, connector_id: str, count: int
) -> list[asyncio.Task[httpx.Response]]:
    """So many refreshes at the site's own server processes, which wait for the one that is held."""
    waiters = [asyncio.create_task(refresh_rest(api, connector_id)) for _ in range(count)]
    await arrived(site, count)
    return waiters


async def outcomes(
    waiters: Sequence[asyncio.Task[httpx.Response]], since: float, figures: Figures
) -> list[httpx.Response]:
    await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    figures.show(HEALED, time.monotonic() - since)
    replies = await asyncio.gather(*waiters)
    figures.show("answers to those who waited", sorted(reply.status_code for reply in replies))
    return replies


def assert_one_session(replies: Sequence[httpx.Response], site: Ground, connector_id: str) -> None:
    """All were told of the session that holds now."""
    assert {reply.status_code for reply in replies} == {200}, replies[0].text
    now = session_of(site, connector_id)
    assert {reply.json()["data"]["sessionId"] for reply in replies} == {now["sessionId"]}
    assert now["connectionStatus"] == "connected"


def assert_login_wanted(replies: Sequence[httpx.Response], connector: Json) -> None:
    """All were told that a new login is needed, and where; and so is everybody else."""
    for reply in replies:
        error = reply.json()["error"]
        assert (reply.status_code, error["code"]) == (409, "REAUTH_REQUIRED"), reply.text
        assert error["metadata"]["loginUrl"].startswith("http")
    assert connector["connectionStatus"] == "expired"
    assert connector["errors"][0]["errorCode"] == "REAUTH_REQUIRED"


@pytest.mark.full_only
@pytest.mark.parametrize("at", ["arrival", "reply"])
async def test_a_refresh_whose_process_is_killed_heals(
    site: Ground, api: httpx.AsyncClient, figures: Figures, at: str
) -> None:
    """Killed before the platform did it, another process does it. Killed after, the token is spent."""
    connector_id, login = await connected(api)
    async with (
        process(site) as (doomed, channel),
        generations_of(site, connector_id) as generations,
    ):
        block(site, login, at)
        lost = asyncio.create_task(refresh_grpc(channel, connector_id))
        await site.sandbox.until_blocked("renewal")
        waiters = await waiting(site, api, connector_id, 10)
        killed = time.monotonic()
        doomed.kill()
        with pytest.raises(grpc.aio.AioRpcError):
            await lost
        replies = await outcomes(waiters, killed, figures)
        if at == "arrival":
            assert_one_session(replies, site, connector_id)
            # What never reached the platform's end had no effect; one renewal did.
            assert renewals(site, login) == {"None": 1, "200": 1}
            late = await refresh_rest(api, connector_id)
            assert_one_session([late], site, connector_id)
        else:
            assert_login_wanted(replies, await get(api, connector_id))
            assert renewals(site, login) == {"None": 1, "403": 1}
        site.sandbox.control.delete(HOLD).raise_for_status()
    assert generations == sorted(generations)
    assert len(set(generations)) > 1
    figures.show("generations seen", sorted(set(generations)))


@pytest.mark.full_only
@pytest.mark.parametrize("at", ["arrival", "reply"])
async def test_a_refresh_whose_process_froze_overwrites_nothing(
    site: Ground, api: httpx.AsyncClient, figures: Figures, at: str
) -> None:
    """It thaws after another process took over, and finds the platform's reply waiting."""
    connector_id, login = await connected(api)
    async with (
        process(site) as (frozen, channel),
        generations_of(site, connector_id) as generations,
    ):
        block(site, login, at)
        late = asyncio.create_task(refresh_grpc(channel, connector_id))
        await site.sandbox.until_blocked("renewal")
        waiters = await waiting(site, api, connector_id, 10)
        froze = time.monotonic()
        frozen.freeze()
        replies = await outcomes(waiters, froze, figures)
        if at == "arrival":
            assert_one_session(replies, site, connector_id)
        else:
            assert_login_wanted(replies, await get(api, connector_id))
        before = session_of(site, connector_id)
        site.sandbox.control.delete(HOLD).raise_for_status()
        frozen.thaw()
        # Its caller is told what holds, or that the platform did not answer it in time.
        (reported,) = await asyncio.gather(late, return_exceptions=True)
        if isinstance(reported, grpc.aio.AioRpcError):
            assert reported.code() in {
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.FAILED_PRECONDITION,
            }
            figures.show("the late one is told", reported.code().name)
        else:
            assert not isinstance(reported, BaseException)
            assert reported["sessionId"] == before["sessionId"]
            figures.show("the late one is told", "the newer session")
        assert session_of(site, connector_id) == before
    assert generations == sorted(generations)
    figures.show("generations seen", sorted(set(generations)))
