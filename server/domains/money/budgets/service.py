"""Use cases of budgets."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from server.core import money
from server.core.clock import Clock
from server.core.errors import InvalidRequest
from server.core.etags import check_etag
from server.core.idempotency import KeyedReply
from server.domains.money.accounts.errors import AccountNotFound
from server.domains.money.accounts.store import AccountStore
from server.domains.money.budgets.errors import BudgetNotFound
from server.domains.money.budgets.merging import resolved_budget
from server.domains.money.budgets.model import (
    EVER,
    Budget,
    BudgetChanges,
    NewBudget,
)
from server.domains.money.budgets.store import BudgetStore
from server.domains.money.budgets.writing import BudgetWriter, event_of
from server.domains.money.errors import LimitReached
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.ledger.changes import MoneyChanges
from server.domains.money.ledger.model import LedgerView, MoneyOwner
from server.domains.money.ledger.service import Book
from server.kernel import Exported, Users
from server.storage.driver import ClientSession
from server.storage.repository import new_id

MAX_BUDGETS = 100


class BudgetService:
    def __init__(
        self,
        changes: MoneyChanges,
        book: Book,
        store: BudgetStore,
        writer: BudgetWriter,
        accounts: AccountStore,
        users: Users,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._book = book
        self._store = store
        self._writer = writer
        self._accounts = accounts
        self._users = users
        self._clock = clock

    async def list(self, owner: MoneyOwner, *, archived: bool = False) -> Sequence[Budget]:
        """Archived ones, or the others, newest first."""
        view = await self._book.balances(owner.id)
        if view.box is None:
            return []
        found = await self._store.of(owner.id, view.box)
        return [resolved_budget(each, view.resolved) for each in found if each.archived == archived]

    async def export(self, user_id: str) -> AsyncGenerator[Exported, None]:
        """All budgets of a user, for the user's export."""
        owner = MoneyOwner(await self._users.identity(user_id), user_id)
        for archived in (False, True):
            for each in await self.list(owner, archived=archived):
                yield "budget", each

    async def get(self, owner: MoneyOwner, budget_id: str) -> Budget:
        """Raises BudgetNotFound."""
        return await self.opened(owner, budget_id, await self._book.balances(owner.id))

    async def opened(
        self,
        owner: MoneyOwner,
        budget_id: str,
        view: LedgerView,
        session: ClientSession | None = None,
    ) -> Budget:
        """Raises BudgetNotFound."""
        if view.box is None:
            raise BudgetNotFound
        found = await self._store.of(owner.id, view.box, session, budget_id)
        if not found:
            raise BudgetNotFound
        return resolved_budget(found[0], view.resolved)

    async def create(
        self, owner: MoneyOwner, new: NewBudget, reply: KeyedReply | None = None
    ) -> Budget:
        """Raises InvalidRequest, AccountNotFound, CategoryNotFound, BudgetItemExists, LimitReached."""
        currency = new.currency
        if currency is None:
            currency = (await self._users.get(owner.user_id)).preferences.currency
        if money.decimals(currency) is None:
            raise InvalidRequest.of("currency", "must be one that has amounts, as INR")

        async def work(change: LedgerChange) -> Budget:
            if len(await self._store.of(owner.id, change.box, change.session)) >= MAX_BUDGETS:
                raise LimitReached.of(MAX_BUDGETS)
            now = self._clock.now()
            budget = Budget(
                id=new_id(),
                owner=owner.id,
                rev=change.rev,
                name=new.name,
                currency=currency,
                period=new.period,
                start_date=new.start_date,
                end_date=new.end_date,
                rollover=new.rollover,
                account_ids=new.account_ids,
                created_at=now,
                updated_at=now,
            )
            _check(budget)
            await self._check_accounts(change, budget.account_ids)
            for index, each in enumerate(new.items):
                item = await self._writer.new_item(change, budget, each, EVER, f"items[{index}].")
                budget = replace(budget, items=(*budget.items, item))
            await self._store.insert(budget, change.box, change.session)
            return budget

        return await self._changes.make(owner, work, event_of(owner, "created"), reply)

    async def update(
        self,
        owner: MoneyOwner,
        budget_id: str,
        changes: BudgetChanges,
        etag: str | None = None,
        reply: KeyedReply | None = None,
    ) -> Budget:
        """Raises BudgetNotFound, AccountNotFound, EtagMismatch, InvalidRequest."""
        sent = {
            name: value
            for name in changes.__struct_fields__
            if (value := getattr(changes, name)) is not msgspec.UNSET
        }

        async def work(change: LedgerChange, before: Budget) -> Budget:
            check_etag(etag, str(before.rev))
            after = replace(before, **sent)
            _check(after)
            if after.account_ids != before.account_ids:
                await self._check_accounts(change, after.account_ids)
            return after

        return await self._writer.change(
            owner, budget_id, work, event_of(owner, "updated", sorted(sent)), reply
        )

    async def delete(
        self,
        owner: MoneyOwner,
        budget_id: str,
        etag: str | None = None,
        reply: KeyedReply | None = None,
    ) -> None:
        """Raises BudgetNotFound, EtagMismatch."""

        async def work(change: LedgerChange) -> bool:
            budget = await self._writer.locked(change, budget_id)
            check_etag(etag, str(budget.rev))
            await self._store.remove(budget, change.session)
            return True

        await self._changes.make(owner, work, event_of(owner, "deleted"), reply)

    async def count(
        self, owner: str, category_id: str, session: ClientSession
    ) -> Mapping[str, int]:
        """How many budgets have an item of a category, or of one that it stands for."""
        view = await self._book.balances(owner, session)
        merged = [each for each, into in view.aliases.items() if into == category_id]
        count = await self._store.count_items(owner, [category_id, *merged], session)
        return {"budgetItems": count}

    async def follow(self, change: LedgerChange) -> None:
        """Write those that have items of categories that were merged in this change."""
        for budget in await self._store.of(change.owner, change.box, change.session):
            after = resolved_budget(budget, change.resolved, change.rev)
            if after.items != budget.items:
                after = replace(after, rev=change.rev, updated_at=self._clock.now())
                await self._store.replace(after, change.box, change.session)

    async def _check_accounts(self, change: LedgerChange, account_ids: Collection[str]) -> None:
        if account_ids:
            found = await self._accounts.of(change.owner, change.session, list(account_ids))
            if len(found) < len(account_ids):
                raise AccountNotFound.about("accountIds")


def _check(budget: Budget) -> None:
    """Raises InvalidRequest naming the field."""
    if budget.end_date is None:
        if budget.period == "once":
            raise InvalidRequest.of("endDate", "is required for the period once")
    elif budget.end_date < budget.start_date:
        raise InvalidRequest.of("endDate", "must not be before startDate")
    if budget.period == "once" and budget.rollover != "none":
        raise InvalidRequest.of("rollover", "must be none for the period once")
