"""Tallies: whatever is done to documents, by whom and when it is folded, a total is a count."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo.errors import PyMongoError

from server.core.clock import utc_now
from server.storage import folding
from server.storage.claims import Claims
from server.storage.driver import Database, Document, Session
from server.storage.folding import RECOUNT_EACH, Folder
from server.storage.indexes import ensure_indexes
from server.storage.tallies import BATCH, INDEX, REMOVALS, TALLIED, TALLIES, Tallies, Tally, Values
from tests.domains.connectors.waiting import eventually

THINGS = "things"
SHAPES = ("round", "square")
COLOURS = ("red", "blue", None)
TALLY = Tally(THINGS, {"shape": SHAPES, "colour": COLOURS})
STRANGE: tuple[Any, ...] = ("green", 5, "")


@pytest.fixture
async def things(database: Database) -> Tallies:
    await ensure_indexes(database, {THINGS: [TALLY.index]})
    await database.collection(THINGS).delete_many({})
    return Tallies(database, TALLY)


async def counted(database: Database) -> dict[Values, int]:
    documents = await database.collection(THINGS).find({}).to_list(None)
    return dict(Counter((each.get("shape"), each.get("colour")) for each in documents))


def thing(chance: random.Random) -> Document:
    made = {"_id": ObjectId(), "shape": chance.choice(SHAPES)}
    colour = chance.choice((*COLOURS, *STRANGE)) if chance.random() < 0.3 else "red"
    if colour is not None or chance.random() < 0.5:
        made["colour"] = colour
    return made


class Hands:
    """Does things to documents at random."""

    def __init__(self, database: Database, tallies: Tallies, chance: random.Random) -> None:
        self.database = database
        self.things = database.collection(THINGS)
        self.tallies = tallies
        self.chance = chance

    async def make(self) -> None:
        await self.things.insert_many(
            [thing(self.chance) for _ in range(self.chance.randint(1, 4))]
        )

    async def paint(self) -> None:
        """In place, as this product and any other program does."""
        if found := await self.any():
            colour = self.chance.choice((*COLOURS, *STRANGE))
            await self.things.update_one({"_id": found["_id"]}, {"$set": {"colour": colour}})

    async def strip(self) -> None:
        if found := await self.any():
            await self.things.update_one({"_id": found["_id"]}, {"$unset": {"colour": ""}})

    async def spoil(self) -> None:
        """What was never counted says something else that nobody wrote."""
        if found := await self.any():
            await self.things.delete_one({"_id": found["_id"]})
            if found.get(TALLIED) in TALLY.expected:
                await self.database.collection(REMOVALS).insert_one(
                    {"tally": THINGS, "key": found[TALLIED]}
                )
            await self.things.insert_one({**found, TALLIED: self.chance.choice((7, "x", None))})

    async def remove(self) -> None:
        async def work(session: Session) -> None:
            found = await self.things.find_one_and_delete({}, session=session)
            await self.tallies.leave([found] if found else [], session)

        await self.database.transact(work)

    async def fold(self) -> None:
        await self.tallies.fold_some()

    async def recount(self) -> None:
        assert await self.tallies.recount() == {}, "nothing was wrong"

    async def killed_fold(self) -> None:
        """One that ends anywhere on its way."""
        folding = asyncio.create_task(self.tallies.fold_some())
        await asyncio.wait({folding}, timeout=self.chance.random() * 0.006)
        folding.cancel()
        await asyncio.gather(folding, return_exceptions=True)

    async def any(self) -> Document | None:
        found = await self.things.find({}).to_list(None)
        return self.chance.choice(found) if found else None


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.full_only) for n in range(1, 4))]
)
async def test_a_total_is_a_count_after_every_step(
    database: Database, things: Tallies, seed: int
) -> None:
    hands = Hands(database, things, random.Random(seed))  # noqa: S311 - the same each time
    steps: list[Callable[[], Awaitable[None]]] = [
        hands.make, hands.make, hands.paint, hands.paint, hands.strip, hands.spoil, hands.remove,
        hands.fold, hands.killed_fold, hands.recount,
    ]  # fmt: skip
    for _ in range(60):
        step = hands.chance.choice(steps)
        await step()
        expected = await counted(database)
        assert await things.totals() == expected, step.__name__
        assert await things.count() == expected
    await things.fold_some()
    assert await things.waiting() == (0, (await things.waiting())[1])
    assert await things.totals() == await counted(database)


@contextmanager
def _others_in_the_way() -> Iterator[None]:
    """On a slow machine a transaction may meet others until its patience ends; it has changed nothing."""
    try:
        yield
    except PyMongoError as error:
        if not error.has_error_label("TransientTransactionError"):
            raise


async def test_a_total_is_of_one_moment(database: Database, things: Tallies) -> None:
    """Whoever swaps two colours at once, or puts one thing in another's place, changes no total."""
    collection = database.collection(THINGS)
    await collection.insert_many(
        [{"n": n, "shape": "round", "colour": ("red", "blue")[n % 2]} for n in range(40)]
    )
    expected = await things.totals()
    assert expected == {("round", "red"): 20, ("round", "blue"): 20}
    over = asyncio.Event()
    swaps = 0

    async def swap(seed: int) -> None:
        nonlocal swaps
        chance = random.Random(seed)  # noqa: S311
        while not over.is_set():
            one, other = chance.sample(range(40), 2)

            async def work(session: Session, one: int = one, other: int = other) -> None:
                first = await collection.find_one_and_delete({"n": one}, session=session)
                second = await collection.find_one({"n": other}, session=session)
                assert first is not None
                assert second is not None
                await things.leave([first], session)
                colours = second["colour"], first["colour"]
                await collection.insert_one(
                    {"n": one, "shape": "round", "colour": colours[0]}, session=session
                )
                await collection.update_one(
                    {"n": other}, {"$set": {"colour": colours[1]}}, session=session
                )

            with _others_in_the_way():
                await database.transact(work)
                swaps += 1

    async def fold() -> None:
        while not over.is_set():
            with _others_in_the_way():
                await things.fold_some()

    others = [asyncio.create_task(work) for work in (swap(1), swap(2), fold(), fold())]
    try:
        for _ in range(60):
            assert await things.totals() == expected
        assert await things.recount() == {}
    finally:
        over.set()
        await asyncio.gather(*others)
    assert swaps > 5
    assert await things.totals() == await counted(database)


