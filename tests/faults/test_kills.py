"""`kill -9` of workers and of MongoDB under load, on a Finlink of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from functools import partial

import httpx
import pytest

from tests.faults.load import Load, kill, under, until
from tests.stack import Stack, running
from tests.supervisor.harness import patiently

CALLS_BETWEEN = 50  # before each kill, and after the last


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("victim")) as stack:
        yield stack


@pytest.fixture
async def load(victim: Stack) -> AsyncIterator[Load]:
    async with httpx.AsyncClient(base_url=f"{victim.rest}/api/v1", timeout=40) as client:
        yield Load(client)


@pytest.mark.full_only
async def test_the_death_of_a_worker_fails_no_read(victim: Stack, load: Load) -> None:
    await load.create()
    (user_id,) = load.acknowledged
    reads = ("GET", 200)
    async with under(*[partial(load.get, user_id)] * 6):
        for name in ("worker-0", "worker-1"):
            seen = load.statuses[reads]
            await until(lambda seen=seen: load.statuses[reads] >= seen + CALLS_BETWEEN)  # type: ignore[misc]
            await kill(victim, name)
        seen = load.statuses[reads]
        await until(lambda: load.statuses[reads] >= seen + CALLS_BETWEEN)
    print(f"\nworker kills 2, answers {dict(load.statuses)}")
    assert {key for key in load.statuses if key[0] == "GET"} == {reads}, load.misshapen[:3]


@pytest.mark.full_only
async def test_the_death_of_mongodb_loses_nothing_acknowledged(victim: Stack, load: Load) -> None:
    await load.create()
    user_id = load.acknowledged[0]
    in_flight = []
    async with under(*[load.create] * 6, *[partial(load.get, user_id)] * 2):
        for _ in range(2):
            seen = len(load.acknowledged)
            await until(lambda seen=seen: len(load.acknowledged) >= seen + CALLS_BETWEEN)  # type: ignore[misc]
            in_flight.append(load.in_flight)
            await kill(victim, "mongod")
        seen = len(load.acknowledged)
        await until(lambda: len(load.acknowledged) >= seen + CALLS_BETWEEN)
    lost = await load.missing()
    print(
        f"\nmongod kills {len(in_flight)}, writes in flight at them {in_flight}, "
        f"answers {dict(load.statuses)}, writes checked {len(load.acknowledged)}, lost {len(lost)}"
    )
    assert load.misshapen == []
    assert lost == []


@pytest.mark.full_only
def test_ready_means_that_a_worker_reaches_mongodb(victim: Stack) -> None:
    def status(path: str) -> int:
        return httpx.get(victim.rest + path).status_code

    assert (status("/health"), status("/ready")) == (200, 200)
    mongod = victim.status()["pids"]["mongod"]
    os.kill(mongod, signal.SIGSTOP)
    try:
        patiently(lambda: status("/ready") == 503, victim.log)
        assert httpx.get(f"{victim.rest}/ready").json()["error"]["code"] == "UNAVAILABLE"
        assert status("/health") == 200
    finally:
        os.kill(mongod, signal.SIGCONT)
    patiently(lambda: status("/ready") == 200, victim.log)
