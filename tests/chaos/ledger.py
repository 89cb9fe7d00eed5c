"""Every write to connectors and records in MongoDB's own order, and what must hold over all of them.

The change stream is read after the race, from a moment before it, so that watching slows nothing. A
connector's fields are put together from what each write changed: what is judged is every state that
ever was, not those a test happened to see.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from bson import ObjectId, Timestamp
from pymongo import AsyncMongoClient

from server.domains.connectors.connections.store import SYNC_JOBS

Json = dict[str, Any]
_DATABASE = "financial_app"
_END = "the end of the ledger"
# History is looked at in its own place, and long.
_SMALL: list[Json] = [
    {"$match": {"ns.coll": {"$in": ["connectors", "records", _END]}}},
    {
        "$project": {
            "ns.coll": 1,
            "operationType": 1,
            "documentKey": 1,
            "wallTime": 1,
            "removed": "$updateDescription.removedFields",
            "changed": {"$objectToArray": "$updateDescription.updatedFields"},
            "full.sync": "$fullDocument.sync",
            "full.connectorId": "$fullDocument.connectorId",
            "full.dataType": "$fullDocument.dataType",
            "full.seen": "$fullDocument.seen",
        }
    },
    {
        "$set": {
            "changed": {
                "$filter": {
                    "input": "$changed",
                    "cond": {
                        "$regexMatch": {
                            "input": "$$this.k",
                            "regex": "^(sync$|sync\\.|seen$|syncHistory$|syncHistory\\.0(\\.|$))",
                        }
                    },
                }
            }
        }
    },
]


class OnMongoDb(Protocol):
    """Where a MongoDB is."""

    @property
    def mongodb_uri(self) -> str: ...


@dataclass
class Leased:
    """One claim of a run: a worker's, from `at` until it was ended or taken over."""

    at: datetime
    fence: int


@dataclass
class Ran:
    """One run, from when it was wanted or claimed to its end."""

    connector_id: str
    sync_id: str
    data_types: tuple[str, ...] = ()  # what it is about
    leases: list[Leased] = field(default_factory=list)
    ended_at: datetime | None = None  # as MongoDB wrote it
    taken_over: bool = False  # it was ended by another worker's claim
    # Records by data type that it brought in, and those it saw.
    added: Counter[str] = field(default_factory=Counter)
    seen: int = 0


@dataclass
class Ledger:
    """What happened, and `wrong`: each thing that must never happen, by its kind."""

    runs: dict[str, Ran] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    writes: int = 0
    ended: Counter[str] = field(default_factory=Counter)  # runs of each connector

    _state: dict[ObjectId, Json] = field(default_factory=dict)
    _record_types: dict[ObjectId, tuple[str, str]] = field(default_factory=dict)

    @property
    def leases(self) -> int:
        return sum(len(run.leases) for run in self.runs.values())

    def take(self, event: Mapping[str, Any]) -> None:
        self.writes += 1
        if event["ns"]["coll"] == "records":
            self._record(event)
        else:
            self._connector(event)

    # -- connectors

    def _connector(self, event: Mapping[str, Any]) -> None:
        key = event["documentKey"]["_id"]
        before = self._state.get(key, {})
        if event["operationType"] == "delete":
            del self._state[key]
            return
        full = event.get("full") or {}
        changed = {pair["k"]: pair["v"] for pair in event.get("changed") or ()}
        if "sync" in full:
            after = {"sync": full["sync"]}
        else:
            after = _applied(before, changed, event.get("removed") or ())
        self._state[key] = after
        self._judge(
            str(key), before.get("sync") or {}, after.get("sync") or {}, changed, event["wallTime"]
        )

    def _judge(
        self, connector_id: str, before: Json, after: Json, changed: Json, at: datetime
    ) -> None:
        old, new = before.get("run") or {}, after.get("run") or {}
        old_id, new_id = old.get("syncId"), new.get("syncId")
        claimed = "startedAt" in new and new["startedAt"] != old.get("startedAt")
        rise = after.get("fence", 0) - before.get("fence", 0)
        where = f"{connector_id} at {at.isoformat()}"

        if rise not in {0, 1}:
            self.wrong["fence moved by other than one"].append(f"{where}: {rise}")
        ended = 0
        if old_id is not None and old_id != new_id:
            ended = 1
            # A claim ends the run that a worker left, whether or not it begins another.
            self._end(connector_id, old_id, at, taken_over="startedAt" in old and rise == 1)
            reported = _newest_sync_id(changed)
            if reported != old_id:
                self.wrong["another run than the ended one told"].append(f"{where}: {reported}")
        if after.get("total", 0) - before.get("total", 0) != ended:
            self.wrong["a run ended uncounted, or counted twice"].append(where)
        if new_id is not None and new_id != old_id:
            if new_id in self.runs:
                self.wrong["a run began twice"].append(f"{where}: {new_id}")
            self.runs[new_id] = Ran(connector_id, new_id)
        if claimed and new_id is not None:
            self.runs[new_id].leases.append(Leased(new["startedAt"], after["fence"]))
            self.runs[new_id].data_types = tuple(new["dataTypes"])
            if rise != 1:
                self.wrong["a claim under the fence before it"].append(where)
            # A lease lapses by MongoDB's clock; a connector is due by its worker's.
            taken = "startedAt" in old
            claimed_at = after["dueAt"] - SYNC_JOBS.lease if taken else new["startedAt"]
            if before.get("dueAt") is None or before["dueAt"] > claimed_at:
                kind = "two unexpired leases" if taken else "claimed before it was due"
                self.wrong[kind].append(f"{where}: {before.get('dueAt')} {claimed_at}")
        elif "startedAt" in old and "startedAt" not in new and not ended and rise != 1:
            self.wrong["a run handed back under the fence before it"].append(where)

    def _end(self, connector_id: str, sync_id: str, at: datetime, *, taken_over: bool) -> None:
        run = self.runs[sync_id]
        if run.ended_at is not None:
            self.wrong["a run ended twice"].append(sync_id)
        run.ended_at, run.taken_over = at, taken_over
        self.ended[connector_id] += 1

    # -- records

    def _record(self, event: Mapping[str, Any]) -> None:
        key = event["documentKey"]["_id"]
        if event["operationType"] == "insert":
            full = event["full"]
            self._record_types[key] = (full["connectorId"], full["dataType"])
            self._seen(key, full["seen"], new=True)
        for pair in event.get("changed") or ():
            if pair["k"] == "seen":
                self._seen(key, pair["v"], new=False)

    def _seen(self, key: ObjectId, sync_id: str, *, new: bool) -> None:
        """A run wrote a record: only one that is under way may, of its own connector."""
        connector_id, data_type = self._record_types[key]
        run = self.runs.get(sync_id)
        if run is None or run.connector_id != connector_id:
            self.wrong["a record of no run"].append(f"{key}: {sync_id}")
            return
        if run.ended_at is not None:
            self.wrong["a record written after its run had ended"].append(f"{key}: {sync_id}")
        run.seen += 1
        if new:
            run.added[data_type] += 1

    # -- in the end

    def reported(self) -> list[str]:
        """What went wrong, for people."""
        return [f"{kind}: {len(cases)}, as {cases[0][:1000]}" for kind, cases in self.wrong.items()]

    def open_runs(self) -> list[Ran]:
        return [run for run in self.runs.values() if run.ended_at is None]

    def taken_over(self) -> Iterator[Ran]:
        return (run for run in self.runs.values() if run.taken_over)


