"""Use cases of the items of budgets."""

from collections.abc import Awaitable, Callable
from datetime import date

import msgspec
from msgspec.structs import replace

from server.core.clock import Clock
from server.core.etags import check_etag
from server.core.idempotency import KeyedReply
from server.domains.money.budgets.errors import BudgetItemNotFound
from server.domains.money.budgets.model import Budget, Item, ItemChanges, NewItem
from server.domains.money.budgets.writing import BudgetWriter, event_of, units_of
from server.domains.money.errors import LimitReached
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import MoneyOwner
from server.kernel import Users

MAX_ITEMS = 100


class BudgetItems:
    def __init__(
        self, changes: MoneyChanges, writer: BudgetWriter, users: Users, clock: Clock
    ) -> None:
        self._changes = changes
        self._writer = writer
        self._users = users
        self._clock = clock

    async def create(
        self, owner: MoneyOwner, budget_id: str, new: NewItem, reply: KeyedReply | None = None
    ) -> tuple[Budget, Item]:
        """Raises BudgetNotFound, CategoryNotFound, BudgetItemExists, LimitReached, InvalidRequest."""
        today = await self._today(owner)

        async def work(change: LedgerChange, before: Budget) -> Budget:
            if len(before.items) >= MAX_ITEMS:
                raise LimitReached.of(MAX_ITEMS)
            item = await self._writer.new_item(change, before, new, today, "")
            return replace(before, items=(*before.items, item))

        def last(budget: Budget) -> Item:
            return budget.items[-1]

        return await self._change_item(owner, budget_id, work, last, reply)

    async def update(
        self,
        owner: MoneyOwner,
        budget_id: str,
        item_id: str,
        changes: ItemChanges,
        etag: str | None = None,
        reply: KeyedReply | None = None,
    ) -> tuple[Budget, Item]:
        """Raises BudgetNotFound, BudgetItemNotFound, CategoryNotFound, BudgetItemExists, EtagMismatch,
        InvalidRequest."""
        today = await self._today(owner)

        async def work(change: LedgerChange, before: Budget) -> Budget:
            item = _item(before, item_id)
            check_etag(etag, str(item.rev))
            after = replace(item, rev=change.rev)
            if changes.category_id is not msgspec.UNSET and changes.category_id != item.category_id:
                await self._writer.check_category(change, before, changes.category_id, "")
                after = replace(after, category_id=changes.category_id)
            if changes.amount is not msgspec.UNSET:
                units = units_of(changes.amount, before.currency, "amount")
                after = after.with_units(units, today, _running(before, today))
            if changes.rollover is not msgspec.UNSET:
                after = replace(after, rollover=changes.rollover)
            if changes.alert_percents is not msgspec.UNSET:
                after = replace(after, alert_percents=changes.alert_percents)
            items = tuple(after if each.id == item_id else each for each in before.items)
            return replace(before, items=items)

        def changed(budget: Budget) -> Item:
            return _item(budget, item_id)

        return await self._change_item(owner, budget_id, work, changed, reply)

    async def delete(
        self,
        owner: MoneyOwner,
        budget_id: str,
        item_id: str,
        etag: str | None = None,
        reply: KeyedReply | None = None,
    ) -> None:
        """Raises BudgetNotFound, BudgetItemNotFound, EtagMismatch."""

        async def work(change: LedgerChange, before: Budget) -> Budget:
            check_etag(etag, str(_item(before, item_id).rev))
            return replace(before, items=tuple(each for each in before.items if each.id != item_id))

        await self._writer.change(
            owner, budget_id, work, event_of(owner, "updated", ["items"]), reply
        )

    async def _change_item(
        self,
        owner: MoneyOwner,
        budget_id: str,
        work: Callable[[LedgerChange, Budget], Awaitable[Budget]],
        found: Callable[[Budget], Item],
        reply: KeyedReply | None,
    ) -> tuple[Budget, Item]:
        async def run(change: LedgerChange) -> tuple[Budget, Item]:
            budget = await self._writer.changed(change, budget_id, work)
            return budget, found(budget)

        return await self._changes.make(owner, run, event_of(owner, "updated", ["items"]), reply)

    async def _today(self, owner: MoneyOwner) -> date:
        user = await self._users.get(owner.user_id)
        return user.preferences.today(self._clock.now())


def _running(budget: Budget, today: date) -> date:
    """The first day of the period that runs; today before the first one, and after the last."""
    schedule = budget.schedule
    period = schedule.period(schedule.number_on(today))
    return period.first if today in period else today


def _item(budget: Budget, item_id: str) -> Item:
    """Raises BudgetItemNotFound."""
    for each in budget.items:
        if each.id == item_id:
            return each
    raise BudgetItemNotFound
