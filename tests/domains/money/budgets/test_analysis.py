"""A budget against what was spent, by hand-made sums."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from server.domains.money.budgets.analysis import (
    Analyst,
    PeriodAnalysis,
    counted_accounts,
    days_of_periods,
    percent,
    status_of,
)
from server.domains.money.budgets.model import EVER, Budget, Item, Planned
from server.domains.money.ledger.model import Cell

NOW = datetime(2026, 11, 15, tzinfo=UTC)
TODAY = date(2026, 11, 15)
FOOD, SNACKS, RENT, WAGE = "food", "snacks", "rent", "wage"
PARENTS = {SNACKS: FOOD}
ACCOUNTS = {"bank": "INR", "euro": "EUR", "dirham": "AED"}


def item(category: str, units: int, **others: Any) -> Item:
    return Item(
        id=f"i-{category}", rev=1, category_id=category, planned=(Planned(EVER, units),), **others
    )


def budget(*items: Item, **others: Any) -> Budget:
    given: dict[str, Any] = {"period": "monthly", "start_date": date(2026, 9, 1), **others}
    return Budget(
        id="b", owner="u", rev=1, name="Plan", currency="INR", items=items,
        created_at=NOW, updated_at=NOW, **given,
    )  # fmt: skip


def cell(day: str, category: str | None, units: int, **others: Any) -> Cell:
    given = {"account_id": "bank", "kind": "expense" if units < 0 else "refund", **others}
    return Cell(date.fromisoformat(day), given["account_id"], category, given["kind"], units, 1)


def convert(units: int, currency: str, day: date) -> int | None:
    return round(units * 90) if currency == "EUR" else None


def analysed(plan: Budget, *cells: Cell, since: int = 0, until: int = 2) -> list[PeriodAnalysis]:
    analyst = Analyst(plan, ACCOUNTS, PARENTS, convert, TODAY)
    return analyst.periods(cells, since, until)


def test_a_refund_lessens_spending_in_the_month_of_its_own_date() -> None:
    november, december = "2026-11-03", "2026-12-05"
    same = analysed(budget(item(FOOD, 500)), cell(november, FOOD, -500), cell(november, FOOD, 200))
    assert same[0].items[0].spent == 300
    later = analysed(
        budget(item(FOOD, 500)), cell(november, FOOD, -500), cell(december, FOOD, 200), until=3
    )
    first, second = later[0].items[0], later[1].items[0]
    assert (first.spent, first.remaining) == (-200, 700)
    assert second.spent == 500


def test_an_item_covers_children_without_an_item_of_their_own() -> None:
    cells = (cell("2026-11-01", FOOD, -100), cell("2026-11-02", SNACKS, -50))
    (together, *_) = analysed(budget(item(FOOD, 500)), *cells)
    assert [each.spent for each in together.items] == [150]
    (apart, *_) = analysed(budget(item(FOOD, 500), item(SNACKS, 100)), *cells)
    assert [each.spent for each in apart.items] == [100, 50]


def test_what_no_item_covers_is_named_most_first() -> None:
    (period, *_) = analysed(
        budget(item(FOOD, 500)),
        cell("2026-11-01", RENT, -900),
        cell("2026-11-02", None, -1000),
        cell("2026-11-03", FOOD, -1),
        cell("2026-11-03", WAGE, 5000, kind="income"),
        cell("2026-11-03", None, -7000, kind="transfer"),
    )
    assert period.unbudgeted == [(None, 1000), (RENT, 900)]
    assert period.income == 5000


@pytest.mark.parametrize(
    ("rollover", "expected"),
    [("none", [0, 0, 0]), ("surplus", [0, 300, 0]), ("all", [0, 300, -100])],
)
def test_rollover(rollover: Any, expected: list[int]) -> None:
    plan = budget(item(FOOD, 500), rollover=rollover)
    periods = analysed(plan, cell("2026-09-05", FOOD, -200), cell("2026-10-05", FOOD, -900))
    assert [each.items[0].carried_in for each in reversed(periods)] == expected


@pytest.mark.parametrize("period", ["monthly", "weekly", "once"])
def test_days_that_count_as_one_change_nothing(period: Any) -> None:
    chance = random.Random(period)  # noqa: S311 - to be repeated
    plan = budget(
        item(FOOD, 500, rollover="all"), item(RENT, 70),
        period=period, end_date=date(2026, 11, 20), start_date=date(2026, 9, 12),
    )  # fmt: skip
    first = date(2026, 8, 25)
    cells = [
        cell(
            f"{first + timedelta(days=chance.randrange(100))}",
            chance.choice([FOOD, SNACKS, RENT, None]),
            chance.randrange(-900, 300),
            account_id=chance.choice(["bank", "bank", "euro", "dirham", "not counted"]),
            kind=chance.choice(["expense", "refund", "income", "transfer"]),
        )
        for _ in range(400)
    ]
    day_of = days_of_periods(plan, ACCOUNTS, TODAY)
    merged = [replace(each, day=day_of(each.day, each.account_id)) for each in cells]
    last = plan.schedule.number_on(TODAY)
    assert analysed(plan, *merged, until=last) == analysed(plan, *cells, until=last)
    assert len({each.day for each in merged if each.account_id == "bank"}) < 40


def test_what_was_carried_is_the_same_for_any_first_period() -> None:
    plan = budget(item(FOOD, 500), rollover="all")
    cells = (cell("2026-09-05", FOOD, -200), cell("2026-10-05", FOOD, -900))
    assert analysed(plan, *cells, since=2)[0] == analysed(plan, *cells)[0]


def test_an_item_may_roll_over_by_itself_and_once_never_does() -> None:
    plan = budget(item(FOOD, 500, rollover="surplus"), item(RENT, 10))
    assert [each.carried_in for each in analysed(plan)[0].items] == [1000, 0]
    once = budget(item(FOOD, 5, rollover="all"), period="once", end_date=date(2026, 12, 1))
    assert not once.carries


def test_a_new_amount_counts_from_the_running_period_on() -> None:
    changed = item(FOOD, 500).with_units(700, date(2026, 11, 1)).with_units(800, date(2026, 11, 1))
    periods = analysed(budget(changed))
    assert [each.items[0].budgeted for each in reversed(periods)] == [500, 500, 800]
    late = Item(id="x", rev=1, category_id=FOOD, planned=(Planned(date(2026, 10, 1), 5),))
    assert [each.items[0].budgeted for each in reversed(analysed(budget(late)))] == [0, 5, 5]


def test_an_amount_goes_with_the_period_of_the_day_on_which_it_was_set() -> None:
    """Whatever becomes of the periods: of a budget whose start moves, or that had ended."""
    changed = item(FOOD, 500).with_units(700, TODAY, date(2026, 11, 1))
    for plan, expected in (
        (budget(changed), [500, 500, 700]),
        (budget(changed, start_date=date(2026, 9, 25)), [500, 700, 700]),
        (budget(changed, start_date=date(2026, 9, 14)), [500, 500, 700]),
        (budget(changed, start_date=date(2026, 9, 16)), [500, 700, 700]),
        (budget(changed, end_date=date(2026, 11, 10)), [500, 500, 500]),
    ):
        assert [each.items[0].budgeted for each in reversed(analysed(plan))] == expected
    again = changed.with_units(800, date(2026, 11, 20), date(2026, 11, 1))
    assert again.planned == (Planned(EVER, 500), Planned(date(2026, 11, 20), 800))


def test_other_currencies_are_converted_or_stand_apart() -> None:
    (period, *_) = analysed(
        budget(item(FOOD, 500)),
        cell("2026-11-01", FOOD, -2, account_id="euro"),
        cell("2026-11-01", FOOD, 1, account_id="euro"),
        cell("2026-11-01", FOOD, -7, account_id="dirham"),
        cell("2026-11-01", FOOD, -3, account_id="not counted"),
    )
    assert period.items[0].spent == 90
    assert period.unconverted == {"AED": 7}


def test_days_outside_of_the_budget_count_nowhere() -> None:
    plan = budget(item(FOOD, 500), end_date=date(2026, 11, 10))
    (period, *_) = analysed(plan, cell("2026-11-11", FOOD, -5), cell("2026-08-31", FOOD, -5))
    assert period.items[0].spent == 0


@pytest.mark.parametrize(("day", "expected"), [(3, None), (4, 750), (15, 200)])
def test_projection_comes_after_three_days(day: int, expected: int | None) -> None:
    analyst = Analyst(budget(item(FOOD, 500)), ACCOUNTS, PARENTS, convert, date(2026, 11, day))
    cells = [cell("2026-11-01", FOOD, -100), cell("2026-11-20", FOOD, -1)]
    assert analyst.periods(cells, 2, 2)[0].items[0].projected == expected
    assert analyst.periods(cells, 1, 1)[0].items[0].projected is None, "it is over"


@pytest.mark.parametrize(
    ("spent", "available", "alerts", "status"),
    [
        (79, 100, (80, 100), "ok"),
        (80, 100, (80, 100), "warning"),
        (100, 100, (80, 100), "warning"),
        (101, 100, (80, 100), "over"),
        (100, 100, (), "warning"),
        (99, 100, (150,), "ok"),
        (0, 0, (80,), "ok"),
        (1, 0, (80,), "over"),
        (-5, 0, (80,), "ok"),
        (0, -10, (80,), "over"),
    ],
)
def test_status(spent: int, available: int, alerts: tuple[int, ...], status: str) -> None:
    assert status_of(spent, available, alerts) == status


def test_percentages_have_one_decimal() -> None:
    assert [percent(1, 3), percent(25, 10000), percent(35, 10000)] == ["33.3", "0.2", "0.4"]
    assert percent(5, 0) is None


def test_accounts_that_count() -> None:
    currencies = {"a": "INR", "b": "EUR"}
    assert counted_accounts(budget(), currencies, {"a"}) == {"a": "INR"}
    assert counted_accounts(budget(account_ids=("b", "gone")), currencies, {"a"}) == {"b": "EUR"}
