"""Chains of balances: what they prove, and where there is none."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

from server.domains.money.posting.chains import chain, newest_balance, proven_signs
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


def test_a_statement_with_a_gap_proves_its_newest_balance() -> None:
    rows = sorted(statement(3, 60, 10_000), key=lambda each: (each.day, int(each.record.id)))
    newest = rows[-1].balance
    assert newest_balance(rows) == newest
    days = sorted({each.day for each in rows})
    gone = {days[3], days[4], days[9]}
    assert newest_balance([each for each in rows if each.day not in gone]) == newest
    assert newest_balance(rows[::2]) is None
    middle = next(n for n in range(1, 59) if rows[n - 1].day == rows[n].day == rows[n + 1].day)
    assert newest_balance(rows[:middle] + rows[middle + 1 :]) is None, "a day that is no chain"
    both = rows + [
        row(f"other {each.record.id}", each.units, each.sign, (each.balance or 0) + 7, each.day)
        for each in statement(4, 60, 900_000)
    ]
    assert newest_balance(both) is None, "two accounts at one bank"
    assert newest_balance([*rows, row("x", 5, 1, None, DAY + timedelta(days=90))]) is None


def test_a_sign_is_proven_by_the_balances_around_it() -> None:
    later = DAY + timedelta(days=2)
    rows = [
        row("a", 100, 1, 1_100), row("gap", 50, -1, 7_000), row("b", 40, None, 7_040, later),
        row("c", 300, None, 6_000, later + timedelta(days=1)),
    ]  # fmt: skip
    assert chain(rows) is None
    assert proven_signs(rows) == {"b": 1}
    assert proven_signs(rows[2:3]) == {}
    assert proven_signs(rows[2:3], 7_080) == {"b": -1}


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
