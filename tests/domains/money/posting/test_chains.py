"""Chains of balances: what they prove, and where there is none."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

from server.domains.money.posting.chains import chain
from server.domains.money.posting.rows import BankRow
from server.kernel import FedRecord

DAY = date(2026, 11, 3)


def row(key: str, units: int, sign: int | None, balance: int | None, day: date = DAY) -> BankRow:
    direction: Any = None if sign is None else "in" if sign > 0 else "out"
    record = FedRecord(key, key, {})
    return BankRow(record, "bank:B", "B", day, "INR", units, direction, balance, key)


def statement(seed: int, count: int, opening: int) -> list[BankRow]:
    """Rows of a real account, in no order."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    left, rows, day = opening, [], DAY
    for number in range(count):
        units, sign = chance.randrange(1, 50_000), chance.choice([1, -1])
        left += sign * units
        rows.append(row(str(number), units, sign, left, day))
        day += timedelta(days=chance.choice([0, 0, 1]))
    chance.shuffle(rows)
    return rows


def test_the_ends_of_a_statement_in_any_order() -> None:
    for seed in range(40):
        rows = statement(seed, 120, 10_000)
        found = chain(rows)
        assert found is not None
        newest = max(rows, key=lambda each: int(each.record.id))
        assert (found.first, found.last) == (10_000, newest.balance)
        assert chain(rows, 10_000) is not None
        assert chain(rows, 10_001) is None


def test_a_missing_row_or_balance_breaks_it() -> None:
    rows = sorted(statement(1, 30, 0), key=lambda each: int(each.record.id))
    assert chain(rows[:10] + rows[11:]) is None
    assert chain([*rows, row("x", 5, 1, None, DAY + timedelta(days=90))]) is None
    assert chain([]) is None


def test_two_accounts_of_one_bank_are_no_chain() -> None:
    rows = [row("a", 100, 1, 1_100), row("b", 50, -1, 7_950), row("c", 100, 1, 1_200)]
    assert chain(rows) is None


def test_a_sign_that_the_bank_does_not_say_is_proven() -> None:
    rows = [row("a", 100, 1, 1_100), row("b", 40, None, 1_060), row("c", 60, 1, 1_120)]
    found = chain(rows)
    assert found is not None
    assert (found.first, found.last, found.signs) == (1_000, 1_120, {"b": -1})


def test_a_sign_alone_is_not_proven_by_itself() -> None:
    alone = chain([row("b", 40, None, 1_060)])
    assert alone is None or not alone.signs
    after = chain([row("b", 40, None, 1_060)], 1_100)
    assert after is not None
    assert after.signs == {"b": -1}


def test_many_equal_rows_of_one_day_take_no_time() -> None:
    rows = [row(str(number), 100, 1, 100 * number) for number in range(1, 151)]
    assert chain(rows) is not None
    mixed = [row(str(number), 100, None, 0) for number in range(40)]
    assert chain(mixed) is None
