"""What tests of connectors do again and again: connect, wait for syncs, log in at the platforms' pages."""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from tests.e2e.replies import content_of
from tests.stack import Stack

Json = dict[str, Any]
Documents = AsyncDatabase[dict[str, Any]]
T = TypeVar("T")

SECONDS = 30.0  # never reached unless something is broken
PLATFORMS = ("fi_money", "zerodha")
ALL = ("transactions", "portfolio", "profile", "trades")
LITTLE = ("profile",)  # for tests to which it is all one: syncs soon over
GRANTED = {"fi_money": list(ALL), "zerodha": ["portfolio", "profile", "trades"]}
KITE_SECRET = "sandbox_secret"  # the one that the sandbox takes for every api key
# A Fi customer whose net worth cannot be read, whatever else can.
BROKEN_NET_WORTH = "2525252525"


async def eventually(probe: Callable[[], Awaitable[T | None]], what: str) -> T:
    """The first reply of `probe` that is true."""
    last: T | None = None
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                last = await probe()
                if last:
                    return last
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}; last: {last!r}") from None


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- users and connections ----------------------------------------------------------------------


def new_login() -> str:
    """A login nobody has, at either platform."""
    return f"k{uuid.uuid4().hex[:12]}"


def credentials_of(username: str) -> dict[str, str]:
    return {"username": username, "password": "platformPassword", "apiKey": "platform_api_key"}


async def create_user(rest: httpx.AsyncClient, user_id: str) -> None:
    response = await rest.post(
        "/users", json={"userId": user_id, "email": f"{user_id}@example.com"}
    )
    assert response.status_code == 201, response.text


