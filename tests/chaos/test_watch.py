"""Watching while much changes: no gap, no repetition, order kept, however often it breaks off."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import quantiles
from typing import Any

import grpc
import httpx
from bson import ObjectId
from finlink.connectors.v1 import watch_pb2
from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceStub
from google.protobuf import json_format

from server.core.clock import utc_now
from server.domains.connectors.connections.sessions import SessionVault, new_sync_id
from server.domains.connectors.connections.store import CONNECTORS, ConnectorStore
from server.domains.connectors.model import (
    Connector,
    ConnectRequest,
    DataTypeCount,
    ErrorEntry,
    HistoryEntry,
)
from server.domains.connectors.sync.store import Outcome, SyncStore
from server.jobs.queue import Job
from server.platforms.base import PlatformSession
from server.storage.driver import Database, Document, connected
from tests.chaos.figures import Figures
from tests.chaos.ground import Ground
from tests.e2e.watch_steps import watching
from tests.storage.databases import settings

WRITERS = 4
BYSTANDERS = 2  # they keep the change streams of both servers going
TIMEOUT = 60.0  # never reached unless something is broken
FAR = timedelta(hours=1)  # no worker claims these connectors

# What an event says: type, connection status, the run under way with what it has done, the run that ended.
Told = tuple[str, str, tuple[str, str, tuple[str, ...]] | None, tuple[str, str] | None]


@dataclass
class Record:
    """What was written, by connector, and when each write was acknowledged."""

    left: int
    reported: dict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, connector_id: str, reported: Told, moment: float) -> None:
        self.acknowledged[connector_id].append(moment)
        self.reported[connector_id].append(reported)
        self.left -= 1


class Writer:
    """Lives the life of one connector after another, sessions and runs, by the server's own writes.

    Its users stand still as far as workers can see, so nobody but the writer changes its connectors.
    """

    def __init__(
        self,
        database: Database,
        vault: SessionVault,
        users: str,
        record: Record,
        dice: random.Random,
    ) -> None:
        """`users` is what the names of its users begin with."""
        self._database = database
        self._users = users
        self._raw = database.collection(CONNECTORS)
        self._connectors = ConnectorStore(database)
        self._syncs = SyncStore(database)
        self._sessions = vault
        self._record = record
        self._dice = dice
        self._session = PlatformSession("AB1234", "individual", utc_now(), {"token": "hush"})

    async def write(self) -> None:
        while self._record.left > 0:
            await self._life()

    async def _life(self) -> None:
        user_id = f"{self._users}_{uuid.uuid4().hex}"

        async def connect(session: Any) -> Connector:
            wanted = ConnectRequest(user_id, "zerodha", ["profile", "trades", "portfolio"], {})
            return await self._connectors.connect(
                wanted, self._sealed(user_id), new_sync_id(), session, paused=True
            )

        connector = await self._database.transact(connect)
        self._note(connector, "connector")
        for _ in range(self._dice.randint(3, 8)):
            step = self._dice.choice([self._run, self._run, self._renew, self._expire])
            await step(connector.id)
        connector = await self._get(connector.id)
        if await self._connectors.end_session(connector, status="disconnected"):
            await self._read(connector.id, "connector")
        connector = await self._get(connector.id)

        async def delete(session: Any) -> None:
            await self._connectors.delete_of_user(user_id, session)

        await self._database.transact(delete)
        self._note(connector, "deleted")

    async def _run(self, connector_id: str) -> None:
        """A run, begun as a claim begins one, to one of its ends."""
        fetched: list[DataTypeCount] = []
        sync_id = new_sync_id()
        claimed = await self._begin(connector_id, sync_id)
        before = claimed.item.status
        for data_type in ("profile", "trades", "portfolio")[: self._dice.randint(0, 3)]:
            assert await self._syncs.keep(claimed)  # of no interest to anybody
            fetched.append(DataTypeCount(data_type, 3, 1))
            assert await self._syncs.keep(claimed, fetched)
            await self._read(connector_id, "sync")
            if self._dice.random() < 0.2:
                assert await self._syncs.defer(claimed, FAR, fetched)
                await self._read(connector_id, "sync")
                claimed = await self._begin(connector_id, sync_id, fetched)
        if self._dice.random() < 0.2:
            assert await self._syncs.cancel(connector_id, sync_id)
            await self._read(connector_id, "sync", (sync_id, "cancelled"))
            return
        end, status = self._dice.choice(
            [("success", "connected"), ("partial", before), ("failed", "error")]
        )
        entry = HistoryEntry(utc_now(), end, 3, 1, sync_id=sync_id, counts=tuple(fetched))
        assert await self._syncs.finish(claimed, Outcome(entry, 0, status))
        kind = "sync" if status == before else "connector"
        await self._read(connector_id, kind, (sync_id, end))

    async def _begin(
        self, connector_id: str, sync_id: str, done: list[DataTypeCount] | None = None
    ) -> Job[Connector]:
        now = utc_now()
        run: Document = {
            "syncId": sync_id, "dataTypes": ["profile", "trades", "portfolio"], "requestedAt": now,
            "beganAt": now, "startedAt": now,
            "done": [
                {"dataType": each.data_type, "recordsCount": 3, "addedCount": 1}
                for each in done or []
            ],
        }  # fmt: skip
        await self._raw.update_one(
            {"_id": ObjectId(connector_id)},
            {"$set": {"sync.run": run, "sync.dueAt": now + FAR}, "$inc": {"sync.fence": 1}},
        )
        begun = await self._read(connector_id, "sync")
        return Job(begun, ObjectId(begun.id), begun.sync.fence, abandoned=False)

    async def _renew(self, connector_id: str) -> None:
        connector = await self._get(connector_id)
        sealed = self._sealed(connector.user_id)
        renewed = await self._connectors.renew_session(connector, sealed)
        assert renewed is not None
        self._note(renewed, "connector")

    async def _expire(self, connector_id: str) -> None:
        """A run finds the session over; then a login begins a new one."""
        sync_id = new_sync_id()
        claimed = await self._begin(connector_id, sync_id)
        now = utc_now()
        entry = HistoryEntry(now, "failed", error_code="REAUTH_REQUIRED", sync_id=sync_id)
        error = ErrorEntry(
            error_code="REAUTH_REQUIRED", error_message="The session is over", occurred_at=now
        )
        ended = await self._connectors.expire(
            claimed.item, self._syncs.jobs.under_lease(claimed), entry, error
        )
        assert ended is not None
        self._note(ended, "connector", (sync_id, "failed"))
        begun = await self._connectors.begin_session(
            ended, self._sealed(ended.user_id), new_sync_id()
        )
        assert begun is not None
        self._note(begun, "connector")

    def _sealed(self, user_id: str) -> Any:
        """A session that ends at another moment than the one before."""
        sealed = self._sessions.seal(self._sessions.new_key(user_id, "zerodha"), self._session)
        ends = self._session.expires_at + timedelta(seconds=self._dice.randint(3_600, 80_000))
        self._session = PlatformSession("AB1234", "individual", ends, {"token": "hush"})
        return sealed

    async def _get(self, connector_id: str) -> Connector:
        connector = await self._connectors.get(connector_id)
        assert connector is not None
        return connector

    async def _read(
        self, connector_id: str, kind: str, ended: tuple[str, str] | None = None
    ) -> Connector:
        """Note a write that was acknowledged just now, and what it left."""
        moment = time.perf_counter()
        after = await self._get(connector_id)
        self._note(after, kind, ended, moment)
        return after

    def _note(
        self,
        after: Connector,
        kind: str,
        ended: tuple[str, str] | None = None,
        moment: float | None = None,
    ) -> None:
        run = None
        if after.sync.run is not None and kind != "deleted":
            waits = after.sync.run.started_at is None and after.sync.run.deferrals > 0
            done = tuple(count.data_type for count in after.sync.run.done)
            run = (after.sync.run.sync_id, "deferred" if waits else "in_progress", done)
        reported = (kind, after.status, run, ended)
        self._record.note(after.id, reported, moment or time.perf_counter())


@dataclass(frozen=True)
class Seen:
    token: str
    connector_id: str
    reported: Told
    at: float


def seen(event: dict[str, Any]) -> Seen:
    run, ended, connector = event.get("sync"), event.get("endedSync"), event["connector"]
    return Seen(
        event["resumeToken"],
        connector["id"],
        (
            event["type"],
            connector["connectionStatus"],
            run and (run["syncId"], run["state"], tuple(c["dataType"] for c in run["counts"])),
            ended and (ended["syncId"], ended["state"]),
        ),
        time.perf_counter(),
    )


@asynccontextmanager
async def over_rest(
    api: httpx.AsyncClient, token: str | None
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    async with watching(api, token=token) as events:
        yield (event.data async for event in events)


@asynccontextmanager
async def over_grpc(
    stubs: grpc.aio.Channel, token: str | None
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    request = watch_pb2.WatchConnectorsRequest(resume_token=token)
    call = ConnectorServiceStub(stubs).WatchConnectors(request)
    try:
        yield (
            json_format.MessageToDict(event, always_print_fields_with_no_presence=True)
            async for event in call
        )
    finally:
        call.cancel()


async def test_ten_thousand_events_over_twenty_reconnects(
    site: Ground, api: httpx.AsyncClient, stubs: grpc.aio.Channel, figures: Figures, full: bool
) -> None:
    events, reconnects = (10_000, 20) if full else (150, 3)
    dice = random.Random(20)  # noqa: S311 - the same scenario each time
    record = Record(events)
    breaks = sorted(dice.sample(range(1, events), reconnects))
    taken: list[Seen] = []

    everybody = f"watch_{uuid.uuid4().hex[:8]}"
    end = f"{everybody}_end"

    async with connected(
        settings(
            site.stack.mongodb_uri, "pymongo", db_name="financial_app", mongo_timeout_ms=30_000
        )
    ) as database:

        async def write() -> None:
            writers = [
                Writer(database, site.vault(database), everybody, record, random.Random(number))  # noqa: S311
                for number in range(WRITERS)
            ]
            await asyncio.gather(*(writer.write() for writer in writers))
            # All that was written before it must have come once this comes.
            last = {"userId": end, "platform": "zerodha"}
            await database.collection(CONNECTORS).insert_one(last)

        async def stand_by() -> list[str]:
            """Watch without a break: the tokens of all that was told."""
            tokens = []
            call = ConnectorServiceStub(stubs).WatchConnectors(watch_pb2.WatchConnectorsRequest())
            async for event in call:
                if event.type == "ready":
                    standing_by.release()
                if event.connector.user_id == end:
                    break
                if event.connector.user_id.startswith(everybody):
                    tokens.append(event.resume_token)
            call.cancel()
            return tokens

        standing_by = asyncio.Semaphore(0)
        bystanders = [asyncio.create_task(stand_by()) for _ in range(BYSTANDERS)]
        for _ in bystanders:
            await standing_by.acquire()
        writing: asyncio.Task[None] | None = None
        token: str | None = None
        # A writer that fails ends the waiting for what it would have written.
        async with asyncio.TaskGroup() as group:
            for number in range(reconnects + 1):
                stop = breaks[number] if number < reconnects else None
                opened = over_rest(api, token) if number % 2 else over_grpc(stubs, token)
                async with asyncio.timeout(TIMEOUT + events / 20), opened as stream:
                    async for event in stream:
                        token = event["resumeToken"]
                        if event["type"] == "ready":
                            writing = writing or group.create_task(write())
                            continue
                        user_id = event.get("connector", {}).get("userId", "")
                        if user_id == end:
                            break
                        if user_id.startswith(everybody):
                            taken.append(seen(event))
                            if len(taken) == stop:
                                break
        others = await asyncio.gather(*bystanders)
        await database.collection(CONNECTORS).delete_one({"userId": end})

    by_connector: dict[str, list[Seen]] = defaultdict(list)
    for each in taken:
        by_connector[each.connector_id].append(each)
    gaps = disorder = 0
    latencies = []
    for connector_id, expected in record.reported.items():
        got = by_connector.pop(connector_id, [])
        reported = [each.reported for each in got]
        gaps += sum(1 for each in expected if each not in reported)
        disorder += reported != expected
        for each, moment in zip(got, record.acknowledged[connector_id], strict=False):
            latencies.append(max(0.0, each.at - moment) * 1000)
    tokens = [each.token for each in taken]
    repeats = len(tokens) - len(set(tokens))
    cuts = quantiles(latencies, n=100)
    different = sum(other != tokens for other in others)
    figures.show("events", len(taken))
    figures.show("connectors", len(record.reported))
    figures.show("reconnects, SSE and gRPC in turn", reconnects)
    figures.show("gaps", gaps)
    figures.show("repeats", repeats)
    figures.show("connectors told out of order", disorder)
    figures.show(f"of {BYSTANDERS} who watched throughout, were told otherwise", different)
    figures.show("commit to delivery, ms: p50", cuts[49])
    figures.show("commit to delivery, ms: p95", cuts[94])
    figures.show("commit to delivery, ms: max", max(latencies))
    assert len(taken) >= events
    assert (gaps, repeats, disorder, different) == (0, 0, 0, 0)
    assert by_connector == {}
