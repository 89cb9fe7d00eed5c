"""Periods of budgets: from any day on, without gaps.

A period begins on the day of the start date. In a month that lacks the day it begins on the last one, and the
day itself stays: from the 31st each month's last day.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from finlink_words import BudgetPeriod

MONTHS: dict[BudgetPeriod, int] = {"monthly": 1, "quarterly": 3, "yearly": 12}
_WEEK = timedelta(weeks=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def days_left(self, today: date) -> int:
        """Today included; 0 when it is over."""
        return max(0, (self.last - max(today, self.first)).days + 1)

    def days_gone(self, today: date) -> int:
        """Today included; 0 before it has begun."""
        return self.days - self.days_left(today + _DAY)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The periods of a budget, counted from 0."""

    kind: BudgetPeriod
    start: date
    end: date | None = None

    def period(self, number: int) -> Period:
        if self.kind == "once":
            return Period(self.start, self.end or self.start)
        last = self._first_day(number + 1) - _DAY
        return Period(self._first_day(number), last if self.end is None else min(last, self.end))

    def number_on(self, day: date) -> int:
        """Which period a day is in; the first or last one if it is before or after all of them."""
        if self.end is not None:
            day = min(day, self.end)
        if self.kind == "once" or day <= self.start:
            return 0
        if self.kind == "weekly":
            return (day - self.start) // _WEEK
        months = (day.year - self.start.year) * 12 + day.month - self.start.month
        number = months // MONTHS[self.kind]
        return number if self._first_day(number) <= day else number - 1

    def up_to(self, day: date) -> Iterator[Period]:
        """All periods from the first to the one that a day is in."""
        return (self.period(number) for number in range(self.number_on(day) + 1))

    def _first_day(self, number: int) -> date:
        if self.kind == "weekly":
            return self.start + number * _WEEK
        return months_later(self.start, number * MONTHS[self.kind])


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
