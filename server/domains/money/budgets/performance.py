"""The use case that compares a budget with what was spent."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from server.core.clock import Clock
from server.domains.money.accounts.store import AccountStore
from server.domains.money.budgets.analysis import (
    Analyst,
    PeriodAnalysis,
    counted_accounts,
    days_of_periods,
)
from server.domains.money.budgets.model import Budget
from server.domains.money.budgets.service import BudgetService
from server.domains.money.categories.store import CategoryStore
from server.domains.money.ledger.model import MoneyOwner
from server.domains.money.ledger.service import Book
from server.kernel import Users


class Conversion(Protocol):
    """Converts amounts of other currencies by the rates of their days."""

    @property
    def as_of(self) -> date | None: ...

    @property
    def stale(self) -> bool: ...

    def convert(self, units: int, currency: str, day: date) -> int | None: ...


class Conversions(Protocol):
    async def converter(
        self, home: str, currencies: Collection[str], since: date, until: date
    ) -> Conversion: ...


@dataclass(frozen=True)
class Performance:
    budget: Budget
    today: date
    periods: list[PeriodAnalysis]  # newest first
    rates_as_of: date | None
    rates_stale: bool


class BudgetPerformance:
    def __init__(
        self,
        budgets: BudgetService,
        book: Book,
        accounts: AccountStore,
        categories: CategoryStore,
        rates: Conversions,
        users: Users,
        clock: Clock,
    ) -> None:
        self._budgets = budgets
        self._book = book
        self._accounts = accounts
        self._categories = categories
        self._rates = rates
        self._users = users
        self._clock = clock

    async def analyze(
        self, owner: MoneyOwner, budget_id: str, day: date | None, periods: int
    ) -> Performance:
        """So many periods up to the one of a day; without one, of the user's today.

        Raises BudgetNotFound.
        """
        user = await self._users.get(owner.user_id)
        today = user.preferences.today(self._clock.now())
        async with self._book.moment() as session:  # so that items and sums agree
            view = await self._book.balances(owner.id, session)
            budget = await self._budgets.opened(owner, budget_id, view, session)
            stored = await self._accounts.of(owner.id, session)
            known = await self._categories.of(owner.id, session)
            schedule = budget.schedule
            last = schedule.number_on(day or today)
            first = max(0, last - periods + 1)
            since, until = (
                schedule.period(0 if budget.carries else first).first,
                schedule.period(last).last,
            )
            accounts = counted_accounts(
                budget,
                {each.id: each.currency for each in stored},
                {each.id for each in stored if each.on_budget},
            )
            day_of = days_of_periods(budget, accounts, today)
            view = await self._book.view(owner.id, since, until, session, day_of)
        parents = {each.id: each.parent_id for each in known if each.parent_id is not None}
        currencies = set(accounts.values())
        rates = await self._rates.converter(budget.currency, currencies, since, until)
        analyst = Analyst(budget, accounts, parents, rates.convert, today)
        found = analyst.periods(view.cells, first, last)
        return Performance(budget, today, found, rates.as_of, rates.stale)
