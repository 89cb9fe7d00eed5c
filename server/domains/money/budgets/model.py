"""Budgets and their items. Amounts are whole minor units of the budget's currency."""

from datetime import date, datetime

import msgspec
from finlink_words import BudgetItemStatus, BudgetPeriod, BudgetRollover
from msgspec import UNSET, UnsetType

from server.domains.money.budgets.periods import Schedule
from server.domains.money.transactions.model import Amount

USUAL_ALERTS = (80, 100)
EVER = date(1900, 1, 1)  # from which on the amount of an item holds that was made with its budget


class Planned(msgspec.Struct, frozen=True, array_like=True):
    """An amount that was set on a day: it holds for the period of that day and those after it."""

    since: date
    units: int


class Item(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    rev: int
    category_id: str
    planned: tuple[Planned, ...]  # oldest first
    rollover: BudgetRollover | None = None  # None: the budget's
    alert_percents: tuple[int, ...] = USUAL_ALERTS

    @property
    def units(self) -> int:
        """Of the newest amount."""
        return self.planned[-1].units

    def units_of(self, last_day: date) -> int:
        """Of the period that ends on a day; 0 before there was an amount."""
        holding = [each.units for each in self.planned if each.since <= last_day]
        return holding[-1] if holding else 0

    def with_units(self, units: int, since: date, running: date | None = None) -> "Item":
        """The same with another amount from a day on; periods that ended before keep theirs.

        `running` is the first day of that day's period: what was set in it before counts no more.
        """
        kept = tuple(each for each in self.planned if each.since < (running or since))
        return msgspec.structs.replace(self, planned=(*kept, Planned(since, units)))


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    owner: str  # `User.id`
    rev: int
    name: str
    currency: str
    period: BudgetPeriod
    start_date: date
    end_date: date | None = None
    rollover: BudgetRollover = "none"
    account_ids: tuple[str, ...] = ()  # empty: all that are on budget
    archived: bool = False
    items: tuple[Item, ...] = ()
    created_at: datetime
    updated_at: datetime

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.period, self.start_date, self.end_date)

    @property
    def carries(self) -> bool:
        """Whether anything goes over, so that periods depend on all before them."""
        return any(self.rollover_of(item) != "none" for item in self.items)

    def rollover_of(self, item: Item) -> BudgetRollover:
        return "none" if self.period == "once" else item.rollover or self.rollover


class NewItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item as a caller sent it."""

    category_id: str
    amount: Amount
    rollover: BudgetRollover | None = None
    alert_percents: tuple[int, ...] = USUAL_ALERTS


class NewBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as a caller sent it. Without a currency it is in the user's."""

    name: str
    currency: str | None = None
    period: BudgetPeriod
    start_date: date
    end_date: date | None = None
    rollover: BudgetRollover = "none"
    account_ids: tuple[str, ...] = ()
    items: tuple[NewItem, ...] = ()


class BudgetChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a budget as a caller sent them: UNSET leaves a field."""

    name: str | UnsetType = UNSET
    start_date: date | UnsetType = UNSET
    end_date: date | UnsetType | None = UNSET
    rollover: BudgetRollover | UnsetType = UNSET
    account_ids: tuple[str, ...] | UnsetType = UNSET
    archived: bool | UnsetType = UNSET


class ItemChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of an item as a caller sent them."""

    category_id: str | UnsetType = UNSET
    amount: Amount | UnsetType = UNSET
    rollover: BudgetRollover | UnsetType | None = UNSET
    alert_percents: tuple[int, ...] | UnsetType = UNSET


class ItemAnalysis(msgspec.Struct, frozen=True, kw_only=True):
    """An item in a period."""

    item_id: str
    category_id: str
    budgeted: int
    carried_in: int
    spent: int
    projected: int | None
    status: BudgetItemStatus

    @property
    def available(self) -> int:
        return self.budgeted + self.carried_in

    @property
    def remaining(self) -> int:
        return self.available - self.spent
