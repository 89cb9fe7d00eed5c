"""What is stored against the plain model: rows, balances, sums, transfers, revisions and a budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.domains.money.budgets.analysis import Analyst
from server.domains.money.budgets.model import Budget, Item, Planned
from server.domains.money.ledger.model import Cell
from tests.domains.money.transactions.plain import row_of
from tests.domains.money.transactions.player import FIRST, Player
from tests.domains.money.transactions.world import NOW

_PLANNED = 10_000  # a month
_MONTHS = 5


async def compare(player: Player) -> None:
    world, plain = player.world, player.plain
    rows = {each.id: row_of(each) for each in await world.rows()}
    ids = rows.keys() | plain.rows.keys()
    pairs = {each: (rows.get(each), plain.rows.get(each)) for each in ids}
    assert {each: pair for each, pair in pairs.items() if pair[0] != pair[1]} == {}
    view = await world.view()
    assert view.rev == player.base + plain.changes
    found = {each: view.balances[each] for each in player.openings}
    shown = {each: (b.balance, b.reconciled, b.pending) for each, b in found.items()}
    assert shown == plain.balances(player.openings)
    cells: dict[Any, tuple[int, int]] = {}
    for cell in view.cells:  # one of what is posted, one of what is reconciled
        place = (cell.day, cell.account_id, cell.category_id, cell.kind)
        units, count = cells.get(place, (0, 0))
        cells[place] = (units + cell.units, count + cell.count)
    assert cells == plain.cells()
    for row in rows.values():
        if row.other is not None:
            leg = rows[row.other]
            assert leg.direction != row.direction
            if player.currencies[leg.account] == player.currencies[row.account]:
                assert leg.signed == -row.signed
    _compare_budget(player, view.cells)
    assert await world.recounted() == []


def _compare_budget(player: Player, cells: Iterable[Cell]) -> None:
    """A plan of months for one category with its child, everything going over into the next month."""
    food, snacks = player.world.food, player.world.snacks
    accounts = {each: code for each, code in player.currencies.items() if code == "INR"}
    planned = Item(id="item", rev=1, category_id=food, planned=(Planned(FIRST, _PLANNED),))
    plan = Budget(
        id="plan", owner=player.world.owner.id, rev=1, name="Plan", currency="INR", period="monthly",
        start_date=FIRST, rollover="all", items=(planned,), created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    analyst = Analyst(plan, accounts, {snacks: food}, lambda *_: None, NOW.date())
    spent, carried = player.plain.spent(accounts, {food, snacks}), 0
    for each in reversed(analyst.periods(cells, 0, _MONTHS - 1)):
        (item,) = each.items
        assert item.spent == spent.get(f"{each.period.first:%Y-%m}", 0)
        assert item.carried_in == carried
        carried += _PLANNED - item.spent
