"""Harm done to a long audit trail is found, and how long that takes."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bson import ObjectId

from server.core.clock import utc_now
from server.domains.audit.sealer import Sealer
from server.domains.audit.verification import verify
from server.security.ring import KeyRing
from server.storage import audit, keyed_secrets, leases
from server.storage.audit import AUDIT_EVENTS, CODES_KEY, AuditTrail, Codes
from server.storage.driver import Database, connected
from server.storage.indexes import ensure_indexes
from server.storage.keyed_secrets import KeyedSecrets
from server.storage.leases import Leases
from tests.chaos.figures import Figures
from tests.domains.audit.harms import HARMS, Scene, alter, finding
from tests.stack import ROOT, Stack
from tests.storage.databases import settings

KEY = os.urandom(32)
WHOLE, WHOLE_HEAD = "whole_events", "whole_head"
ACTIONS = (
    "user.created", "user.updated", "connector.connected", "sync.requested", "session.refreshed",
    "sync.failed", "connector.disconnected", "user.deleted",
)  # fmt: skip


@asynccontextmanager
async def database_of(stack: Stack) -> AsyncIterator[Database]:
    own = settings(stack.mongodb_uri, "pymongo", mongo_timeout_ms=60_000)
    async with connected(own) as database:
        indexes = {**audit.INDEXES, **leases.INDEXES, **keyed_secrets.INDEXES}
        await ensure_indexes(database, indexes)
        try:
            yield database
        finally:
            await database.drop()


async def recorded_fast(trail: AuditTrail, database: Database, count: int) -> None:
    """So many events, each with its code, as `trail.add` writes them."""
    events = database.collection(AUDIT_EVENTS)
    for start in range(0, count, 5_000):
        documents = [
            {
                "_id": ObjectId(),
                "at": utc_now(),
                "action": ACTIONS[number % len(ACTIONS)],
                "userId": f"user_{number}",
                "connectorId": str(ObjectId()),
                "platform": "zerodha",
                "fields": ["profile.city", "email"],
                "actor": {
                    "kind": "caller",
                    "address": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                    "userAgent": "app/1.0",
                    "requestId": f"request-{number}",
                },
            }
            for number in range(start, min(start + 5_000, count))
        ]
        for document in documents:
            document["mac"] = trail.codes.of_event(document)
            document["unsealed"] = True
        await events.insert_many(documents, ordered=False)


async def rewritten(trail: AuditTrail, count: int) -> None:
    await recorded_fast(trail, trail._database, count)
    await Sealer(trail, Leases(trail._database)).seal()


async def kept(database: Database) -> None:
    """Keep the trail as it is."""
    for name, copy in ((audit.AUDIT_EVENTS, WHOLE), (audit.AUDIT_HEAD, WHOLE_HEAD)):
        await database.aggregate(database.collection(name), [{"$out": copy}])


async def put_back(database: Database) -> None:
    """Have the trail as it was kept, indexes included."""
    for name, copy in ((audit.AUDIT_EVENTS, WHOLE), (audit.AUDIT_HEAD, WHOLE_HEAD)):
        await database.aggregate(database.collection(copy), [{"$out": name}])


async def command(stack: Stack, name: str) -> tuple[int, list[str]]:
    """Run verify-audit: its exit code, and the problems it tells of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", "verify-audit", cwd=ROOT,
        env={
            **{key: value for key, value in os.environ.items() if "MONGO" not in key},
            "MONGODB_URI": stack.mongodb_uri,
            "DB_NAME": name,
            "DATA_DIR": str(stack.data_dir / "none"),
            "ENCRYPTION_KEYS": f"own:{base64.b64encode(KEY).decode()}",
        },
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(output)["problems"]


async def test_harm_to_a_long_trail_is_found(stack: Stack, full: bool, figures: Figures) -> None:
    count = 100_000 if full else 500
    async with database_of(stack) as database:
        codes = Codes(await KeyedSecrets(database, KeyRing({"own": KEY})).get(CODES_KEY))
        trail = AuditTrail(database, codes)
        await recorded_fast(trail, database, count)
        started = time.monotonic()
        assert await Sealer(trail, Leases(database)).seal() == count
        seconds = time.monotonic() - started
        figures.show("events sealed a second", f"{count / seconds:,.0f} of {count:,}")

        report = await verify(trail, codes)
        assert (report.problems, report.sealed, report.unsealed) == ([], count, 0)
        await kept(database)

        scene = Scene(database, trail, count, rewrite=rewritten)
        for harm in HARMS:
            await put_back(database)
            await harm(scene)
            started = time.monotonic()
            report = await verify(trail, codes)
            figures.show(f"{harm.__name__}, found after seconds", time.monotonic() - started)
            assert [found for found in report.problems if finding(harm, scene) in found], (
                harm.__name__, report.problems,
            )  # fmt: skip

        await put_back(database)
        name = database.collection(AUDIT_EVENTS).database.name
        started = time.monotonic()
        assert await command(stack, name) == (0, [])
        figures.show("verify-audit of a whole trail, seconds", time.monotonic() - started)
        await alter(scene)
        started = time.monotonic()
        assert await command(stack, name) == (1, [finding(alter, scene)])
        figures.show("verify-audit of an altered one, seconds", time.monotonic() - started)
