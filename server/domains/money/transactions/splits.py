"""Splits: parts of a transaction that add up to it exactly."""

from collections.abc import Sequence

from server.core import money
from server.core.errors import InvalidRequest
from server.domains.money.transactions.facts import Facts, positive_units
from server.domains.money.transactions.model import Kind, NewPart, Part

FIELD = "splits"
_LEAST = 2


def parts_of(
    given: Sequence[NewPart], units: int, currency: str, kind: Kind, facts: Facts
) -> tuple[Part, ...]:
    """The parts of a transaction of so many units. Raises InvalidRequest, CategoryNotFound."""
    if len(given) == 1:
        raise InvalidRequest.of(FIELD, f"must have at least {_LEAST} parts")
    if given and kind in {"transfer", "adjustment"}:
        raise InvalidRequest.of(FIELD, f"must be left out: a transaction of kind {kind} has none")
    parts = []
    for index, each in enumerate(given):
        place = f"{FIELD}[{index}]"
        facts.check_category(each.category_id, kind, f"{place}.categoryId")
        part_units = positive_units(each.amount, currency, f"{place}.amount")
        parts.append(Part(part_units, each.category_id, each.description))
    check_sum(parts, units, currency)
    return tuple(parts)


def check_sum(parts: Sequence[Part], units: int, currency: str) -> None:
    """Raises InvalidRequest naming the difference unless the parts add up."""
    total = sum(part.units for part in parts)
    if not parts or total == units:
        return
    difference = money.text(abs(total - units), currency)
    word = "more" if total > units else "less"
    raise InvalidRequest.of(
        FIELD,
        f"add up to {money.text(total, currency)}, {difference} {word} than {money.text(units, currency)}",
    )
