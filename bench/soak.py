"""`bench soak`: mixed load against the response times asked for, then memory under full load."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

import psutil
from rich.console import Console

from bench import data, machine, mix, open_loop, session, stacks, syncs, wrk
from bench.cases import FINLINK
from bench.client import Client
from bench.session import Session
from bench.stacks import Stack
from bench.stats import percentile
from bench.writer import Writer

RATES = (300, 600)
_SAMPLE_SECONDS = 5.0
_WARM_UP_SECONDS = 5
_WRITES = 10.0  # a second, beside full load
Samples = list[dict[str, Any]]


def run(users: int, minutes: float, mixed_seconds: int, console: Console) -> dict[str, Any]:
    """Measure all of it. Exits with one line where something is missing."""

    async def work() -> dict[str, Any]:
        async with session.running(console) as up:
            await up.fill(users)
            stand_in = syncs.sandbox()
            await up.supervisor.start([stand_in.spec])
            stack = stacks.finlink(FINLINK, up.uri, data.database_name(users), **stand_in.settings)
            await up.start([stack])
            await up.settle()
            up.report(f"soak: connecting {data.SYNCING} users")
            await asyncio.to_thread(syncs.connect, stack)
            mixed = await _mixed(up, stack, users, mixed_seconds)
            memory = await _full_load(up, stack, users, minutes)
        return {
            "machine": machine.describe(),
            "users": users,
            "minutes": minutes,
            "mixed": mixed,
            "memory": memory,
            "rows": [*_mixed_rows(mixed), *_memory_rows(memory, minutes)],
            "memory_mb": {FINLINK: memory[-1]["pss_mb"] if memory else []},
        }

    return session.run(work)


async def _mixed(up: Session, stack: Stack, users: int, seconds: int) -> list[dict[str, Any]]:
    ids = await asyncio.to_thread(_connected, stack)
    found = []
    for seed, rate in enumerate(RATES, start=int(time.time())):
        up.report(f"soak: {rate} requests a second for {seconds} s")
        port = stack.rest_port or 0
        warm = mix.requests(rate * _WARM_UP_SECONDS, users, ids, seed * 10)
        await open_loop.send(port, warm, rate)
        load = mix.requests(rate * seconds, users, ids, seed * 10 + 1)
        for kind, outcome in (await open_loop.send(port, load, rate)).items():
            taken = outcome.latency_ms
            figures = {
                "p50": round(percentile(taken, 50), 1),
                "p99": round(percentile(taken, 99), 1),
                "max": round(max(taken), 1),
            }
            counts = {"requests": len(taken), "failed": outcome.failed}
            found.append({"rate": rate, "kind": kind, **figures, **counts})
    return found


def _connected(stack: Stack) -> list[str]:
    with Client(stack.rest_port or 0) as client:
        return [
            connector["id"]
            for user_id in data.syncing_users()
            for connector in client.get(f"/api/v1/connectors/user/{user_id}")["connectors"]
        ]


async def _full_load(up: Session, stack: Stack, users: int, minutes: float) -> Samples:
    """As many reads as Finlink can serve, with concurrent writes; memory of each worker meanwhile."""
    up.report(f"soak: full load for {minutes:g} minutes")
    writer = Writer(stack.rest_port or 0, users, _WRITES, 1)
    writer.start()
    load = wrk.Load("mixed", users, data.HOT, seconds=minutes * 60)
    sending = asyncio.create_task(wrk.run(stack.rest_port or 0, load, 1))
    samples: Samples = []
    began = time.monotonic()
    try:
        while not (await asyncio.wait({sending}, timeout=_SAMPLE_SECONDS))[0]:
            taken = round(time.monotonic() - began, 1)
            samples.append({"seconds": taken, **await asyncio.to_thread(_memory, stack)})
            up.report(f"soak: {taken:.0f} s, {samples[-1]['rss_mb']} MB")
        done = await sending
    finally:
        sending.cancel()
        written = writer.stop()
    up.report(
        f"soak: {done.rate:,.0f} replies a second, {done.failed} failed; "
        f"{written.writes} writes, {written.failed} failed, {written.stale} stale reads"
    )
    return samples


def _memory(stack: Stack) -> dict[str, list[float]]:
    sizes = [psutil.Process(pid).memory_full_info() for pid in stack.worker_pids()]
    return {
        "rss_mb": [round(size.rss / 1e6, 1) for size in sizes],
        "pss_mb": [round(size.pss / 1e6, 1) for size in sizes],
    }


def _mixed_rows(mixed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "row": f"{mix.TITLES[each['kind']]} at {each['rate']} requests/s, p99",
            "median": each["p99"], "low": each["p50"], "high": each["max"], "less": True,
            "at_least": mix.LIMITS_MS[each["kind"]], "aim": mix.LIMITS_MS[each["kind"]],
            "unit": " ms", "failed": each["failed"],
        }
        for each in mixed
    ]  # fmt: skip


def _memory_rows(samples: Samples, minutes: float) -> list[dict[str, Any]]:
    """Resident size of the largest worker at the end, and its growth since the second minute."""
    largest = [(sample["seconds"], max(sample["rss_mb"])) for sample in samples]
    end = largest[-1][0] if largest else 0.0
    settled = [size for at, size in largest if 60 < at <= 120]
    last = [size for at, size in largest if at > end - 60]
    rows = []
    if last:
        rows.append(
            {
                "row": f"memory of a worker after {minutes:g} minutes of full load (RSS)",
                "median": median(last), "low": min(last), "high": max(last), "less": True,
                "at_least": 150, "aim": 110, "unit": " MB",
            }
        )  # fmt: skip
    if settled and end > 180:
        grown = [size / median(settled) for size in last]
        rows.append(
            {
                "row": "memory of a worker, last minute over the second",
                "median": round(median(grown), 3), "low": round(min(grown), 3),
                "high": round(max(grown), 3), "less": True, "at_least": 1.02, "aim": 1.0, "unit": "",
            }
        )  # fmt: skip
    return rows
