"""How the parts of Finlink are: checks that each domain brings, and what they find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["ok", "degraded", "failing"]
_FROM_GOOD_TO_BAD: tuple[Status, ...] = ("ok", "degraded", "failing")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check. Its message is for people who run Finlink: no secret, and nobody's name."""

    status: Status = "ok"
    lag_seconds: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A check by its name in the reply. Several may share a name: the worst finding counts.

    Whatever `look` raises is a failure of what it looks at.
    """

    name: str
    look: Callable[[], Awaitable[Finding]]


def behind(lag: timedelta, message: str, *, degraded: timedelta, failing: timedelta) -> Finding:
    """By how far something is behind; `message` says so where that is longer than it should be."""
    seconds = round(max(0.0, lag.total_seconds()), 1)
    if lag >= failing:
        return Finding("failing", seconds, message)
    return Finding("degraded", seconds, message) if lag >= degraded else Finding("ok", seconds)


def worst_of(statuses: Iterable[Status]) -> Status:
    """`ok` of none."""
    return max(statuses, key=_FROM_GOOD_TO_BAD.index, default="ok")


def together(findings: Iterable[Finding]) -> Finding:
    """Several findings about one thing: the worst status with its messages, the longest lag."""
    found = list(findings)
    worst = worst_of(each.status for each in found)
    said = [each.message for each in found if each.status == worst and each.message]
    lags = [each.lag_seconds for each in found if each.lag_seconds is not None]
    return Finding(worst, max(lags, default=None), "; ".join(said) or None)
