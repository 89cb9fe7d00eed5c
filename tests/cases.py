"""Many cases in one test: all of them run, and its failure has each that fails, by name.

A test of its own costs several times what most cases do, in each process that collects it. `pytest --case
WORD` runs the tests that have a case with this in its name, and of them those cases alone.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import settings

FULL = 100  # examples of a property with `--full`; see tests/conftest.py
# A case that skips would take the others along, so it counts as one that fails.
_FAILURES = (Exception, pytest.fail.Exception, pytest.skip.Exception)


class Cases:
    """Runs cases, and remembers which fail."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._failures: list[tuple[str, BaseException]] = []

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        assert name not in self._names, f"two cases are named {name}"
        self._names.append(name)
        try:
            yield
        except _FAILURES as failure:
            failure.add_note(f"The case: {name}")
            self._failures.append((name, failure))

    def check(self) -> None:
        """Fail with all that failed; without a single case, too."""
        assert self._names, "there are no cases"
        if self._failures:
            names = ", ".join(name for name, _ in self._failures)
            said = f"{len(self._failures)} of {len(self._names)} cases fail: {names}"
            raise BaseExceptionGroup(said, [failure for _, failure in self._failures])


@dataclass(frozen=True)
class _Listed:
    """What a test does with its cases: each has a name and arguments."""

    test: Callable[..., Any]
    cases: Sequence[tuple[str, dict[str, Any]]]
    at_once: int

    def named(self, word: str) -> _Listed:
        """The same for those cases alone in whose name this is."""
        chosen = [case for case in self.cases if word.casefold() in case[0].casefold()]
        return replace(self, cases=chosen)

    def run(self, **fixtures: Any) -> None:
        found = Cases()
        for name, case in self.cases:
            with found.case(name):
                self.test(**fixtures, **case)
        found.check()

    async def run_async(self, **fixtures: Any) -> None:
        found, free = Cases(), asyncio.Semaphore(self.at_once)

        async def run_one(name: str, case: dict[str, Any]) -> None:
            async with free:
                with found.case(name):
                    await self.test(**fixtures, **case)

        await asyncio.gather(*(run_one(name, case) for name, case in self.cases))
        found.check()


def for_each(
    names: str | Sequence[str],
    cases: Iterable[Any],
    ids: Iterable[object] | Callable[[Any], object] | None = None,
    *,
    at_once: int = 1,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """As `pytest.mark.parametrize`, in one test: fixtures are made once, for all cases.

    Of an async test, as many cases as `at_once` says run at the same time.
    """
    arguments = [names] if isinstance(names, str) else list(names)
    rows = [(case,) if isinstance(names, str) else tuple(case) for case in cases]
    listed = [
        (name, dict(zip(arguments, row, strict=True)))
        for name, row in zip(_names(rows, ids), rows, strict=True)
    ]

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        inner = getattr(test, "cases", _Listed(test, [("", {})], 1))
        both = [
            (f"{name}-{more}" if more else name, {**case, **others})
            for (name, case), (more, others) in product(listed, inner.cases)
        ]
        return _runner(_Listed(inner.test, both, max(at_once, inner.at_once)), arguments, test)

    return decorate


def examples(count: int, few: int = 6) -> settings:
    """Of a property, or of each of its cases: so many with `--full`, otherwise a few, others in each run."""
    return settings(max_examples=count if settings().max_examples == FULL else few)


def only(test: Callable[..., Any], word: str) -> Callable[..., Any] | None:
    """The test with those cases alone in whose name the word is; None if it has no such."""
    listed = getattr(test, "cases", None)
    if listed is None or not (chosen := listed.named(word)).cases:
        return None
    return _runner(chosen, [], test)


def _runner(
    listed: _Listed, arguments: Sequence[str], test: Callable[..., Any]
) -> Callable[..., Any]:
    """A test of these cases as pytest is to see it: as `test`, without these arguments."""
    if inspect.iscoroutinefunction(listed.test):

        async def run_async(**fixtures: Any) -> None:
            await listed.run_async(**fixtures)

        run: Callable[..., Any] = run_async
    else:

        def run_plainly(**fixtures: Any) -> None:
            listed.run(**fixtures)

        run = run_plainly
    of_test = inspect.signature(test)
    assert set(arguments) <= of_test.parameters.keys()
    fixtures = [each for name, each in of_test.parameters.items() if name not in arguments]
    marks = getattr(test, "pytestmark", [])
    if getattr(test, "is_hypothesis_test", False):
        marks = [*marks, pytest.mark.hypothesis.mark]
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(run, name, getattr(test, name))
    for name, value in {
        "cases": listed,
        "pytestmark": marks,
        "__signature__": of_test.replace(parameters=fixtures),
        "__wrapped__": listed.test,  # where it stands in its file
    }.items():
        setattr(run, name, value)
    return run


def _names(
    rows: Sequence[tuple[Any, ...]], ids: Iterable[object] | Callable[[Any], object] | None
) -> list[str]:
    """The names that are given, or what the cases are made of; numbered where they are the same."""
    if ids is None or callable(ids):
        show = _shown if ids is None else ids
        named = ["-".join(str(show(value)) for value in row) for row in rows]
    else:
        named = [str(each) for each in ids]
    seen: dict[str, int] = {}
    for place, name in enumerate(named):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            named[place] = f"{name} ({seen[name]})"
    return named


def _shown(value: object) -> str:
    text = getattr(value, "__name__", None) or (value if isinstance(value, str) else repr(value))
    return text if len(text) <= 60 else f"{text[:60]}…"
