"""A budget against what was spent: pure, over the sums of days, accounts, categories and kinds."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from finlink_words import BudgetItemStatus, BudgetRollover

from server.domains.money.budgets.model import Budget, Item, ItemAnalysis
from server.domains.money.budgets.periods import Period
from server.domains.money.ledger.model import Cell

SPENDING = frozenset({"expense", "refund"})
INCOME = "income"
_TENTH = Decimal("0.1")
_DAYS_BEFORE_PROJECTION = 3

# Units of a currency on a day in the budget's currency; None without a rate.
Convert = Callable[[int, str, date], int | None]


@dataclass(slots=True)
class Flow:
    """Spending by category, and income, of one period."""

    spent: defaultdict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    spent_by_today: defaultdict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    income: int = 0
    unconverted: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True, slots=True)
class PeriodAnalysis:
    period: Period
    items: Sequence[ItemAnalysis]
    income: int
    unbudgeted: Sequence[tuple[str | None, int]]  # most first
    unconverted: Mapping[str, int]  # by currency, what was spent in it


def percent(part: int, whole: int) -> str | None:
    """A percentage with one decimal, half to even; None if there is nothing to compare with."""
    if whole <= 0:
        return None
    return str((Decimal(part * 100) / whole).quantize(_TENTH, ROUND_HALF_EVEN))


def status_of(spent: int, available: int, alert_percents: Sequence[int]) -> BudgetItemStatus:
    """Exactly all of it is a warning; more is over."""
    if spent > available:
        return "over"
    least = min((*alert_percents, 100))
    is_near = available > 0 and spent * 100 >= least * available
    return "warning" if is_near else "ok"


def carried(rollover: BudgetRollover, remaining: int) -> int:
    """The amount that goes over into the next period."""
    if rollover == "none":
        return 0
    return max(remaining, 0) if rollover == "surplus" else remaining


def covering(
    items: Iterable[Item], parents: Mapping[str, str]
) -> Callable[[str | None], str | None]:
    """Which item's category covers a category: its own, or that of its parent; None for neither.

    `parents` are by the id of a child.
    """
    planned = {item.category_id for item in items}

    def covers(category_id: str | None) -> str | None:
        if category_id is None or category_id in planned:
            return category_id
        parent = parents.get(category_id)
        return parent if parent in planned else None

    return covers


class Analyst:
    """Analyses one budget. `accounts` are the currencies of those that count, by id."""

    def __init__(
        self,
        budget: Budget,
        accounts: Mapping[str, str],
        parents: Mapping[str, str],
        convert: Convert,
        today: date,
    ) -> None:
        self._budget = budget
        self._accounts = accounts
        self._covers = covering(budget.items, parents)
        self._convert = convert
        self._today = today

    def periods(self, cells: Iterable[Cell], first: int, last: int) -> list[PeriodAnalysis]:
        """Periods from one number to another, newest first. The cells are of all days since the first period
        that carries something over into them."""
        flows = self._flows(cells)
        schedule = self._budget.schedule
        carried_in: dict[str, int] = defaultdict(int)
        begin = 0 if self._budget.carries else first
        found = []
        for number in range(begin, last + 1):
            period, flow = schedule.period(number), flows.get(number, Flow())
            items = [
                self._item(item, period, flow, carried_in[item.id]) for item in self._budget.items
            ]
            for item, result in zip(self._budget.items, items, strict=True):
                carried_in[item.id] = carried(self._budget.rollover_of(item), result.remaining)
            if number >= first:
                found.append(self._period(period, flow, items))
        return found[::-1]

    def _flows(self, cells: Iterable[Cell]) -> dict[int, Flow]:
        """By the number of the period. Sums of a day, account and category are converted once."""
        sums: defaultdict[tuple[date, str, str | None, bool], int] = defaultdict(int)
        for cell in cells:
            is_income = cell.kind == INCOME
            if cell.account_id in self._accounts and (is_income or cell.kind in SPENDING):
                sums[cell.day, cell.account_id, cell.category_id, is_income] += cell.units
        flows: defaultdict[int, Flow] = defaultdict(Flow)
        schedule = self._budget.schedule
        numbers: dict[date, int | None] = {}
        for (day, account_id, category_id, is_income), units in sums.items():
            if day not in numbers:
                number = schedule.number_on(day)
                numbers[day] = number if day in schedule.period(number) else None
            if (of_day := numbers[day]) is not None:
                currency = self._accounts[account_id]
                self._add(flows[of_day], day, currency, category_id, units, is_income=is_income)
        return flows

    def _add(
        self,
        flow: Flow,
        day: date,
        currency: str,
        category_id: str | None,
        units: int,
        *,
        is_income: bool,
    ) -> None:
        converted = (
            units if currency == self._budget.currency else self._convert(units, currency, day)
        )
        if converted is None:
            if not is_income:
                flow.unconverted[currency] -= units
        elif is_income:
            flow.income += converted
        else:
            flow.spent[category_id] -= converted
            if day <= self._today:
                flow.spent_by_today[category_id] -= converted

    def _spent(self, spent: Mapping[str | None, int], category_id: str) -> int:
        return sum(units for each, units in spent.items() if self._covers(each) == category_id)

    def _item(self, item: Item, period: Period, flow: Flow, carried_in: int) -> ItemAnalysis:
        budgeted = item.units_of(period.last)
        spent = self._spent(flow.spent, item.category_id)
        return ItemAnalysis(
            item_id=item.id,
            category_id=item.category_id,
            budgeted=budgeted,
            carried_in=carried_in,
            spent=spent,
            projected=self._projected(period, self._spent(flow.spent_by_today, item.category_id)),
            status=status_of(spent, budgeted + carried_in, item.alert_percents),
        )

    def _projected(self, period: Period, spent: int) -> int | None:
        """At the pace of the days until now, of a running period."""
        gone = period.days_gone(self._today)
        if self._today not in period or gone <= _DAYS_BEFORE_PROJECTION:
            return None
        return round(Decimal(spent * period.days) / gone)  # half to even

    def _period(self, period: Period, flow: Flow, items: Sequence[ItemAnalysis]) -> PeriodAnalysis:
        unbudgeted = [
            (category_id, units)
            for category_id, units in flow.spent.items()
            if units and self._is_unplanned(category_id)
        ]
        unbudgeted.sort(key=lambda each: (-each[1], each[0] or ""))
        return PeriodAnalysis(period, items, flow.income, unbudgeted, dict(flow.unconverted))

    def _is_unplanned(self, category_id: str | None) -> bool:
        return category_id is None or self._covers(category_id) is None


def days_of_periods(
    budget: Budget, accounts: Mapping[str, str], today: date
) -> Callable[[date, str], date]:
    """Which day may stand for a day of an account: of one in the budget's currency, where no rates are asked
    for, the first of its period, and in the running period the next day for those after today."""
    schedule, tomorrow = budget.schedule, today + timedelta(days=1)
    known: dict[date, date] = {}

    def day_of(day: date, account_id: str) -> date:
        if accounts.get(account_id, budget.currency) != budget.currency:
            return day
        if (found := known.get(day)) is None:
            period = schedule.period(schedule.number_on(day))
            if day not in period:
                found = day
            elif day > today and period.first <= today:
                found = tomorrow
            else:
                found = period.first
            known[day] = found
        return found

    return day_of


def counted_accounts(
    budget: Budget, currencies: Mapping[str, str], on_budget: Collection[str]
) -> dict[str, str]:
    """The currencies of the accounts that a budget counts."""
    wanted = set(budget.account_ids) or set(on_budget)
    return {each: currency for each, currency in currencies.items() if each in wanted}
