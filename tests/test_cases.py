"""A test of many cases runs all of them and says which fail."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import for_each, only


def test_all_run_and_each_that_fails_is_named() -> None:
    run: list[int] = []

    @for_each("number", [1, 2, 3, 4], ids=lambda number: f"case {number}")
    def test(number: int) -> None:
        run.append(number)
        if number == 2:
            pytest.fail("by hand")
        assert number != 4, "four"

    with pytest.raises(BaseExceptionGroup, match=r"2 of 4 cases fail: case 2, case 4") as raised:
        test()
    assert run == [1, 2, 3, 4]
    assert [str(each) for each in raised.value.exceptions] == ["by hand", "four\nassert 4 != 4"]
    assert raised.value.exceptions[0].__notes__ == ["The case: case 2"]


async def test_cases_run_at_once_and_all_fixtures_are_given() -> None:
    waiting = asyncio.Barrier(3)

    @for_each(("left", "right"), [(1, "a"), (2, "b"), (3, "c")], at_once=3)
    async def test(left: int, extra: list[str], right: str) -> None:
        await waiting.wait()
        extra.append(f"{left}{right}")

    assert list(inspect.signature(test).parameters) == ["extra"]
    found: list[str] = []
    await test(extra=found)
    assert sorted(found) == ["1a", "2b", "3c"]


def test_cases_of_cases() -> None:
    found: list[tuple[int, str]] = []

    @for_each("number", [1, 2])
    @for_each("letter", ["a", "b"])
    def test(number: int, letter: str) -> None:
        found.append((number, letter))

    test()
    assert found == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


def test_a_case_can_be_run_alone() -> None:
    found: list[str] = []

    @for_each("name", ["GetUser", "CreateUser"])
    @for_each("scope", ["read", "write"])
    def test(name: str, scope: str) -> None:
        found.append(f"{name} {scope}")

    chosen = only(test, "createuser-W")
    assert chosen is not None
    chosen()
    assert found == ["CreateUser write"]
    assert only(test, "DeleteUser") is None
    assert only(print, "print") is None


def test_what_is_not_tried_fails() -> None:
    @for_each("number", [])
    def test(number: int) -> None:
        """Is never called."""

    with pytest.raises(AssertionError, match="there are no cases"):
        test()

    @for_each("number", [1])
    def skipping(number: int) -> None:
        pytest.skip("not here")

    with pytest.raises(BaseExceptionGroup, match="1 of 1 cases fail"):
        skipping()


def test_examples_of_each_case() -> None:
    found: set[str] = set()

    @for_each("name", ["one", "two"])
    @given(value=st.booleans())
    def test(name: str, value: bool) -> None:
        found.add(f"{name} {value}")

    test()
    assert found == {"one True", "one False", "two True", "two False"}
