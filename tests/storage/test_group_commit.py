"""Group commit by itself: who shares a group, and what becomes of those who fail, leave or wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from server.core.events import Actor, current_actor, enter_actor
from server.storage.group_commit import MOST, GroupCommit


class Bench:
    """GroupCommit whose commits end when they are let go."""

    def __init__(self) -> None:
        self.groups: GroupCommit[int, str] = GroupCommit(self._commit)
        self.began: list[list[int]] = []
        self.actors: list[Actor] = []
        self.free = asyncio.Event()
        self.error: Exception | None = None

    async def _commit(self, members: Sequence[int]) -> list[str]:
        self.began.append(list(members))
        self.actors.append(current_actor())
        await self.free.wait()
        if self.error is not None:
            raise self.error
        return [f"done {member}" for member in members]

    def join(self, *members: int) -> list[asyncio.Task[str]]:
        return [asyncio.create_task(self.groups.join(member)) for member in members]

    async def until_began(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.began) < count:  # noqa: ASYNC110 - begun by another task
                await asyncio.sleep(0)


async def test_one_alone_goes_at_once_and_those_who_come_meanwhile_go_together() -> None:
    bench = Bench()
    first = bench.join(1)
    await bench.until_began(1)
    others = bench.join(2, 3, 4)
    bench.free.set()
    assert await asyncio.gather(*first, *others) == ["done 1", "done 2", "done 3", "done 4"]
    assert bench.began == [[1], [2, 3, 4]]


async def test_a_group_has_a_bound() -> None:
    bench = Bench()
    bench.free.set()
    many = range(2 * MOST + 1)
    assert await asyncio.gather(*bench.join(*many)) == [f"done {number}" for number in many]
    assert [len(group) for group in bench.began] == [MOST, MOST, 1]


async def test_a_failure_is_reported_to_its_own_group_only() -> None:
    bench = Bench()
    bench.error = RuntimeError("gone")
    failed = bench.join(1, 2)
    await bench.until_began(1)
    bench.free.set()
    results = await asyncio.gather(*failed, return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, RuntimeError]
    bench.error = None
    assert await asyncio.gather(*bench.join(3)) == ["done 3"]


async def test_who_leaves_before_the_group_begins_is_not_in_it() -> None:
    bench = Bench()
    first = bench.join(1)
    await bench.until_began(1)
    stays, leaves = bench.join(2, 3)
    await asyncio.sleep(0)
    leaves.cancel()
    bench.free.set()
    assert await asyncio.gather(*first, stays) == ["done 1", "done 2"]
    with pytest.raises(asyncio.CancelledError):
        await leaves
    assert bench.began == [[1], [2]]


async def test_who_leaves_while_the_group_is_under_way_does_not_stop_it() -> None:
    bench = Bench()
    leaves, stays = bench.join(1, 2)
    await bench.until_began(1)
    leaves.cancel()
    bench.free.set()
    assert await stays == "done 2"
    with pytest.raises(asyncio.CancelledError):
        await leaves


async def test_a_slow_group_does_not_delay_the_next_ones() -> None:
    """The first one ends only when the others have begun."""
    bench = Bench()
    first = bench.join(1)
    await bench.until_began(1)
    second = bench.join(2)
    await bench.until_began(2)
    others = bench.join(*range(3, MOST + 5))
    await bench.until_began(4)
    bench.free.set()
    results = await asyncio.gather(*first, *second, *others)
    assert results == [f"done {number}" for number in range(1, MOST + 5)]


async def test_a_group_works_for_nobody_in_particular() -> None:
    bench = Bench()
    bench.free.set()

    async def call() -> None:
        enter_actor(Actor("caller", key="ann"))
        await bench.groups.join(1)

    await asyncio.create_task(call())
    assert bench.actors == [Actor("system")]
