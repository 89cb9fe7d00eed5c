"""Reads that share a query: everybody gets what there is, and nobody suffers for another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from server.storage import data_loader
from server.storage.data_loader import BATCH, DataLoader
from tests.faults.load import until


class Source:
    """Says how it was asked; `hold` keeps its replies back."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.failure: Exception | None = None

    async def read(self, keys: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(list(keys))
        await self.go_on.wait()
        if self.failure is not None:
            raise self.failure
        return {key: key.upper() for key in keys if key != "nobody"}


async def test_reads_of_one_moment_are_one_query_and_equal_ones_one_key() -> None:
    source = Source()
    reads = DataLoader(source.read)
    found = await asyncio.gather(*(reads.load(key) for key in ("ann", "bob", "ann", "nobody")))
    assert found == ["ANN", "BOB", "ANN", None]
    assert source.asked == [["ann", "bob", "nobody"]]


async def test_who_asks_while_a_query_is_under_way_has_one_of_his_own() -> None:
    source = Source()
    source.go_on.clear()
    reads = DataLoader(source.read)
    first = asyncio.create_task(reads.load("ann"))
    await until(lambda: bool(source.asked))
    second = asyncio.create_task(reads.load("ann"))
    await until(lambda: len(source.asked) == 2)
    source.go_on.set()
    assert (await first, await second) == ("ANN", "ANN")
    assert source.asked == [["ann"], ["ann"]]


async def test_a_query_has_a_bound() -> None:
    source = Source()
    reads = DataLoader(source.read)
    keys = [f"user{number}" for number in range(2 * BATCH + 1)]
    assert await asyncio.gather(*map(reads.load, keys)) == [key.upper() for key in keys]
    assert [len(asked) for asked in source.asked] == [BATCH, BATCH, 1]


async def test_an_error_reaches_everybody_and_the_next_query_is_a_new_one() -> None:
    source = Source()
    source.failure = ConnectionError("away")
    reads = DataLoader(source.read)
    failed = await asyncio.gather(reads.load("ann"), reads.load("bob"), return_exceptions=True)
    assert [type(error) for error in failed] == [ConnectionError, ConnectionError]
    source.failure = None
    assert await reads.load("ann") == "ANN"


async def test_who_goes_away_takes_nothing_from_the_others() -> None:
    source = Source()
    source.go_on.clear()
    reads = DataLoader(source.read)
    first, second = asyncio.create_task(reads.load("ann")), asyncio.create_task(reads.load("ann"))
    await until(lambda: bool(source.asked))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.go_on.set()
    assert await second == "ANN"


async def test_nothing_is_read_for_those_who_went_before_it_was_sent() -> None:
    source = Source()
    reads = DataLoader(source.read)
    gone = asyncio.create_task(reads.load("ann"))
    stays = asyncio.create_task(reads.load("bob"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == "BOB"
    assert source.asked == [["bob"]]


async def test_a_deadline_of_one_ends_his_waiting_alone() -> None:
    source = Source()
    source.go_on.clear()
    reads = DataLoader(source.read)
    patient = asyncio.create_task(reads.load("ann"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await reads.load("ann")
    source.go_on.set()
    assert await patient == "ANN"


async def test_where_many_read_the_next_query_waits_for_more_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data_loader, "SPACING", 3600.0)  # it never comes by itself
    source = Source()
    reads = DataLoader(source.read)
    await asyncio.gather(reads.load("ann"), reads.load("bob"))
    later = [asyncio.create_task(reads.load(key)) for key in ("cat", "dan")]
    for _ in range(20):  # rounds of the event loop
        await asyncio.sleep(0)
    assert source.asked == [["ann", "bob"]]
    for task in later:
        task.cancel()


async def test_who_reads_alone_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_loader, "SPACING", 3600.0)
    source = Source()
    reads = DataLoader(source.read)
    for key in ("ann", "bob", "ann"):
        await reads.load(key)
    assert source.asked == [["ann"], ["bob"], ["ann"]]