async def post(
    rest: httpx.AsyncClient,
    user_id: str,
    platform: str,
    *,
    permissions: Sequence[str] = LITTLE,
    credentials: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Ask for a connection: of the profile, with a login of its own, by default."""
    body = {
        "userId": user_id,
        "platform": platform,
        "permissions": list(permissions),
        "credentials": credentials_of(new_login()) if credentials is None else credentials,
    }
    return await rest.post("/connectors", json=body)


async def connect(
    rest: httpx.AsyncClient,
    user_id: str,
    platform: str = "fi_money",
    *,
    permissions: Sequence[str] = LITTLE,
    credentials: Mapping[str, str] | None = None,
) -> Json:
    """The data of a connection that was made, or of one whose login is pending."""
    response = await post(rest, user_id, platform, permissions=permissions, credentials=credentials)
    assert response.status_code == 201, response.text
    data: Json = response.json()["data"]
    return data


async def get(rest: httpx.AsyncClient, connector_id: str) -> Json:
    return _data(await rest.get(f"/connectors/{connector_id}"))


async def of_user(rest: httpx.AsyncClient, user_id: str) -> Json:
    return _data(await rest.get(f"/connectors/user/{user_id}"))


async def listed(rest: httpx.AsyncClient, **filters: Any) -> list[Json]:
    """All connectors that a walk by token gives."""
    parameters: dict[str, Any] = {"limit": 100, **filters}
    connectors: list[Json] = []
    while True:
        page = _data(await rest.get("/connectors", params=parameters))
        connectors += page["connectors"]
        if "nextPageToken" not in page["pagination"]:
            return connectors
        parameters["pageToken"] = page["pagination"]["nextPageToken"]


async def summary(rest: httpx.AsyncClient, **filters: str) -> Json:
    return _data(await rest.get("/connectors/status", params=filters))


async def disconnect(rest: httpx.AsyncClient, connector_id: str) -> Json:
    return _data(await rest.delete(f"/connectors/{connector_id}"))


async def trigger(rest: httpx.AsyncClient, connector_id: str, **body: Any) -> Json:
    """A manual run, begun or found."""
    response = await rest.post(f"/connectors/{connector_id}/sync", json=body)
    assert response.status_code == 200, response.text
    return content_of(response)


def _data(response: httpx.Response) -> Json:
    assert response.status_code == 200, response.text
    data: Json = response.json()["data"]
    return data


# --- syncs --------------------------------------------------------------------------------------


async def sync_status(rest: httpx.AsyncClient, connector_id: str) -> Json:
    return _data(await rest.get(f"/connectors/{connector_id}/sync-status"))


async def synced(rest: httpx.AsyncClient, connector_id: str, runs: int = 1) -> Json:
    """The sync status once so many runs have finished and none is under way."""

    async def probe() -> Json | None:
        status = await sync_status(rest, connector_id)
        return status if status["totalSyncs"] >= runs and "currentSyncId" not in status else None

    return await eventually(probe, f"{runs} runs of {connector_id}")


async def finished(rest: httpx.AsyncClient, connector_id: str, sync_id: str) -> Json:
    """The history entry of a run, once it has finished."""

    async def probe() -> Json | None:
        history = (await sync_status(rest, connector_id))["syncHistory"]
        return next((entry for entry in history if entry.get("syncId") == sync_id), None)

    return await eventually(probe, f"the end of {sync_id}")


async def sync(rest: httpx.AsyncClient, connector_id: str, **body: Any) -> Json:
    """The history entry of a manual run that was begun, and has finished."""
    await synced(rest, connector_id, 0)
    reply = await trigger(rest, connector_id, **body)
    assert reply["message"] == "Sync initiated successfully", reply
    return await finished(rest, connector_id, reply["data"]["syncId"])


async def records(
    rest: httpx.AsyncClient, connector_id: str, data_type: str | None = None, limit: int = 100
) -> list[Json]:
    """All records that a walk by token gives."""
    parameters: dict[str, Any] = {"limit": limit}
    if data_type is not None:
        parameters["dataType"] = data_type
    found: list[Json] = []
    while True:
        page = _data(await rest.get(f"/connectors/{connector_id}/records", params=parameters))
        assert len(page["records"]) <= limit
        found += page["records"]
        if "nextPageToken" not in page["pagination"]:
            return found
        parameters["pageToken"] = page["pagination"]["nextPageToken"]


# --- what is in MongoDB -------------------------------------------------------------------------


@asynccontextmanager
async def database(stack: Stack) -> AsyncIterator[Documents]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(stack.mongodb_uri, tz_aware=True)
    async with client:
        yield client["financial_app"]


async def document(documents: Documents, connector_id: str) -> Json:
    found = await documents["connectors"].find_one({"_id": ObjectId(connector_id)})
    assert found is not None
    return found


async def make_due(documents: Documents, connector_id: str) -> None:
    """As though the interval were over, instead of waiting for it."""
    past = datetime.now(UTC) - timedelta(minutes=1)
    result = await documents["connectors"].update_one(
        {"_id": ObjectId(connector_id), "sync.run": {"$exists": False}},
        {"$set": {"sync.dueAt": past}},
    )
    assert result.matched_count == 1, "no connector, or it is syncing"


async def judged(documents: Documents, connector_id: str) -> None:
    """Wait until a worker has looked at a connector that is due, and found that nothing is to run."""

    async def probe() -> bool:
        return "dueAt" not in (await document(documents, connector_id))["sync"]

    await eventually(probe, f"a worker to look at {connector_id}")


# --- the platforms ------------------------------------------------------------------------------


def zerodha(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.ports['ZERODHA_SANDBOX_PORT']}"


def fi_money(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.ports['FI_MONEY_SANDBOX_PORT']}"


async def log_in(login_url: str, **fields: str) -> httpx.Response:
    """Do what a person does on a platform's page: open it, fill in the form, send it."""
    async with httpx.AsyncClient() as browser:
        page = await browser.get(login_url)
        assert page.status_code == 200, page.text
        target = re.search(r'<form method="post" action="([^"]+)"', page.text)
        assert target is not None, page.text
        inputs = re.findall(r'<input type="(\w+)" name="(\w+)"(?: value="([^"]*)")?>', page.text)
        form = {name: value for kind, name, value in inputs if kind == "hidden"}
        shown = {name for kind, name, _ in inputs if kind != "hidden"}
        assert shown == fields.keys()
        return await browser.post(page.url.join(target[1]), data={**form, **fields})


async def request_token(login_url: str, user_id: str) -> str:
    """Log in at Kite's page; the token that it hands to the app."""
    response = await log_in(login_url, user_id=user_id, password=uuid.uuid4().hex)
    assert response.status_code == 302, response.text
    return httpx.URL(response.headers["location"]).params["request_token"]


async def zerodha_session(stack: Stack, user_id: str, api_key: str) -> str:
    """The access token of another login at Kite; any older one of that user and app dies."""
    token = await request_token(f"{zerodha(stack)}/connect/login?v=3&api_key={api_key}", user_id)
    proof = hashlib.sha256(f"{api_key}{token}{KITE_SECRET}".encode()).hexdigest()
    form = {"api_key": api_key, "request_token": token, "checksum": proof}
    async with httpx.AsyncClient() as app:
        response = await app.post(f"{zerodha(stack)}/session/token", data=form)
    assert response.status_code == 200, response.text
    access_token: str = response.json()["data"]["access_token"]
    return access_token


async def zerodha_data(stack: Stack, user_id: str, *paths: str) -> list[Any]:
    """What Kite answers about a user, asked through an app of the test's own."""
    api_key = "another_app"
    token = await zerodha_session(stack, user_id, api_key)
    async with httpx.AsyncClient(
        base_url=zerodha(stack), headers={"Authorization": f"token {api_key}:{token}"}
    ) as app:
        responses = [await app.get(path) for path in paths]
    assert [response.status_code for response in responses] == [200] * len(paths)
    return [response.json()["data"] for response in responses]
