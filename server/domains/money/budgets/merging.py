"""Items of budgets whose categories were merged: those that meet are added together."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from server.domains.money.budgets.model import Budget, Item, Planned


def resolved_budget(
    budget: Budget, resolved: Callable[[str], str | None], rev: int | None = None
) -> Budget:
    """The budget with the categories that its items' ones stand for; an item of none goes.

    Items that are other ones then get the revision.
    """
    found: dict[str, Item] = {}
    for item in budget.items:
        category_id = resolved(item.category_id)
        if category_id is None:
            continue
        item = replace(item, category_id=category_id)  # noqa: PLW2901 - the same one
        met = found.get(category_id)
        found[category_id] = item if met is None else replace(met, planned=_sum(met, item))
    items = tuple(found.values())
    if rev is not None:
        items = tuple(each if each in budget.items else replace(each, rev=rev) for each in items)
    return replace(budget, items=items)


def _sum(one: Item, other: Item) -> Sequence[Planned]:
    days = sorted({each.since for item in (one, other) for each in item.planned})
    return tuple(Planned(day, one.units_of(day) + other.units_of(day)) for day in days)
