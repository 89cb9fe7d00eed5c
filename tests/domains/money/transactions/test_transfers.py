"""Which transactions are suggested as transfers, and which are certain."""

from __future__ import annotations

from datetime import date

import pytest

from server.domains.money.transactions.transfers import Movement, candidates, certain


def move(identifier: str, account: str, signed: int, day: int, currency: str = "INR") -> Movement:
    return Movement(identifier, account, currency, signed, date(2026, 11, day))


def test_two_outflows_and_one_inflow_are_suggested_and_not_certain() -> None:
    movements = [move("o1", "a", -100, 14), move("o2", "b", -100, 14), move("i", "c", 100, 16)]
    pairs = candidates(movements)
    assert sorted(pairs) == [("o1", "i"), ("o2", "i")]
    assert certain(pairs) == []


def test_one_of_each_is_certain() -> None:
    assert certain(candidates([move("o", "a", -100, 14), move("i", "b", 100, 16)])) == [("o", "i")]


@pytest.mark.parametrize(
    ("day", "signed", "account", "currency"),
    [(13, 100, "b", "INR"), (19, 100, "b", "INR"), (16, 101, "b", "INR"), (16, 100, "a", "INR"),
     (16, 100, "b", "EUR"), (16, -100, "b", "INR")],
)  # fmt: skip
def test_what_is_no_transfer(day: int, signed: int, account: str, currency: str) -> None:
    out = move("o", "a", -100, 14)
    assert candidates([out, move("i", account, signed, day, currency)]) == []


@pytest.mark.parametrize("day", [14, 18])
def test_the_ends_of_the_range_count(day: int) -> None:
    assert candidates([move("o", "a", -100, 14), move("i", "b", 100, day)])


def test_a_pair_that_was_parted_is_never_suggested_again() -> None:
    movements = [move("o", "a", -100, 14), move("i", "b", 100, 14)]
    assert candidates(movements, parted={("o", "i")}) == []


def test_an_inflow_that_could_be_of_two_is_certain_once_one_is_parted() -> None:
    movements = [move("o1", "a", -100, 14), move("o2", "b", -100, 14), move("i", "c", 100, 16)]
    assert certain(candidates(movements, parted=[("o1", "i")])) == [("o2", "i")]
