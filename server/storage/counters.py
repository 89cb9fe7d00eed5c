"""Counters: how many documents of a collection there are by the values of a few fields; see README.md."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from pymongo import IndexModel, timeout
from pymongo.errors import DuplicateKeyError, OperationFailure

from server.core.clock import utc_now
from server.storage.counter_spec import COUNTED_AS, CounterSpec, Values
from server.storage.driver import ClientSession, Database, Document

# The collections have their first names.
COUNTERS = "tallies"
REMOVALS = "tally_removals"
# Changes of these documents wait until a batch is committed, which must be soon on a slow machine, too.
BATCH = 200
INDEXES: Mapping[str, Sequence[IndexModel]] = {REMOVALS: [IndexModel(["tally", "key"])]}
_RECOUNT_SECONDS = 120.0  # it reads an index key of each document
_SNAPSHOT_UNAVAILABLE = 246


class SumsReplaced(Exception):
    """The sums of a collection were removed, or others have taken their place."""


class Counters:
    """The counters of one collection in MongoDB. Driver errors pass through."""

    def __init__(self, database: Database, spec: CounterSpec) -> None:
        self._database = database
        self._spec = spec
        self._counted = database.collection(spec.collection)
        self._counters = database.collection(COUNTERS)
        self._removals = database.collection(REMOVALS)
        self._epoch: str | None = None  # of the sums as they were last seen

    @property
    def name(self) -> str:
        return self._spec.collection

    async def begin(self) -> str:
        """The epoch of the sums, which are made where they are not there."""
        if await self._see() is None:
            made = {"epoch": secrets.token_hex(3), "counts": {}}
            with suppress(DuplicateKeyError):  # another process has done the same meanwhile
                await self._counters.update_one(
                    {"_id": self.name, "epoch": {"$exists": False}}, {"$set": made}, upsert=True
                )
        return self._epoch or str(await self._see())

    async def _see(self) -> str | None:
        found = await self._counters.find_one({"_id": self.name}, {"epoch": 1})
        self._epoch = found.get("epoch") if found else None
        return self._epoch

    async def totals(self) -> dict[Values, int]:
        """How many documents there are with each of the values, at this moment."""
        return (await self._read()).totals

    async def _read(self) -> _State:
        if self._epoch is None:
            await self._see()
        state = await self._read_with(self._epoch)
        if state.epoch != self._epoch:  # other sums have taken their place
            self._epoch = state.epoch
            state = await self._read_with(state.epoch)
        return state

    async def _read_with(self, epoch: str | None) -> _State:
        fields = {name: f"${name}" for name in (*self._spec.by, COUNTED_AS)}
        rows: list[Document] = [
            {"$match": {"$or": [*self._spec.uncounted(epoch)["$or"], *self._spec.unexpected]}},
            {"$group": {"_id": fields, "n": {"$sum": 1}}},
        ]
        try:
            found = await self._database.aggregate(
                self._counted, [*rows, *self._kept()], hint=self._spec.index_name, snapshot=True
            )
        except OperationFailure as error:
            if error.code != _SNAPSHOT_UNAVAILABLE:  # for a moment after a collection was made
                raise
            return _State(Counter(await self.count()), epoch=epoch)
        state = _State()
        self._take_kept(found, state)
        for row in found:
            if "n" not in row:
                continue
            values = tuple(row["_id"].get(name) for name in self._spec.by)
            state.counts[values] += row["n"]
            self._add(state, row["_id"].get(COUNTED_AS), -row["n"])
            if values in self._spec.expected.values():
                state.waiting += row["n"]
        return state

    def _kept(self) -> list[Document]:
        """The totals' other parts beside the documents, to be read in the same snapshot."""
        removed = [
            {"$match": {"tally": self.name}},
            {"$group": {"_id": "$key", "removed": {"$sum": 1}}},
        ]
        return [
            {"$unionWith": {"coll": COUNTERS, "pipeline": [{"$match": {"_id": self.name}}]}},
            {"$unionWith": {"coll": REMOVALS, "pipeline": removed}},
        ]

    def _take_kept(self, rows: Sequence[Document], state: _State) -> None:
        """Add what those of `_kept` say: the sums first, which say whose the removals are."""
        for row in rows:
            if row["_id"] == self.name:
                state.epoch = row.get("epoch")
                for name, count in row.get("counts", {}).items() if state.epoch else ():
                    if name in self._spec.expected:
                        state.counts[self._spec.expected[name]] += count
                state.recounts, state.recounted_at = row.get("recounts"), row.get("recountedAt")
        for row in rows:
            if "removed" in row:
                self._add(state, row["_id"], -row["removed"])
                state.waiting += row["removed"]

    def _add(self, state: _State, mark: object, count: int) -> None:
        """A mark that these sums do not have counts nothing."""
        name = self._spec.name_of(mark, state.epoch)
        if name is not None:
            state.counts[self._spec.expected[name]] += count

    async def count(self) -> dict[Values, int]:
        """The same by counting every document: slow where there are many."""
        fields = {name: f"${name}" for name in self._spec.by}
        rows = await self._database.aggregate(
            self._counted, [{"$group": {"_id": fields, "n": {"$sum": 1}}}]
        )
        totals: Counter[Values] = Counter()
        for row in rows:
            totals[tuple(row["_id"].get(name) for name in self._spec.by)] += row["n"]
        return dict(totals)

    async def leave(self, documents: Sequence[Mapping[str, Any]], session: ClientSession) -> None:
        """Note that these were removed, in the transaction that does so."""
        notes = [
            {"tally": self.name, "key": document[COUNTED_AS]}
            for document in documents
            if isinstance(document.get(COUNTED_AS), str)
        ]
        if notes:
            await self._removals.insert_many(notes, session=session)

    async def waiting(
        self, seen: Callable[[Mapping[Values, int]], None] = lambda _: None
    ) -> tuple[int, datetime | None]:
        """How many changes there are to count, and when all was last counted.

        `seen` gets the totals by the way, with a 0 for each of the expected values that has none.
        """
        state = await self._read()
        seen({**dict.fromkeys(self._spec.expected.values(), 0), **state.totals})
        return state.waiting, state.recounted_at

    async def has_waiting(self) -> bool:
        """Whether there is any change to count, known from the first that is found."""
        uncounted = self._spec.uncounted(await self._see())
        found = self._counted.find(uncounted, {"_id": 1}).hint(self._spec.index_name).limit(1)
        if await found.to_list(1):
            return True
        return await self._removals.find_one({"tally": self.name}) is not None

    async def roll_up_some(self) -> int:
        """Count some of what has changed; how many changes it was, less than BATCH where none is left."""
        epoch = await self.begin()
        return await self._database.transact(partial(self._roll_up, epoch))

    async def _roll_up(self, epoch: str, session: ClientSession) -> int:
        spec = self._spec
        fields = dict.fromkeys((*spec.by, COUNTED_AS), 1)
        cursor = self._counted.find(spec.uncounted(epoch), fields, session=session)
        documents = await cursor.hint(self._spec.index_name).limit(BATCH).to_list(None)
        notes = await self._removals.find({"tally": self.name}, session=session).to_list(BATCH)
        changes: Counter[str] = Counter()
        moved: dict[str, list[Any]] = {}
        name_of = {values: name for name, values in spec.expected.items()}
        for document in documents:
            name = name_of[tuple(document.get(field) for field in spec.by)]
            moved.setdefault(name, []).append(document["_id"])
            changes[name] += 1
        gone = [*documents, *({COUNTED_AS: note["key"]} for note in notes)]
        before = (spec.name_of(each.get(COUNTED_AS), epoch) for each in gone)
        changes.subtract(name for name in before if name is not None)
        # Who changes one of these meanwhile makes this transaction begin again, or waits for its end.
        for name, ids in moved.items():
            marked = {"$set": {COUNTED_AS: spec.mark(name, epoch)}}
            await self._counted.update_many({"_id": {"$in": ids}}, marked, session=session)
        if notes:
            counted = {"_id": {"$in": [note["_id"] for note in notes]}}
            await self._removals.delete_many(counted, session=session)
        await self.add(changes, epoch, session)
        return max(len(documents), len(notes))

    async def add(
        self, counts: Mapping[str, int], epoch: str, session: ClientSession | None = None
    ) -> None:
        """Add to sums by their names. Raises SumsReplaced where they are no longer of that epoch."""
        added = {f"counts.{name}": count for name, count in counts.items() if count}
        result = await self._counters.update_one(
            {"_id": self.name, "epoch": epoch},
            {"$inc": added} if added else {"$set": {"epoch": epoch}},
            session=session,
        )
        if not result.matched_count:
            raise SumsReplaced(self.name)

    async def recount(self) -> dict[str, int]:
        """Count all again and put right what is wrong; how much that was.

        It finds what another program removed, or wrote with the mark of another document. The difference is
        computed in one snapshot and added afterwards: changes in between move both sides by the same amount.
        """
        epoch = await self.begin()
        pipeline = [
            {"$group": {"_id": {COUNTED_AS: f"${COUNTED_AS}"}, "n": {"$sum": 1}}},
            *self._kept(),
        ]
        with timeout(_RECOUNT_SECONDS):
            found = await self._database.aggregate(
                self._counted, pipeline, hint=self._spec.index_name, snapshot=True
            )
        state, right = _State(), _State(epoch=epoch)
        self._take_kept(found, state)
        for row in found:
            if "n" in row:
                self._add(right, row["_id"].get(COUNTED_AS), row["n"])
        wrong = {
            name: difference
            for name, values in self._spec.expected.items()
            if (difference := right.counts[values] - state.counts[values])
        }
        recounted = {"recounts": (state.recounts or 0) + 1, "recountedAt": utc_now()}
        update: Document = {"$set": recounted}
        if wrong:
            update["$inc"] = {f"counts.{name}": count for name, count in wrong.items()}
        result = await self._counters.update_one(
            {"_id": self.name, "epoch": epoch, "recounts": state.recounts}, update
        )
        # Otherwise another process has done the same meanwhile.
        return wrong if result.matched_count else {}


@dataclass
class _State:
    """Counters as they were read."""

    counts: Counter[Values] = field(default_factory=Counter)
    epoch: str | None = None
    waiting: int = 0
    recounts: int | None = None
    recounted_at: datetime | None = None

    @property
    def totals(self) -> dict[Values, int]:
        return {values: count for values, count in self.counts.items() if count > 0}
