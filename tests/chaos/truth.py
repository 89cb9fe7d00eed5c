"""Whether what Finlink keeps of runs is true: history against the sandbox's own log of calls."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from server.core.clock import utc_now
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.records.documents import record_document
from server.domains.connectors.records.store import RECORDS
from server.platforms.base import Platform
from server.storage.driver import Database
from tests.chaos.herd import Member
from tests.chaos.ledger import Ledger, Ran
from tests.chaos.pack import Pack
from tests.platforms.adapters import fi_money_at, zerodha_at
from tests.sandbox.accounts import Accounts

Json = dict[str, Any]
# The calls that fetch a data type.
CALLS: Mapping[tuple[str, str], Collection[str]] = {
    ("fi_money", "transactions"): {"fetch_bank_transactions"},
    ("fi_money", "portfolio"): {"fetch_net_worth", "fetch_epf_details"},
    ("fi_money", "trades"): {"fetch_stock_transactions", "fetch_mf_transactions"},
    ("fi_money", "profile"): {"fetch_credit_report", "fetch_bank_transactions"},
    ("zerodha", "portfolio"): {
        "/portfolio/holdings", "/portfolio/positions", "/mf/holdings", "/user/margins",
    },
    ("zerodha", "trades"): {"/trades", "/mf/orders"},
    ("zerodha", "profile"): {"/user/profile"},
}  # fmt: skip
PLATFORM_FAILURES = {"PLATFORM_UNAVAILABLE", "PLATFORM_THROTTLED", "PLATFORM_DATA_ERROR"}
_HARMLESS = {"slow", "partial"}
_PAGE = 20_000
# MongoDB's clock and the sandbox's log both count milliseconds, rounded each in its way.
_ROUNDING = timedelta(milliseconds=5)
_LATE = timedelta(seconds=2)


@dataclass(frozen=True)
class Outage:
    """A time when MongoDB did not answer."""

    kind: str
    began: datetime
    ended: datetime

    def __str__(self) -> str:
        return f"{self.kind} of {(self.ended - self.began).total_seconds():.1f} s"


@dataclass(frozen=True)
class Call:
    name: str
    at: datetime
    end: datetime | None
    status: int | None
    good: bool
    whole: bool  # all rows, not a part of them


def calls_of(sandbox: Accounts) -> Mapping[tuple[str, str], Sequence[Call]]:
    """All data calls that the sandbox saw, by platform and login."""
    found: defaultdict[tuple[str, str], list[Call]] = defaultdict(list)
    after = 0
    while True:
        page = sandbox.calls(after=after, limit=_PAGE)
        assert page["discarded"] == 0
        for call in page["calls"]:
            found[call["platform"], call["login"]].append(_call(call))
        if len(page["calls"]) < _PAGE:
            return found
        after = page["calls"][-1]["id"]


def _call(entry: Mapping[str, Any]) -> Call:
    faults = set(entry["faults"])
    good = entry["status"] == 200 and entry["outcome"] == "replied" and entry["refusal"] is None
    end = entry["real_end"]
    return Call(
        entry["call"],
        datetime.fromtimestamp(entry["real_at"] / 1000, UTC),
        None if end is None else datetime.fromtimestamp(end / 1000, UTC),
        entry["status"],
        good and faults <= _HARMLESS,
        "partial" not in faults,
    )


class Judge:
    """Compares each connector with ledger and log; what is not true goes into `ledger.wrong`."""

    def __init__(
        self,
        ledger: Ledger,
        calls: Mapping[tuple[str, str], Sequence[Call]],
        pack: Pack,
        outages: Sequence[Outage] = (),
    ) -> None:
        """`outages` of MongoDB break runs off as well."""
        self._ledger = ledger
        self._calls = calls
        self._pack = pack
        self._outages = outages
        self._ran: defaultdict[str, list[Ran]] = defaultdict(list)
        for run in ledger.runs.values():
            if run.ended_at is not None:
                self._ran[run.connector_id].append(run)
        self.states: Counter[str] = Counter()
        self.longest_takeover = 0.0

    async def judge(self, database: Database, members: Mapping[str, Member]) -> None:
        documents = await database.collection(CONNECTORS).find({}).to_list(None)
        for document in documents:
            if member := members.get(str(document["_id"])):
                self._connector(document, member)

    def _wrong(self, kind: str, what: object) -> None:
        self._ledger.wrong[kind].append(str(what))

    def _connector(self, document: Json, member: Member) -> None:
        history, sync = document["syncHistory"], document["sync"]
        ran = sorted(self._ran[member.connector_id], key=lambda run: run.ended_at or utc_now())
        if [entry["syncId"] for entry in history] != [run.sync_id for run in reversed(ran)]:
            self._wrong("history is not what ran", member.connector_id)
            return
        statuses = Counter(entry["status"] for entry in history)
        totals = (sync.get("total", 0), sync.get("successful", 0), sync.get("failed", 0))
        if totals != (len(history), statuses["success"], statuses["failed"]):
            self._wrong("totals are not what ran", f"{member.connector_id}: {totals}")
        for entry, run in zip(history, reversed(ran), strict=True):
            self.states[entry.get("errorCode") or entry["status"]] += 1
            if entry["status"] == "partial":
                self.states["partial"] += 1
            if untrue := self._untrue(entry, run, member):
                self._wrong("a history entry that is not true", f"{untrue}: {entry}")

    def _untrue(self, entry: Json, run: Ran, member: Member) -> str | None:
        """What is wrong with a history entry, if anything."""
        if run.taken_over != (entry.get("errorCode") == "RUN_ABANDONED"):
            return "abandoned is not what was taken over"
        if run.taken_over:
            return self._untrue_death(run)
        if not run.leases or entry["startedAt"] != run.leases[0].at:
            return "began at another time"
        calls = [
            call
            for call in self._calls.get((member.platform, member.login), ())
            if entry["startedAt"] - _ROUNDING <= call.at
            and (call.end or call.at) <= entry["syncedAt"] + _ROUNDING
        ]
        return _untrue_counts(entry, run, member, calls) or _untrue_status(entry, run, calls)

    def _untrue_death(self, run: Ran) -> str | None:
        if run.ended_at is None or not run.leases:
            return "abandoned, and never begun"
        leased = run.leases[-1].at
        death = self._pack.death_of(run.sync_id, leased, run.ended_at)
        if death is None:
            # A lease taken just as an outage ends may be one whose worker had stopped waiting for it.
            near = [
                o for o in self._outages if o.began <= run.ended_at and o.ended + _LATE > leased
            ]
            death = max((outage.ended for outage in near), default=None)
        if death is None:
            return "no worker of it died"
        self.longest_takeover = max(
            self.longest_takeover, (run.ended_at - max(death, leased)).total_seconds()
        )
        return None


def _untrue_counts(entry: Json, run: Ran, member: Member, calls: Sequence[Call]) -> str | None:
    good = {call.name for call in calls if call.good}
    in_part = {each["dataType"] for each in entry.get("missing", ())}
    for count in entry["counts"]:
        data_type = count["dataType"]
        calls_of_it = set(CALLS[member.platform, data_type])
        if not (good & calls_of_it if data_type in in_part else good >= calls_of_it):
            return f"{data_type} was never answered"
        if count["addedCount"] != run.added[data_type]:
            return f"added {dict(run.added)} in truth"
    return None


def _untrue_status(entry: Json, run: Ran, calls: Sequence[Call]) -> str | None:
    fetched = {count["dataType"] for count in entry["counts"]}
    in_part = {each["dataType"] for each in entry.get("missing", ())}
    lacking = (set(run.data_types) - fetched) | in_part
    status = "success" if not lacking else "partial" if fetched else "failed"
    if entry["status"] != status:
        return f"{status} in truth"
    if not lacking:
        return None
    if entry.get("errorCode") not in PLATFORM_FAILURES:
        return "a failure that no platform caused"
    return None if any(not call.good for call in calls) else "the platform failed nothing"


async def compare_records(
    database: Database, sandbox: Accounts, members: Sequence[Member], ledger: Ledger
) -> int:
    """Every field of every record of some connectors, beside what the platforms' adapters read now.

    Gives the number of records compared. What was missed or kept twice goes into `ledger.wrong`.
    """
    running = sandbox.sandbox
    platforms: dict[str, Platform] = {
        "fi_money": fi_money_at(f"{running.fi_money}/mcp/stream", hash_key=b"chaos"),
        "zerodha": zerodha_at(running.zerodha, running.zerodha),
    }
    room = asyncio.Semaphore(8)

    async def one(member: Member) -> int:
        async with room, platforms[member.platform].reading(member.session) as reading:
            wanted = {
                (data_type, item.key): record_document(item.record)
                for data_type in member.data_types
                for item in (await reading.fetch(data_type)).contents().items
            }
        found = await database.collection(RECORDS).find(
            {
                "connectorId": member.connector_id,
                "closedAt": {"$exists": False}, "withdrawnAt": {"$exists": False},
            }
        ).to_list(None)  # fmt: skip
        kept = {(record["dataType"], record["key"]): record["data"] for record in found}
        if kept != wanted or len(found) != len(wanted):
            other = [(k, kept.get(k), wanted.get(k)) for k in kept.keys() | wanted.keys()]
            newest = await database.collection(CONNECTORS).find_one(
                {"_id": ObjectId(member.connector_id)}, {"syncHistory": {"$slice": 1}, "sync": 1}
            )
            ledger.wrong["records are not what the platform has"].append(
                f"{member.login}: kept {len(found)}, there are {len(wanted)}, "
                f"such as {next(each for each in other if each[1] != each[2])}; {newest}"
            )
        return len(found)

    try:
        return sum(await asyncio.gather(*[one(member) for member in members]))
    finally:
        for platform in platforms.values():
            await platform.aclose()


async def run_once_more(database: Database, members: Sequence[Member]) -> None:
    """Have each of these connectors sync whole now that nothing is in the way.

    A busy machine may let a platform's reply come too late, so some get a second and a third run.
    """
    ids = [ObjectId(member.connector_id) for member in members]
    for _ in range(3):
        await _run(database, ids)
        in_part = {"_id": {"$in": ids}, "syncHistory.0.status": {"$ne": "success"}}
        found = await database.collection(CONNECTORS).find(in_part, {"_id": 1}).to_list(None)
        if not (ids := [each["_id"] for each in found]):
            return


async def _run(database: Database, ids: Sequence[ObjectId]) -> None:
    connectors = database.collection(CONNECTORS)
    before = await connectors.find({"_id": {"$in": ids}}, {"sync.total": 1}).to_list(None)
    wanted = {found["_id"]: found["sync"].get("total", 0) + 1 for found in before}
    await connectors.update_many(
        {"_id": {"$in": ids}, "sync.run": {"$exists": False}},
        [{"$set": {"sync.auto": True, "sync.dueAt": "$$NOW", "connectionStatus": "connected"}}],
    )
    while True:
        now = await connectors.find({"_id": {"$in": ids}}, {"sync.total": 1}).to_list(None)
        if all(found["sync"].get("total", 0) >= wanted[found["_id"]] for found in now):
            return
        await asyncio.sleep(0.1)
