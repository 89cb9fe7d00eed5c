"""Rules of posting without I/O: streams and values, what takes over what, and payees."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from server.domains.money.posting.payees import normal, payee_of
from server.domains.money.posting.rows import Value, bank_row, values_of
from server.domains.money.posting.takeovers import takeovers
from server.domains.money.transactions.model import Origin, Transaction
from server.kernel import FedRecord

NOW = datetime(2026, 11, 3, tzinfo=UTC)
DAY = NOW.date()
ROW = {
    "date": "2026-11-03", "direction": "debit", "amount": {"value": "12.5", "currency": "INR"},
    "narration": "N", "mode": "UPI", "institution": "Nila", "balanceAfter": {"value": "100"},
}  # fmt: skip


def record(**data: Any) -> FedRecord:
    return FedRecord("1", "k", data)


def test_a_row_in_whole_units() -> None:
    found = bank_row(record(**ROW), "fi_money")
    assert found is not None
    assert (found.stream, found.units, found.sign, found.balance) == (
        "bank:Nila",
        1_250,
        -1,
        10_000,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": {"value": "1.005", "currency": "INR"}},
        {"amount": {"value": "1", "currency": "XAU"}},
        {"amount": {"value": "NaN", "currency": "INR"}},
        {"amount": None},
        {"date": "soon"},
    ],
)
def test_what_is_no_money(wrong: Any) -> None:
    assert bank_row(record(**{**ROW, **wrong}), "fi_money") is None


def test_a_row_without_a_house_is_of_its_platform() -> None:
    found = bank_row(record(**{**ROW, "institution": "", "direction": "other"}), "fi_money")
    assert found is not None
    assert (found.stream, found.sign) == ("bank:fi_money", 0)


def test_values_by_house_and_currency() -> None:
    def holding(kind: str, value: str, currency: str = "INR", **others: Any) -> FedRecord:
        return record(kind=kind, value={"value": value, "currency": currency}, **others)

    found = values_of(
        [
            holding("equity", "10"),
            holding("cash", "5.25"),
            holding("equity", "7", "USD"),
            holding("account", "1000"),
            holding("asset_total", "1000"),
            holding("liability", "3", institution="B", debt="card"),
            holding("liability", "4", institution="B"),
            record(kind="equity"),
        ],
        "zerodha",
    )
    assert found == {
        "investment:zerodha": Value("investment", "zerodha", "INR", 1_525, None),
        "investment:zerodha/USD": Value("investment", "zerodha", "USD", 700, None),
        "card:B": Value("credit_card", "B", "INR", -300, None),
    }


def transaction(key: str, day: date, units: int = 450, source: Any = "manual") -> Transaction:
    return Transaction(
        id=key, owner="o", rev=1, account_id="a", kind="expense", direction="out", units=units,
        day=day, origins=(Origin(source),), created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def taken(rows: list[tuple[str, int, date]], known: list[Transaction]) -> dict[str, str]:
    return {key: one.id for key, one in takeovers(rows, known, "connector").items()}


def test_the_nearest_is_taken_over_one_to_one() -> None:
    known = [transaction("far", DAY - timedelta(days=4)), transaction("near", DAY)]
    assert taken([("r", -450, DAY)], known) == {"r": "near"}
    both = [("r1", -450, DAY + timedelta(days=1)), ("r2", -450, DAY)]
    assert taken(both, known) == {"r2": "near", "r1": "far"}
    assert taken([*both, ("r3", -450, DAY)], known[:1]) == {"r2": "far"}


def test_what_is_not_taken_over() -> None:
    assert taken([("r", -450, DAY)], [transaction("x", DAY, source="connector")]) == {}
    assert taken([("r", -450, DAY)], [transaction("x", DAY, 451)]) == {}
    assert taken([("r", 450, DAY)], [transaction("x", DAY)]) == {}
    assert taken([("r", -450, DAY)], [transaction("x", DAY + timedelta(days=6))]) == {}
    assert taken([("r", -450, DAY)], [transaction("x", DAY + timedelta(days=5))]) == {"r": "x"}


@pytest.mark.parametrize(
    ("text", "payee"),
    [
        ("UPI-GREENLEAF GROCERS-GREENLEAF@KONKAN-123456789012", "GREENLEAF GROCERS"),
        ("POS 4XXX1187 NILA BOOKS-000012341234", "NILA BOOKS"),
        ("BIL/ONL/CITY ELECTRICITY-99", "CITY ELECTRICITY"),
        ("ACH D-SAHYADRI FLEXI CAP FUND-1", "SAHYADRI FLEXI CAP FUND"),
        ("NEFT-123456", None),
        ("", None),
    ],
)
def test_the_payee_of_a_bank_s_text(text: str, payee: str | None) -> None:
    assert payee_of(text) == payee


def test_payees_are_the_same_whatever_their_case() -> None:
    assert normal("Nila  BOOKS") == normal("nila books")
