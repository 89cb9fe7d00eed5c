"""A key of the ring is replaced while requests go on, and the old one taken away."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from bson import ObjectId

from server.domains.connectors.connections.documents import connector
from server.domains.connectors.connections.sessions import SessionVault
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.identity.tokens.store import SIGNING_KEYS
from server.platforms.base import PlatformSession
from server.security.ring import KeyRing
from server.security.rotation import rotate, survey
from server.storage import wrapped_keys
from server.storage.data_keys import DATA_KEYS, DataKeyStore, data_keys
from server.storage.driver import Database, connected
from server.storage.keyed_secrets import KEYED_SECRETS, keyed_secrets
from tests.chaos.figures import Figures
from tests.e2e import connector_steps as step
from tests.security_long.load import Call, Measured, steady
from tests.stack import ROOT, Stack, running
from tests.storage.databases import settings

RATE = 50  # requests a second
OLD, NEW = os.urandom(32), os.urandom(32)
EXPIRES = datetime(2040, 1, 1, tzinfo=UTC)


def variable(keys: Mapping[str, bytes]) -> str:
    """ENCRYPTION_KEYS with these keys."""
    return ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in keys.items())


BOTH = variable({"new": NEW, "old": OLD})


@asynccontextmanager
async def database_of(stack: Stack) -> AsyncIterator[Database]:
    of_stack = settings(
        stack.mongodb_uri, "pymongo", db_name="financial_app", mongo_timeout_ms=60_000
    )
    async with connected(of_stack) as database:
        yield database


@asynccontextmanager
async def rest_of(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{stack.rest}/api/v1", timeout=40) as client:
        yield client


async def seeded(database: Database, count: int) -> list[str]:
    """Connectors that do not sync, with sessions sealed as servers seal them; gives their ids."""
    store = DataKeyStore(database, KeyRing({"old": OLD}))
    vault, ring = SessionVault(store), KeyRing({"old": OLD})
    ids: list[str] = []
    for start in range(0, count, 1000):
        documents, keys = [], []
        for number in range(start, min(start + 1000, count)):
            user_id = f"seeded_{number}"
            key = vault.new_key(user_id, "zerodha")
            secrets = {"access_token": f"tok_{number}"}
            held = vault.seal(key, PlatformSession(f"P{number}", "individual", EXPIRES, secrets))
            place = f"{DATA_KEYS}/{key.id}/{key.owner.name}"
            wrapped = wrapped_keys.fields(ring.wrap(key.key, place=place))
            keys.append({"_id": key.id, "userId": user_id, "owner": key.owner.name, **wrapped})
            documents.append(
                {
                    "_id": ObjectId(),
                    "userId": user_id,
                    "platform": "zerodha",
                    "connectionStatus": "connected",
                    "sessionId": held.session_id,
                    "credentials": {
                        "encryptedToken": held.sealed_session,
                        "tokenExpiresAt": EXPIRES,
                    },
                    "metadata": {"permissions": ["profile"], "platformUserId": f"P{number}"},
                    "sync": {"auto": False},
                    "createdAt": datetime.now(UTC),
                }
            )
        await database.collection(DATA_KEYS).insert_many(keys, ordered=False)
        await database.collection(CONNECTORS).insert_many(documents, ordered=False)
        ids += [str(document["_id"]) for document in documents]
    return ids


async def opened(database: Database, keys: Mapping[str, bytes]) -> int:
    """How many sessions of connected connectors open with this ring, which must be all."""
    vault = SessionVault(DataKeyStore(database, KeyRing(keys)))
    count = 0
    cursor = database.collection(CONNECTORS).find({"connectionStatus": "connected"})
    while batch := await cursor.to_list(200):
        sessions = await asyncio.gather(*(vault.open(connector(document)) for document in batch))
        for document, session in zip(batch, sessions, strict=True):
            assert session.secrets
            if document["userId"].startswith("seeded_"):
                number = document["userId"].removeprefix("seeded_")
                assert session.secrets == {"access_token": f"tok_{number}"}
        count += len(batch)
    return count


async def wrapped_by_old(database: Database) -> None:
    """Have everything as it was before there was a new key."""
    ring = KeyRing({"old": OLD, "new": NEW})
    collections = [data_keys(database), keyed_secrets(database)]
    assert (await rotate(ring, collections, lambda *_: None, 1_000_000)).complete


async def waiting(database: Database) -> Mapping[str, int]:
    """What needs another key than the new one."""
    collections = [data_keys(database), keyed_secrets(database)]
    return (await survey(KeyRing({"new": NEW}), collections)).waiting


async def command(
    stack: Stack, keys: str, rate: int, kill_after: int | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """Run rotate-keys on the stack's data folder: its exit code, and what it printed.

    With `kill_after` it is killed once it has told of so many keys re-wrapped.
    """
    environment = {name: value for name, value in os.environ.items() if "MONGO" not in name}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", "rotate-keys", "--rate", str(rate), cwd=ROOT,
        env={**environment, "DATA_DIR": str(stack.data_dir), "ENCRYPTION_KEYS": keys},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said = []
    async for line in process.stdout:
        said.append(json.loads(line))
        if kill_after is not None and said[-1].get("rewrapped", 0) >= kill_after:
            process.kill()
    return await process.wait(), said


def calls(rest: httpx.AsyncClient, real: Sequence[str], idle: Sequence[str]) -> list[Call]:
    """What clients do: mostly they look, often sessions are opened, at times one begins or ends."""
    turn, rest_turn = itertools.cycle(real), itertools.cycle(idle)
    made: list[str] = []

    async def look() -> httpx.Response:
        return await rest.get(f"/connectors/{next(rest_turn)}")

    async def page() -> httpx.Response:
        return await rest.get("/connectors", params={"limit": 20})

    async def refresh() -> httpx.Response:
        return await rest.put(f"/connectors/{next(turn)}/refresh-session")

    async def sync() -> httpx.Response:
        return await rest.post(f"/connectors/{next(turn)}/sync", json={"forceSync": True})

    async def connect() -> httpx.Response:
        user_id = f"user_{uuid.uuid4().hex}"
        await step.create_user(rest, user_id)
        reply = await step.post(rest, user_id, "fi_money")
        if reply.is_success:
            made.append(reply.json()["data"]["id"])
        return reply

    async def disconnect() -> httpx.Response:
        return await (rest.delete(f"/connectors/{made.pop(0)}") if made else look())

    looks: list[Call] = [look, page, look, look]
    return [*looks, refresh, *looks, sync, *looks, refresh, *looks, connect, *looks, disconnect]


@pytest.mark.full_only
async def test_a_key_is_replaced_under_load(
    figures: Figures, tmp_path_factory: pytest.TempPathFactory
) -> None:
    count, first_rate = 100_000, 2_000
    folder = tmp_path_factory.mktemp("rotation")
    workers = "2"
    with running(folder, ENCRYPTION_KEYS=BOTH, WORKERS=workers) as stack:
        async with database_of(stack) as database, rest_of(stack) as rest:
            idle = await seeded(database, count)
            real = []
            for _ in range(8):
                user_id = f"user_{uuid.uuid4().hex}"
                await step.create_user(rest, user_id)
                real.append((await step.connect(rest, user_id))["id"])
            await wrapped_by_old(database)
            own = await database.collection(KEYED_SECRETS).count_documents({})
            assert await waiting(database) == {"old": count + 8 + own}
            own += await database.collection(SIGNING_KEYS).count_documents({})

            beside: Measured
            async with steady(calls(rest, real, idle), RATE) as before:
                await asyncio.sleep(10)
            async with steady(calls(rest, real, idle), RATE) as beside:
                started = time.monotonic()
                code, said = await command(stack, BOTH, first_rate, kill_after=1)
                stopped_at = said[-1]["rewrapped"]
                assert code < 0
                assert 0 < stopped_at < count
                code, said = await command(stack, BOTH, 2_000)
                seconds = time.monotonic() - started
            assert code == 0, said[-1]
            assert said[-1]["event"] == "complete"
            assert 0 < said[-1]["rewrapped"] <= count + 8 + own - stopped_at
            assert not before.failed
            assert not beside.failed
            figures.show("credentials re-wrapped, stopped once", f"{count:,} in {seconds:.1f} s")
            figures.show(f"at {RATE} requests/s before", before)
            figures.show(f"at {RATE} requests/s beside it", beside)

    # The old key is gone.
    with running(folder, ENCRYPTION_KEYS=variable({"new": NEW}), WORKERS=workers) as stack:
        async with database_of(stack) as database, rest_of(stack) as rest:
            sessions = await opened(database, {"new": NEW})
            assert sessions >= count + 8
            figures.show("opened without the old key", f"{sessions:,}")
            assert await waiting(database) == {}
            for connector_id in real:
                assert (await step.sync(rest, connector_id))["status"] == "success"
                document = await database.collection(CONNECTORS).find_one(
                    {"_id": ObjectId(connector_id)}
                )
                assert document is not None
                assert document["connectionStatus"] == "connected"
