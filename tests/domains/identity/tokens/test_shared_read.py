"""A read that is done once for all who wait for it, and never for one who came too late for it."""

from __future__ import annotations

import asyncio

import pytest

from server.domains.identity.tokens.shared_read import SharedRead


async def test_a_read_that_began_before_is_not_enough() -> None:
    begun: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def read() -> None:
        end = asyncio.Event()
        begun.put_nowait(end)
        await end.wait()

    loop = asyncio.get_running_loop()
    shared = SharedRead(read)
    first = asyncio.create_task(shared.since(loop.time()))
    end_of_first = await begun.get()
    moment = loop.time()
    late = [asyncio.create_task(shared.since(moment)) for _ in range(5)]
    end_of_first.set()
    await first
    end_of_second = await begun.get()
    assert not any(task.done() for task in late)
    end_of_second.set()
    await asyncio.gather(*late)
    assert begun.empty()


async def test_a_failed_read_fails_for_all_who_wait_and_is_made_again() -> None:
    outcomes = [OSError(), OSError(), None]

    async def read() -> None:
        await asyncio.sleep(0)
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    loop = asyncio.get_running_loop()
    shared = SharedRead(read)
    for _ in range(2):
        moment = loop.time()
        waiting = (shared.since(moment) for _ in range(3))
        failed = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in failed] == [OSError] * 3
    await shared.since(loop.time())
    assert outcomes == []


async def test_who_needs_a_later_read_does_not_fail_with_one_before() -> None:
    begun: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def read() -> None:
        outcome = loop.create_future()
        begun.put_nowait(outcome)
        await outcome

    shared = SharedRead(read)
    first = asyncio.create_task(shared.since(loop.time()))
    failing = await begun.get()
    late = asyncio.create_task(shared.since(loop.time()))
    await asyncio.sleep(0)
    failing.set_exception(LookupError())
    with pytest.raises(LookupError):
        await first
    async with asyncio.timeout(10):
        (await begun.get()).set_result(None)
        await late


async def test_one_who_gives_up_does_not_end_the_read_of_the_others() -> None:
    end = asyncio.Event()

    async def read() -> None:
        await end.wait()

    shared = SharedRead(read)
    moment = asyncio.get_running_loop().time()
    impatient, other = (asyncio.create_task(shared.since(moment)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    end.set()
    await other
    assert impatient.cancelled()
