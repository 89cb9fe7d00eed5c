"""Counters: how many documents of a collection there are by the values of a few fields; see README.md."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias

from pymongo import IndexModel, timeout
from pymongo.errors import DuplicateKeyError, OperationFailure

from server.core.clock import utc_now
from server.storage.driver import ClientSession, Database, Document

# The collections and the field have their first names.
COUNTERS = "tallies"
REMOVALS = "tally_removals"
COUNTED_AS = "tallied"
INDEX = "tally"
BATCH = 1_000
INDEXES: Mapping[str, Sequence[IndexModel]] = {REMOVALS: [IndexModel(["tally", "key"])]}
_RECOUNT_SECONDS = 120.0  # it reads an index key of each document
_SNAPSHOT_UNAVAILABLE = 246

# The values of a document's fields, None for one it lacks.
Values: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class CounterSpec:
    """The documents of `collection` by the fields `by`, each with the values it is expected to have.

    None stands for a field that is missing or null. Documents with other values are counted one by one.
    """

    collection: str
    by: Mapping[str, Sequence[str | None]]

    @property
    def index(self) -> IndexModel:
        return IndexModel([*self.by, COUNTED_AS], name=INDEX)

    @cached_property
    def expected(self) -> dict[str, Values]:
        """The counts of a document, by its text in `tallied`."""
        return {
            "/".join(value or "" for value in values): values
            for values in itertools.product(*self.by.values())
        }

    @cached_property
    def misplaced(self) -> Document:
        """The filter for documents whose counts are not current."""
        return {
            "$or": [
                {**dict(zip(self.by, values, strict=True)), COUNTED_AS: {"$ne": key}}
                for key, values in self.expected.items()
            ]
        }

    @cached_property
    def unexpected(self) -> list[Document]:
        """The filter for documents with other values."""
        found: list[Document] = []
        before: Document = {}
        for name, values in self.by.items():
            found.append({**before, name: {"$nin": list(values)}})
            before[name] = {"$in": list(values)}
        return found


class Counters:
    """The counters of one collection in MongoDB. Driver errors pass through."""

    def __init__(self, database: Database, spec: CounterSpec) -> None:
        self._database = database
        self._spec = spec
        self._counted = database.collection(spec.collection)
        self._counters = database.collection(COUNTERS)
        self._removals = database.collection(REMOVALS)

    @property
    def name(self) -> str:
        return self._spec.collection

    async def totals(self) -> dict[Values, int]:
        """How many documents there are with each of the values, at this moment."""
        return (await self._read()).totals

    async def _read(self) -> _State:
        fields = {name: f"${name}" for name in (*self._spec.by, COUNTED_AS)}
        rows: list[Document] = [
            {"$match": {"$or": [*self._spec.misplaced["$or"], *self._spec.unexpected]}},
            {"$group": {"_id": fields, "n": {"$sum": 1}}},
        ]
        try:
            found = await self._database.aggregate(
                self._counted, [*rows, *self._kept()], hint=INDEX, snapshot=True
            )
        except OperationFailure as error:
            if error.code != _SNAPSHOT_UNAVAILABLE:  # for a moment after a collection was made
                raise
            return _State(Counter(await self.count()))
        state = _State()
        for row in found:
            if self._take_kept(row, state):
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

    def _take_kept(self, row: Document, state: _State) -> bool:
        """Whether this row is one of `_kept`, and adds what it says."""
        if "removed" in row:
            self._add(state, row["_id"], -row["removed"])
            state.waiting += row["removed"]
        elif row["_id"] == self.name:
            for key, count in row.get("counts", {}).items():
                self._add(state, key, count)
            state.recounts, state.recounted_at = row.get("recounts"), row.get("recountedAt")
        else:
            return False
        return True

    def _add(self, state: _State, key: object, count: int) -> None:
        """`key` is a text in `tallied`; what is none of the counters' own counts nothing."""
        values = self._spec.expected.get(key) if isinstance(key, str) else None
        if values is not None:
            state.counts[values] += count

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
            if document.get(COUNTED_AS) in self._spec.expected
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
        found = self._counted.find(self._spec.misplaced, {"_id": 1}).hint(INDEX).limit(1)
        if await found.to_list(1):
            return True
        return await self._removals.find_one({"tally": self.name}) is not None

    async def roll_up_some(self) -> int:
        """Count some of what has changed; how many changes it was, less than BATCH where none is left."""
        return await self._database.transact(self._roll_up)

    async def _roll_up(self, session: ClientSession) -> int:
        fields = dict.fromkeys((*self._spec.by, COUNTED_AS), 1)
        cursor = self._counted.find(self._spec.misplaced, fields, session=session)
        documents = await cursor.hint(INDEX).limit(BATCH).to_list(None)
        notes = await self._removals.find({"tally": self.name}, session=session).to_list(BATCH)
        changes: Counter[str] = Counter()
        moved: dict[str, list[Any]] = {}
        key_of = {values: key for key, values in self._spec.expected.items()}
        for document in documents:
            key = key_of[tuple(document.get(name) for name in self._spec.by)]
            moved.setdefault(key, []).append(document["_id"])
            changes[key] += 1
            if document.get(COUNTED_AS) in self._spec.expected:
                changes[document[COUNTED_AS]] -= 1
        changes.subtract(note["key"] for note in notes)
        # Who changes one of these meanwhile makes this transaction begin again, or waits for its end.
        for key, ids in moved.items():
            await self._counted.update_many(
                {"_id": {"$in": ids}}, {"$set": {COUNTED_AS: key}}, session=session
            )
        if notes:
            gone = {"_id": {"$in": [note["_id"] for note in notes]}}
            await self._removals.delete_many(gone, session=session)
        if added := {f"counts.{key}": count for key, count in changes.items() if count}:
            await self._counters.update_one(
                {"_id": self.name}, {"$inc": added}, upsert=True, session=session
            )
        return max(len(documents), len(notes))

    async def recount(self) -> dict[str, int]:
        """Count all again and put right what is wrong; how much that was.

        It finds what another program removed, or wrote with a `tallied` of its own. The difference is
        computed in one snapshot and added afterwards: changes in between move both sides by the same amount.
        """
        pipeline = [
            {"$group": {"_id": {COUNTED_AS: f"${COUNTED_AS}"}, "n": {"$sum": 1}}},
            *self._kept(),
        ]
        with timeout(_RECOUNT_SECONDS):
            found = await self._database.aggregate(
                self._counted, pipeline, hint=INDEX, snapshot=True
            )
        state, right = _State(), _State()
        for row in found:
            if not self._take_kept(row, state):
                self._add(right, row["_id"].get(COUNTED_AS), row["n"])
        wrong = {
            key: difference
            for key, values in self._spec.expected.items()
            if (difference := right.counts[values] - state.counts[values])
        }
        recounted = {"recounts": (state.recounts or 0) + 1, "recountedAt": utc_now()}
        update: Document = {"$set": recounted}
        if wrong:
            update["$inc"] = {f"counts.{key}": count for key, count in wrong.items()}
        try:
            await self._counters.update_one(
                {"_id": self.name, "recounts": state.recounts}, update, upsert=True
            )
        except DuplicateKeyError:  # another process has done the same meanwhile
            return {}
        return wrong


@dataclass
class _State:
    """Counters as they were read."""

    counts: Counter[Values] = field(default_factory=Counter)
    waiting: int = 0
    recounts: int | None = None
    recounted_at: datetime | None = None

    @property
    def totals(self) -> dict[Values, int]:
        return {values: count for values, count in self.counts.items() if count}
