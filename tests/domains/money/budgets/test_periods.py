"""Periods of budgets begin where the one before ends, from any day."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from finlink_words import BUDGET_PERIODS, BudgetPeriod

from server.domains.money.budgets.periods import Period, Schedule, months_later


def test_from_the_25th_to_the_24th() -> None:
    schedule = Schedule("monthly", date(2026, 1, 25))
    assert schedule.period(0) == Period(date(2026, 1, 25), date(2026, 2, 24))
    assert schedule.period(11) == Period(date(2026, 12, 25), date(2027, 1, 24))
    assert schedule.number_on(date(2026, 12, 24)) == 10
    assert schedule.number_on(date(2026, 12, 25)) == 11


def test_from_the_31st_each_month_s_last_day() -> None:
    schedule = Schedule("monthly", date(2026, 1, 31))
    firsts = [schedule.period(number).first for number in range(5)]
    assert firsts == [
        date(2026, 1, 31),
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 4, 30),
        date(2026, 5, 31),
    ]


def test_a_year_from_29_february() -> None:
    schedule = Schedule("yearly", date(2024, 2, 29))
    assert schedule.period(1) == Period(date(2025, 2, 28), date(2026, 2, 27))
    assert schedule.period(4).first == date(2028, 2, 29)


@pytest.mark.parametrize("kind", [each for each in BUDGET_PERIODS if each != "once"])
@pytest.mark.parametrize("start", [date(2023, 11, 30), date(2024, 2, 29), date(2023, 12, 31)])
def test_every_day_is_in_one_period(kind: BudgetPeriod, start: date) -> None:
    schedule = Schedule(kind, start)
    for before, after in pairwise(schedule.period(number) for number in range(60)):
        assert after.first == before.last + timedelta(days=1)
    day = start
    while day < date(2027, 1, 1):
        assert day in schedule.period(schedule.number_on(day))
        day += timedelta(days=1)


def test_the_last_period_ends_with_the_budget() -> None:
    schedule = Schedule("monthly", date(2026, 1, 1), date(2026, 2, 10))
    assert schedule.period(1) == Period(date(2026, 2, 1), date(2026, 2, 10))
    assert schedule.number_on(date(2030, 1, 1)) == 1
    assert schedule.number_on(date(2020, 1, 1)) == 0


def test_once_is_one_period() -> None:
    schedule = Schedule("once", date(2026, 1, 5), date(2026, 3, 1))
    assert schedule.period(0) == Period(date(2026, 1, 5), date(2026, 3, 1))
    assert schedule.number_on(date(2026, 2, 1)) == 0


def test_days_left_and_gone() -> None:
    period = Period(date(2026, 11, 1), date(2026, 11, 30))
    assert (period.days, period.days_left(date(2026, 11, 30))) == (30, 1)
    assert [period.days_left(date(2026, m, 1)) for m in (10, 11, 12)] == [30, 30, 0]
    assert [period.days_gone(date(2026, 11, day)) for day in (1, 4, 30)] == [1, 4, 30]
    assert period.days_gone(date(2026, 10, 31)) == 0


def test_months_later() -> None:
    assert months_later(date(2026, 1, 31), 13) == date(2027, 2, 28)
    assert months_later(date(2026, 12, 15), 1) == date(2027, 1, 15)