def _applied(state: Json, changed: Mapping[str, Any], removed: Any) -> Json:
    """The state with what one write changed of `sync`."""
    after: Json = {"sync": dict(state.get("sync") or {})}
    if isinstance(after["sync"].get("run"), dict):
        after["sync"]["run"] = dict(after["sync"]["run"])
    for path, value in changed.items():
        _put(after, path.split("."), value)
    for path in removed:
        *way, last = path.split(".")
        if way and way[0] == "sync":
            place = after
            for step in way:
                place = place.get(step) or {}
            place.pop(last, None)
    return after


def _put(place: Json, way: list[str], value: Any) -> None:
    if way[0] != "sync":
        return
    for step in way[:-1]:
        below: Any = place.setdefault(step, {})
        if not isinstance(below, dict):
            return  # inside a list: what a run has done, which is not judged here
        place = below
    place[way[-1]] = value


def _newest_sync_id(changed: Mapping[str, Any]) -> str | None:
    """Which run a write put first in the history, however MongoDB describes the change."""
    if "syncHistory" in changed:
        newest = changed["syncHistory"][0]
    else:
        newest = changed.get("syncHistory.0") or {"syncId": changed.get("syncHistory.0.syncId")}
    found: str | None = newest.get("syncId")
    return found


async def moment(stack: OnMongoDb) -> Timestamp:
    """Now, as MongoDB counts."""
    async with _client(stack) as client:
        hello = await client.admin.command("hello")
        now: Timestamp = hello["lastWrite"]["opTime"]["ts"]
    return now


async def ledger(stack: OnMongoDb, since: Timestamp) -> Ledger:
    """All that was written since, up to now."""
    kept = Ledger()
    async for event in _events(stack, since):
        kept.take(event)
    return kept


async def _events(stack: OnMongoDb, since: Timestamp) -> AsyncIterator[Mapping[str, Any]]:
    async with _client(stack) as client:
        # The stream has come to now once it gives what is written now.
        await client[_DATABASE][_END].insert_one({})
        async with await client[_DATABASE].watch(
            _SMALL, start_at_operation_time=since, batch_size=5_000
        ) as stream:
            async for event in stream:
                if event["ns"]["coll"] == _END:
                    return
                yield event


def _client(stack: OnMongoDb) -> AsyncMongoClient[Json]:
    return AsyncMongoClient(stack.mongodb_uri, tz_aware=True)
