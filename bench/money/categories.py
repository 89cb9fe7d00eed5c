"""How long it takes to delete a category that 100,000 transactions have, and that no sum moves by it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bench.agreement import Disagreement
from bench.money.calls import PERIODS, five_years
from bench.money.filling import MOVING
from bench.money.shape import MOVER
from bench.money.world import Caller, World, expense_categories
from bench.rows import figure_row

_TIMES = 4  # in a turn
_NEW = {"type": "expense"}


def deletions(world: World, turns: int) -> dict[str, Any]:
    """Each time a new category takes the place of the one before."""
    taken: list[list[float]] = []
    with world.client(MOVER) as client:
        analysis = f"/api/v1/budgets/{five_years(world, client)}/analysis?periods={PERIODS}"
        number, last = max(
            (int(each["name"].partition(" ")[2]), each["id"])
            for each in expense_categories(client)
            if each["name"].startswith(MOVING)
        )
        for turn in range(turns):
            world.up.report(f"category deletion: turn {turn + 1} of {turns}")
            taken.append([])
            for _ in range(_TIMES):
                number += 1
                new = {**_NEW, "name": f"{MOVING} {number}"}
                following = client.done("POST", "/api/v1/categories", new)["id"]
                before = _spent(client, analysis)
                path = f"/api/v1/categories/{last}?moveTo={following}"
                taken[-1].append(client.timed_call("DELETE", path)[0])
                _check(client, following, before, _spent(client, analysis))
                last = following
    every = [max(each) for each in taken]
    count = f"{world.size.user_rows:,}"
    row = figure_row(f"deletion of a category with {count} transactions", every, 100, " ms")
    return {"ms": taken, "rows": [row]}


def _spent(client: Caller, analysis: str) -> Decimal:
    """By all items, and without one."""
    return sum(
        (
            Decimal(each["spent"]["value"])
            for period in client.done("GET", analysis)["periods"]
            for each in (period["totals"], *period.get("unbudgeted", []))
        ),
        Decimal(0),
    )


def _check(client: Caller, category: str, before: Decimal, after: Decimal) -> None:
    """Raises Disagreement."""
    if before != after or not after:
        raise Disagreement(f"the deletion of a category has moved a sum from {before} to {after}")
    page = client.done("GET", f"/api/v1/transactions?categoryId={category}")
    if len(page["transactions"]) != 50 or any(
        each.get("categoryId", category) != category for each in page["transactions"]
    ):
        raise Disagreement("transactions do not have the category that took the place of theirs")
