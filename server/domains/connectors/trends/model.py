"""Counts of connections and syncs by the minute, and how minutes are summed to intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from finlink_words import PLATFORMS

MINUTE = timedelta(minutes=1)
MOST_POINTS = 120
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Counts:
    started: int = 0
    timed: int = 0  # those of them that were due at a time
    late_seconds: float = 0.0  # of those, all together
    late_seconds_max: float = 0.0
    succeeded: int = 0
    partial: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # failed runs by code
    connections: Mapping[str, int] | None = None  # by status, as they were in the end

    @property
    def failed(self) -> int:
        return self.failures.total()

    def go_on(self, then: Counts) -> None:
        """Take in what happened after this."""
        self.started += then.started
        self.timed += then.timed
        self.late_seconds += then.late_seconds
        self.late_seconds_max = max(self.late_seconds_max, then.late_seconds_max)
        self.succeeded += then.succeeded
        self.partial += then.partial
        self.failures.update(then.failures)
        if then.connections is not None:
            self.connections = then.connections


@dataclass(frozen=True, slots=True)
class Minute:
    """One platform in the minute that began `at`."""

    at: datetime
    platform: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Point:
    at: datetime
    platforms: Mapping[str, Counts]


@dataclass(frozen=True, slots=True)
class Trends:
    """Steps of one length, oldest first."""

    step: timedelta
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Window:
    """Steps, one after the other, the last one under way. They begin at multiples of their length."""

    first: datetime
    step: timedelta
    points: int

    @classmethod
    def of(cls, now: datetime, minutes: int) -> Window:
        """About so many minutes up to now."""
        step = MINUTE * -(-minutes // MOST_POINTS)
        points = -(-minutes // (step // MINUTE))
        return cls(_floor(now, step) - step * (points - 1), step, points)

    def in_steps(self, minutes: Iterable[Minute]) -> list[Point]:
        """The minutes that lie within, in whatever order they come; none of the steps is left out."""
        points = [
            Point(self.first + self.step * number, {name: Counts() for name in PLATFORMS})
            for number in range(self.points)
        ]
        for minute in sorted(minutes, key=lambda minute: minute.at):
            number = (minute.at - self.first) // self.step
            if 0 <= number < self.points and minute.platform in PLATFORMS:
                points[number].platforms[minute.platform].go_on(minute.counts)
        return points


def minute_of(moment: datetime) -> datetime:
    """When its minute began."""
    return _floor(moment, MINUTE)


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % step
