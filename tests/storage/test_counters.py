"""Counters: whatever is done to documents, by whom and when it is rolled up, a total is a count."""

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
from server.storage import rollup
from server.storage.counter_spec import COUNTED_AS, INDEX, CounterSpec, Values
from server.storage.counters import BATCH, COUNTERS, REMOVALS, Counters
from server.storage.driver import ClientSession, Database, Document
from server.storage.indexes import ensure_indexes
from server.storage.leases import Leases
from server.storage.rollup import RECOUNT_EACH, CounterRollup
from tests.domains.connectors.waiting import eventually

THINGS = "things"
SHAPES = ("round", "square")
COLOURS = ("red", "blue", None)
COUNTED = CounterSpec(THINGS, {"shape": SHAPES, "colour": COLOURS})
STRANGE: tuple[Any, ...] = ("green", 5, "")


@pytest.fixture
async def things(database: Database) -> Counters:
    await ensure_indexes(database, {THINGS: [COUNTED.index]})
    await database.collection(THINGS).delete_many({})
    return Counters(database, COUNTED)


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

    def __init__(self, database: Database, counters: Counters, chance: random.Random) -> None:
        self.database = database
        self.things = database.collection(THINGS)
        self.counters = counters
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
            if isinstance(found.get(COUNTED_AS), str):
                await self.database.collection(REMOVALS).insert_one(
                    {"tally": THINGS, "key": found[COUNTED_AS]}
                )
            await self.things.insert_one({**found, COUNTED_AS: self.chance.choice((7, "x", None))})

    async def remove(self) -> None:
        async def work(session: ClientSession) -> None:
            found = await self.things.find_one_and_delete({}, session=session)
            await self.counters.leave([found] if found else [], session)

        await self.database.transact(work)

    async def roll_up(self) -> None:
        await self.counters.roll_up_some()

    async def lose_sums(self) -> None:
        await self.database.collection(COUNTERS).delete_many({})

    async def recount(self) -> None:
        assert await self.counters.recount() == {}, "nothing was wrong"

    async def killed_rollup(self) -> None:
        """One that ends anywhere on its way."""
        rolling = asyncio.create_task(self.counters.roll_up_some())
        await asyncio.wait({rolling}, timeout=self.chance.random() * 0.006)
        rolling.cancel()
        await asyncio.gather(rolling, return_exceptions=True)

    async def any(self) -> Document | None:
        found = await self.things.find({}).to_list(None)
        return self.chance.choice(found) if found else None


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.full_only) for n in range(1, 4))]
)
async def test_a_total_is_a_count_after_every_step(
    database: Database, things: Counters, seed: int
) -> None:
    hands = Hands(database, things, random.Random(seed))  # noqa: S311 - the same each time
    steps: list[Callable[[], Awaitable[None]]] = [
        hands.make, hands.make, hands.paint, hands.paint, hands.strip, hands.spoil, hands.remove,
        hands.roll_up, hands.roll_up, hands.killed_rollup, hands.recount, hands.lose_sums,
    ]  # fmt: skip
    for _ in range(60):
        step = hands.chance.choice(steps)
        await step()
        expected = await counted(database)
        assert await things.totals() == expected, step.__name__
        assert await things.count() == expected
    await things.roll_up_some()
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


