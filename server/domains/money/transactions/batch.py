"""One change of up to 500 transactions: each is decided alone, all are written together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from server.core.errors import ApiError, FieldError, InvalidRequest

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Failure:
    index: int
    error: ApiError


@dataclass(slots=True)
class Outcome:
    """By the place in the request: the transaction that stands for it, or why there is none."""

    ids: dict[int, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def each_of(items: Sequence[T], decide: Callable[[T], str]) -> Outcome:
    """Decide item by item; one that fails leaves the others."""
    outcome = Outcome()
    for index, item in enumerate(items):
        try:
            outcome.ids[index] = decide(item)
        except ApiError as error:
            outcome.failures.append(Failure(index, error))
    return outcome


def raise_failures(outcome: Outcome, place: str) -> None:
    """Raise what is wrong with any item: all wrong fields of all items, by their path; else the first error,
    whose `metadata.index` says which item it is about."""
    fields = [
        FieldError(
            f"{place}[{failure.index}]" + (f".{each.field}" if each.field else ""), each.message
        )
        for failure in outcome.failures
        if isinstance(failure.error, InvalidRequest)
        for each in failure.error.fields or [FieldError("", failure.error.message)]
    ]
    if fields:
        raise InvalidRequest(fields=fields)
    if outcome.failures:
        first = outcome.failures[0]
        first.error.metadata["index"] = str(first.index)
        first.error.fields = tuple(
            FieldError(f"{place}[{first.index}].{each.field}", each.message)
            for each in first.error.fields
        )
        raise first.error
