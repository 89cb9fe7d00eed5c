"""Work on passwords: who is served, in which order, and where it runs."""

from __future__ import annotations

import asyncio
import gc
import weakref
from datetime import timedelta
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY

from server.core.errors import Unavailable
from server.domains.identity.credentials.passwords import hashing as module
from server.domains.identity.credentials.passwords.hashing import MOST_WAITING, PasswordHashing
from server.domains.identity.credentials.passwords.scheme import PasswordScheme
from tests.domains.identity.passwords.stepping import POLICY, SECONDS, callers


async def rejected(waiting: asyncio.Future[bool]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await asyncio.wait_for(waiting, SECONDS)
    return caught.value


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"finlink_password_{name}", labels) or 0


async def test_it_hashes_checks_and_compares() -> None:
    hashing = PasswordHashing(PasswordScheme({"1": bytes(32)}, "1", 4), POLICY)
    async with hashing.place(known_device=False) as place:
        assert await place.check_new_password("kowalska1", user_id="kowalska") is not None
        assert await place.check_new_password("tractor violet spoon", user_id="kowalska") is None
        stored = await place.hash("tractor violet spoon")
    async with hashing.place(known_device=True) as place:
        assert await place.verify("tractor violet spoon", stored)
        assert not await place.verify("tractor violet fork", stored)
        assert not await place.verify("tractor violet spoon", None)
    assert not hashing.scheme.needs_renewal(stored)
    await hashing.stop()


async def test_known_devices_come_first_and_each_in_order() -> None:
    async with callers() as many:
        await many.call("running")
        assert await many.scheme.begun() == "running"
        for name in ("a", "b"):
            await many.call(f"unknown {name}")
        for name in ("a", "b"):
            await many.call(f"known {name}", known_device=True)
        many.scheme.proceed(5)
        assert await asyncio.gather(*many.tasks) == [True] * 5
        expected = ["running", "known a", "known b", "unknown a", "unknown b"]
        assert many.scheme.order == expected


@pytest.mark.parametrize("known_device", [False, True])
async def test_so_many_wait_and_no_more(known_device: bool) -> None:
    async with callers() as many:
        await many.call("running")
        await many.scheme.begun()
        await many.fill(MOST_WAITING, known_device=known_device)
        with pytest.raises(Unavailable) as caught:
            await many.call("one too many", known_device=known_device)
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= timedelta(seconds=1)
        # Those of the other kind have a queue of their own.
        await many.fill(MOST_WAITING, known_device=not known_device)
        many.scheme.proceed(1 + 2 * MOST_WAITING)
        served = await asyncio.gather(*many.tasks, return_exceptions=True)
        assert served.count(True) == 1 + 2 * MOST_WAITING
        assert "one too many" not in many.scheme.order


