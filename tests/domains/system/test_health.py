"""Checks, and the health that they add up to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from server.core.health import Finding, HealthCheck, behind, together
from server.domains.system.service import HealthService

WELL = Finding()


def finds(finding: Finding) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        return finding

    return look


async def hangs() -> Finding:
    await asyncio.Event().wait()
    return WELL


async def breaks() -> Finding:
    raise RuntimeError("mongodb://user:secret@host")


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(-5, "ok"), (0, "ok"), (29, "ok"), (30, "degraded"), (119, "degraded"), (120, "failing")],
)
def test_what_is_behind_is_the_worse_the_longer(seconds: int, status: str) -> None:
    found = behind(
        timedelta(seconds=seconds),
        "late",
        degraded=timedelta(seconds=30),
        failing=timedelta(seconds=120),
    )
    assert found.status == status
    assert found.lag_seconds == max(0, seconds)
    assert found.message == (None if status == "ok" else "late")


def test_of_several_findings_the_worst_counts_and_says_why() -> None:
    fails, also = Finding("failing", 3, "one"), Finding("failing", message="two")
    found = together([Finding("ok", 9), Finding("degraded", message="late"), fails, also])
    assert found == Finding("failing", 9, "one; two")
    assert together([]) == WELL


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([], "ok"),
        ([WELL, WELL], "ok"),
        ([WELL, Finding("degraded")], "degraded"),
        ([Finding("failing"), Finding("degraded"), WELL], "failing"),
    ],
    ids=["none", "well", "degraded", "failing"],
)
async def test_the_worst_check_is_the_status(found: list[Finding], status: str) -> None:
    checks = [HealthCheck(f"part{n}", finds(each)) for n, each in enumerate(found)]
    health = await HealthService(checks, 5).look()
    assert health.status == status
    assert list(health.checks) == [each.name for each in checks]


async def test_checks_of_one_name_are_one_finding() -> None:
    late = Finding("degraded", 40, "late")
    checks = [HealthCheck("jobs", finds(late)), HealthCheck("jobs", finds(Finding("ok", 2)))]
    assert (await HealthService(checks, 5).look()).checks == {"jobs": late}


async def test_a_check_that_breaks_or_hangs_is_failing_and_keeps_no_other_from_being_made() -> None:
    checks = [
        HealthCheck("hangs", hangs), HealthCheck("breaks", breaks), HealthCheck("well", finds(WELL)),
    ]  # fmt: skip
    health = await HealthService(checks, 0.05).look()
    assert health.status == "failing"
    assert health.checks == {
        "hangs": Finding("failing", message="No reply within 0.05 seconds"),
        "breaks": Finding("failing", message="It cannot be read (RuntimeError)"),
        "well": WELL,
    }
