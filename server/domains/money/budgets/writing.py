"""How budgets change: read in a change of their user's ledger, and written with it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date

from msgspec.structs import replace

from server.core import money
from server.core.clock import Clock
from server.core.errors import InvalidRequest
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.domains.money.budgets.errors import BudgetItemExists, BudgetNotFound
from server.domains.money.budgets.merging import resolved_budget
from server.domains.money.budgets.model import Budget, Item, NewItem, Planned
from server.domains.money.budgets.store import BudgetStore
from server.domains.money.categories.errors import CategoryNotFound
from server.domains.money.categories.store import CategoryStore
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.transactions.model import Amount
from server.storage.repository import new_id


class BudgetWriter:
    def __init__(
        self,
        changes: MoneyChanges,
        store: BudgetStore,
        categories: CategoryStore,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._store = store
        self._categories = categories
        self._clock = clock

    async def change(
        self,
        owner: MoneyOwner,
        budget_id: str,
        work: Callable[[LedgerChange, Budget], Awaitable[Budget]],
        event_of: Callable[[object], Event],
        reply: KeyedReply | None,
    ) -> Budget:
        async def run(change: LedgerChange) -> Budget:
            return await self.changed(change, budget_id, work)

        return await self._changes.make(owner, run, event_of, reply)

    async def changed(
        self,
        change: LedgerChange,
        budget_id: str,
        work: Callable[[LedgerChange, Budget], Awaitable[Budget]],
    ) -> Budget:
        after = await work(change, await self.locked(change, budget_id))
        after = replace(after, rev=change.rev, updated_at=self._clock.now())
        await self._store.replace(after, change.box, change.session)
        return after

    async def locked(self, change: LedgerChange, budget_id: str) -> Budget:
        """A budget within a change of its ledger. Raises BudgetNotFound."""
        found = await self._store.of(change.owner, change.box, change.session, budget_id)
        if not found:
            raise BudgetNotFound
        return resolved_budget(found[0], change.resolved)

    async def new_item(
        self, change: LedgerChange, budget: Budget, new: NewItem, since: date, place: str
    ) -> Item:
        await self.check_category(change, budget, new.category_id, place)
        units = units_of(new.amount, budget.currency, f"{place}amount")
        return Item(
            id=new_id(),
            rev=change.rev,
            category_id=new.category_id,
            planned=(Planned(since, units),),
            rollover=new.rollover,
            alert_percents=new.alert_percents,
        )

    async def check_category(
        self, change: LedgerChange, budget: Budget, category_id: str, place: str
    ) -> None:
        found = await self._categories.of(change.owner, change.session, [category_id])
        if not found:
            raise CategoryNotFound.about(f"{place}categoryId")
        if found[0].type != "expense":
            raise InvalidRequest.of(f"{place}categoryId", "must be a category of type expense")
        if any(each.category_id == category_id for each in budget.items):
            raise BudgetItemExists.about(f"{place}categoryId")


def event_of(owner: MoneyOwner, done: str, fields: Sequence[str] = ()) -> Callable[[object], Event]:
    return lambda _: Event(f"budget.{done}", owner.user_id, fields=fields)


def units_of(given: Amount, currency: str, field: str) -> int:
    """Raises InvalidRequest naming value or currency."""
    if given.currency not in {None, currency}:
        raise InvalidRequest.of(f"{field}.currency", f"must be {currency}, the budget's")
    units = money.parse(given.value, currency, field).units
    if units < 0:
        raise InvalidRequest.of(f"{field}.value", "must not be negative")
    return units