async def test_a_place_counts_before_its_work_comes() -> None:
    """What is looked up in between takes a while."""
    async with callers() as many:
        places = [many.hashing.place(known_device=False) for _ in range(MOST_WAITING)]
        for place in places:
            await place.__aenter__()
        with pytest.raises(Unavailable):
            await many.call("one too many")
        await places.pop().__aexit__(None, None, None)
        await many.call("another one")
        assert await many.scheme.begun() == "another one"
        await many.call("and one more")  # the one before runs, and waits no more
        for place in places:
            await place.__aexit__(None, None, None)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until one was measured, a hash of 12 rounds is taken for 200 seconds."""
    monkeypatch.setattr(module, "_FIRST_GUESS", 200.0)


@pytest.mark.usefixtures("slow")
async def test_who_would_wait_for_too_long_is_rejected_with_when_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    async with callers(rounds=12, longest_wait=500) as many:
        await many.call("running")
        await many.scheme.begun()
        await many.call("in 200 s")
        await many.call("in 400 s")
        with pytest.raises(Unavailable) as caught:
            await many.call("in 600 s")
        assert caught.value.retry_after == timedelta(seconds=600)
        # Those who wait on unknown devices are no hindrance for a known one.
        await many.call("known, in 200 s", known_device=True)
        # One that took 700 s makes the mean 300 s.
        now = 700.0
        many.scheme.proceed()
        assert await many.scheme.begun() == "known, in 200 s"
        await many.call("known, in 300 s", known_device=True)
        with pytest.raises(Unavailable) as caught:
            await many.call("known, in 600 s", known_device=True)
        assert caught.value.retry_after == timedelta(seconds=600)


@pytest.mark.usefixtures("slow")
async def test_two_threads_halve_the_wait() -> None:
    async with callers(rounds=12, longest_wait=500, hashers=2) as many:
        await many.fill(7)  # two run, and the last one would wait for 500 s
        with pytest.raises(Unavailable) as caught:
            await many.call("in 600 s")
        assert caught.value.retry_after == timedelta(seconds=600)


@pytest.mark.usefixtures("slow")
async def test_whatever_is_expected_one_that_need_not_wait_is_served() -> None:
    """Else nothing would ever correct the mean."""
    async with callers(rounds=12, longest_wait=100) as many:
        only = await many.call("only")
        many.scheme.proceed()
        assert await only is True


async def test_whoever_still_waits_after_that_is_rejected() -> None:
    """Known devices came in between, or hashes became slower."""
    async with callers(longest_wait=0.05) as many:
        running = await many.call("running")
        await many.scheme.begun()
        late = await many.call("late")
        assert (await rejected(late)).retry_after is not None
        many.scheme.proceed(2)
        assert await running is True  # however long it takes
        assert await (await many.call("next")) is True
        assert many.scheme.order == ["running", "next"]


async def test_a_waiter_that_is_cancelled_frees_its_place() -> None:
    async with callers() as many:
        await many.call("running")
        await many.scheme.begun()
        first, *others = await many.fill(MOST_WAITING)
        first.cancel()
        await asyncio.wait([first])
        await many.call("in its place")
        with pytest.raises(Unavailable):
            await many.call("one too many")
        many.scheme.proceed(1 + MOST_WAITING)
        assert await asyncio.gather(*others) == [True] * len(others)
        assert await many.tasks[-2] is True
        assert many.scheme.order == [
            "running",
            *(f"False{n}" for n in range(1, 16)),
            "in its place",
        ]


async def test_a_check_that_is_cancelled_keeps_its_thread_until_it_ends() -> None:
    """bcrypt cannot be interrupted, and there must not be more at once than threads."""
    async with callers() as many:
        running = await many.call("running")
        await many.scheme.begun()
        running.cancel()
        await asyncio.wait([running])
        second = await many.call("second")
        assert many.scheme.order == ["running"]
        many.scheme.proceed(2)
        assert await second is True


async def test_one_that_is_cancelled_as_its_turn_comes_takes_nobodys_turn() -> None:
    async with callers() as many:
        await many.call("running")
        await many.scheme.begun()
        first, second = await many.call("first"), await many.call("second")
        many.scheme.proceed(3)
        many.hashing.wait_for_thread()
        first.cancel()
        assert await second is True
        assert many.scheme.order == ["running", "second"]


class Text(str):
    """A password whose end can be seen."""

    __slots__ = ("__weakref__",)


async def test_the_password_of_one_that_is_cancelled_is_not_kept() -> None:
    """The queue of unknown devices may take long to come to its end."""
    async with callers() as many:
        await many.call("running")
        await many.scheme.begun()
        password = Text("waiting")
        kept = weakref.ref(password)
        waiting = await many.call(password)
        waiting.cancel()
        await asyncio.wait([waiting])
        many.tasks.remove(waiting)
        del password, waiting
        gc.collect()
        assert kept() is None


async def test_the_second_work_of_a_place_is_before_those_who_wait() -> None:
    async with callers() as many:

        async def change() -> str:
            async with many.hashing.place(known_device=False) as place:
                await place.verify("current", "current")
                return await place.hash("new")

        changing = asyncio.create_task(change())
        assert await many.scheme.begun() == "current"
        await many.fill(2)
        many.scheme.proceed(4)
        assert await changing == "new"
        await asyncio.gather(*many.tasks)
        # The first in the queue had begun by the time that the first result was there.
        assert many.scheme.order == ["current", "False0", "new", "False1"]


async def test_an_error_is_the_callers_and_the_thread_goes_on() -> None:
    async with callers() as many:
        broken = await many.call("broken")
        next_one = await many.call("next")
        many.scheme.proceed(2)
        with pytest.raises(RuntimeError, match="broken"):
            await broken
        assert await next_one is True


async def test_who_waits_when_it_stops_is_rejected_and_what_runs_is_finished() -> None:
    async with callers() as many:
        running, waiting = await many.call("running"), await many.call("waiting")
        await many.scheme.begun()
        async with many.hashing.place(known_device=True) as place:
            stopping = asyncio.create_task(many.hashing.stop())
            await rejected(waiting)
            with pytest.raises(Unavailable):
                await place.verify("late", "late")
        with pytest.raises(Unavailable):
            await many.call("later")
        assert not stopping.done()
        many.scheme.proceed()
        assert await running is True
        await stopping
        assert many.scheme.order == ["running"]


async def test_what_waits_and_what_was_rejected_is_counted() -> None:
    rejections = sample("calls_rejected_total", device="unknown")
    checks = sample("work_seconds_count", kind="verify")
    async with callers() as many:
        await many.call("running")
        await many.scheme.begun()
        await many.fill(MOST_WAITING)
        await many.fill(2, known_device=True)
        with pytest.raises(Unavailable):
            await many.call("one too many")
        assert sample("calls_waiting", device="unknown") == MOST_WAITING
        assert sample("calls_waiting", device="known") == 2
        many.scheme.proceed(100)
        await asyncio.gather(*many.tasks, return_exceptions=True)
    assert sample("calls_waiting", device="unknown") == 0
    assert sample("calls_waiting", device="known") == 0
    assert sample("calls_rejected_total", device="unknown") == rejections + 1
    assert sample("work_seconds_count", kind="verify") == checks + MOST_WAITING + 3