async def test_what_is_read_does_not_grow_with_what_was_counted(
    database: Database, things: Tallies
) -> None:
    collection = database.collection(THINGS)
    for _ in range(2):
        await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(2000)])
        while await things.fold_some() >= BATCH:
            pass
    await collection.insert_many([{"shape": "square"}, {"shape": "round", "colour": "green"}])
    plan = await database._database.command(
        {
            "explain": {
                "find": THINGS,
                "filter": {"$or": [*TALLY.misplaced["$or"], *TALLY.unexpected]},
                "projection": {"_id": 0, "shape": 1, "colour": 1, TALLIED: 1},
                "hint": INDEX,
            },
            "verbosity": "executionStats",
        }
    )
    stats = plan["executionStats"]
    assert stats["nReturned"] == 2
    assert stats["totalKeysExamined"] < 40
    assert stats["totalDocsExamined"] <= 2
    assert await things.totals() == {
        ("round", "red"): 4000, ("square", None): 1, ("round", "green"): 1,
    }  # fmt: skip


async def test_what_another_program_removed_is_found_by_counting_anew(
    database: Database, things: Tallies
) -> None:
    collection = database.collection(THINGS)
    await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(5)])
    await things.fold_some()
    await collection.delete_one({"colour": "red"})
    await collection.insert_one({"shape": "square", "colour": "red", TALLIED: "square/red"})
    assert await things.totals() != await counted(database)
    assert await things.recount() == {"round/red": -1, "square/red": 1}
    assert await things.totals() == await counted(database)
    assert await things.recount() == {}


async def test_of_many_recounts_at_once_one_counts(database: Database, things: Tallies) -> None:
    collection = database.collection(THINGS)
    await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(5)])
    await things.fold_some()
    for _ in range(3):
        await collection.delete_one({"colour": "red"})
        await asyncio.gather(*(things.recount() for _ in range(5)))
        assert await things.totals() == await counted(database)


async def test_the_folder_leaves_nothing_and_counts_anew_each_hour(
    database: Database, things: Tallies
) -> None:
    collection = database.collection(THINGS)
    await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(BATCH + 3)])
    folder = Folder([things], Claims(database))
    await folder.fold(things)
    waiting, recounted_at = await things.waiting()
    assert waiting == 0
    assert recounted_at is not None
    await collection.delete_one({})
    await folder.fold(things)
    assert await things.totals() == {("round", "red"): BATCH + 3}, "not yet"
    before = utc_now() - RECOUNT_EACH - timedelta(seconds=1)
    await database.collection(TALLIES).update_one({}, {"$set": {"recountedAt": before}})
    await Folder([things], Claims(database)).fold(things)  # one that reads them for the first time
    assert await things.totals() == {("round", "red"): BATCH + 2}


async def test_a_folder_tells_what_another_process_counted(
    database: Database, things: Tallies, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Mapping[Values, int]] = []
    folder = Folder([things], Claims(database), lambda _name, totals: told.append(totals))
    monkeypatch.setattr(folding, "TELL_SECONDS", 3600.0)
    await folder.fold(things)
    await database.collection(THINGS).insert_one({"shape": "round", "colour": "red"})
    await things.fold_some()
    await folder.fold(things)
    assert len(told) == 1, "nothing has changed that it could see"
    monkeypatch.setattr(folding, "TELL_SECONDS", 0.0)
    await folder.fold(things)
    assert told[1]["round", "red"] == 1


async def test_the_folder_folds_by_itself_and_stops(database: Database, things: Tallies) -> None:
    folder = Folder([things], Claims(database))
    folder.start()
    try:
        await database.collection(THINGS).insert_one({"shape": "round"})

        async def folded() -> bool:
            return (await things.waiting())[0] == 0

        await eventually(folded, "the folder")
    finally:
        await folder.stop()
    assert await things.totals() == {("round", None): 1}