async def test_a_total_is_of_one_moment(database: Database, things: Counters) -> None:
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

            async def work(session: ClientSession, one: int = one, other: int = other) -> None:
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

    async def roll_up() -> None:
        while not over.is_set():
            with _others_in_the_way():
                await things.roll_up_some()

    others = [asyncio.create_task(work) for work in (swap(1), swap(2), roll_up(), roll_up())]
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
    database: Database, things: Counters
) -> None:
    collection = database.collection(THINGS)
    for _ in range(2):
        await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(2000)])
        while await things.roll_up_some() >= BATCH:
            pass
    await collection.insert_many([{"shape": "square"}, {"shape": "round", "colour": "green"}])
    uncounted = COUNTED.uncounted(await things.begin())
    plan = await database._database.command(
        {
            "explain": {
                "find": THINGS,
                "filter": {"$or": [*uncounted["$or"], *COUNTED.unexpected]},
                "projection": {"_id": 0, "shape": 1, "colour": 1, COUNTED_AS: 1},
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


async def test_what_another_program_removed_is_found_by_counting_again(
    database: Database, things: Counters
) -> None:
    collection = database.collection(THINGS)
    await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(5)])
    await things.roll_up_some()
    await collection.delete_one({"colour": "red"})
    copied = COUNTED.mark("square/red", await things.begin())
    await collection.insert_one({"shape": "square", "colour": "red", COUNTED_AS: copied})
    assert await things.totals() != await counted(database)
    assert await things.recount() == {"round/red": -1, "square/red": 1}
    assert await things.totals() == await counted(database)
    assert await things.recount() == {}


async def test_what_other_sums_had_is_counted(database: Database, things: Counters) -> None:
    """Documents that were restored, or copied from another database, without the sums they are in."""
    collection = database.collection(THINGS)
    await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(5)])
    await things.roll_up_some()
    await database.collection(COUNTERS).delete_many({})
    assert await things.totals() == {("round", "red"): 5}, "before anybody counts again"
    assert await Counters(database, COUNTED).totals() == {("round", "red"): 5}
    assert await things.has_waiting()

    await collection.insert_one({"shape": "square", "colour": "red"})
    assert await Counters(database, COUNTED).roll_up_some() == 6
    assert await things.totals() == {("round", "red"): 5, ("square", "red"): 1}
    copied = [{"shape": "round", COUNTED_AS: COUNTED.mark("round/", "another")} for _ in range(3)]
    await collection.insert_many(copied)
    assert await things.totals() == await counted(database)
    await things.roll_up_some()
    assert await things.recount() == {}
    assert await things.totals() == await counted(database)


async def test_a_removal_that_other_sums_had_takes_nothing_away(
    database: Database, things: Counters
) -> None:
    collection = database.collection(THINGS)
    await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(5)])
    await things.roll_up_some()
    hands = Hands(database, things, random.Random(1))  # noqa: S311 - the same each time
    await hands.remove()
    await database.collection(COUNTERS).delete_many({})
    await hands.remove()
    assert await things.totals() == {("round", "red"): 3}
    await things.roll_up_some()
    await hands.remove()
    assert await things.totals() == {("round", "red"): 2}
    await things.roll_up_some()
    assert await things.recount() == {}


async def test_of_many_recounts_at_once_one_counts(database: Database, things: Counters) -> None:
    collection = database.collection(THINGS)
    await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(5)])
    await things.roll_up_some()
    for _ in range(3):
        await collection.delete_one({"colour": "red"})
        await asyncio.gather(*(things.recount() for _ in range(5)))
        assert await things.totals() == await counted(database)


async def test_the_rollup_leaves_nothing_and_counts_again_each_hour(
    database: Database, things: Counters
) -> None:
    collection = database.collection(THINGS)
    await collection.insert_many([{"shape": "round", "colour": "red"} for _ in range(BATCH + 3)])
    rollup_ = CounterRollup([things], Leases(database))
    await rollup_.roll_up(things)
    waiting, recounted_at = await things.waiting()
    assert waiting == 0
    assert recounted_at is not None
    await collection.delete_one({})
    await rollup_.roll_up(things)
    assert await things.totals() == {("round", "red"): BATCH + 3}, "not yet"
    before = utc_now() - RECOUNT_EACH - timedelta(seconds=1)
    await database.collection(COUNTERS).update_one({}, {"$set": {"recountedAt": before}})
    await CounterRollup([things], Leases(database)).roll_up(
        things
    )  # one that reads them for the first time
    assert await things.totals() == {("round", "red"): BATCH + 2}


async def test_a_rollup_reports_what_another_process_counted(
    database: Database, things: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Mapping[Values, int]] = []
    rollup_ = CounterRollup(
        [things], Leases(database), lambda _name, totals: reported.append(totals)
    )
    monkeypatch.setattr(rollup, "REPORT_SECONDS", 3600.0)
    await rollup_.roll_up(things)
    await database.collection(THINGS).insert_one({"shape": "round", "colour": "red"})
    await things.roll_up_some()
    await rollup_.roll_up(things)
    assert len(reported) == 1, "nothing has changed that it could see"
    monkeypatch.setattr(rollup, "REPORT_SECONDS", 0.0)
    await rollup_.roll_up(things)
    assert reported[1]["round", "red"] == 1


async def test_the_rollup_works_by_itself_and_stops(database: Database, things: Counters) -> None:
    rollup_ = CounterRollup([things], Leases(database))
    rollup_.start()
    try:
        await database.collection(THINGS).insert_one({"shape": "round"})

        async def done() -> bool:
            return (await things.waiting())[0] == 0

        await eventually(done, "the rollup")
    finally:
        await rollup_.stop()
    assert await things.totals() == {("round", None): 1}
