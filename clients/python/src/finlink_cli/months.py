"""The spending of a month, by day and by category: as a plot, and as JSON."""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from finlink_cli import money, output, plots

_HEIGHT = 8
_MOST_NAMES = 12
_NARROW = 30  # columns for names, at most
_WIDE_DAYS = 2  # columns a day, if there is space
_BARS = 30
_SPENDING = {"expense": 1, "refund": -1}


def days_of(month: str) -> tuple[str, str]:
    """Its first and last day."""
    year, number = map(int, month.split("-"))
    return f"{month}-01", f"{month}-{monthrange(year, number)[1]:02}"


def counts(transaction: output.Json) -> bool:
    """Whether it is spending or income that analytics include."""
    kind = transaction["kind"]
    return (
        (kind in _SPENDING or kind == "income")
        and transaction["status"] != "pending"
        and not transaction.get("excluded")
    )


@dataclass(frozen=True)
class Month:
    name: str  # as 2026-11
    currency: str
    rows: Sequence[output.Json]  # spending and income of the month in that currency

    @cached_property
    def days(self) -> list[Decimal]:
        """The spending of each day."""
        found = [Decimal(0)] * int(days_of(self.name)[1][-2:])
        for each in self.rows:
            sign = _SPENDING.get(each["kind"], 0)
            found[int(each["date"][-2:]) - 1] += sign * Decimal(each["amount"]["value"])
        return found

    @cached_property
    def income(self) -> Decimal:
        amounts = (each["amount"]["value"] for each in self.rows if each["kind"] == "income")
        return sum(map(Decimal, amounts), Decimal(0))

    @cached_property
    def spent(self) -> Decimal:
        return sum(self.days, Decimal(0))

    def by_category(self, names: Mapping[str, str]) -> list[tuple[str, Decimal]]:
        """Most first."""
        found: defaultdict[str, Decimal] = defaultdict(Decimal)
        for each in self.rows:
            if sign := _SPENDING.get(each["kind"]):
                for category, amount in money.parts(each):
                    found[names.get(category or "", money.NO_CATEGORY)] += sign * amount
        return sorted(found.items(), key=lambda each: (-each[1], each[0]))

    def facts(self, names: Mapping[str, str]) -> output.Json:
        """For programs; amounts are decimal texts."""
        days = enumerate(self.days, 1)
        return {
            "month": self.name,
            "currency": self.currency,
            "income": f"{self.income:f}",
            "spent": f"{self.spent:f}",
            "net": f"{self.income - self.spent:f}",
            "days": [{"date": f"{self.name}-{day:02}", "spent": f"{each:f}"} for day, each in days],
            "categories": [
                {"name": name, "spent": f"{each:f}"} for name, each in self.by_category(names)
            ],
        }

    def plot(self, names: Mapping[str, str], width: int) -> Iterator[str]:
        """Lines for people."""
        if any(each > 0 for each in self.days):
            yield f"Spent each day of {self.name}, in {self.currency}"
            yield ""
            yield from self._columns(width)
            yield ""
        if self.by_category(names):
            yield from self._categories(names, width)
            yield ""
        sums = {"income": self.income, "spent": self.spent, "net": self.income - self.spent}
        amounts = money.aligned(money.shown(each, self.currency) for each in sums.values())
        for name, amount in zip(sums, amounts, strict=True):
            yield f"{name:<7} {amount} {self.currency}"

    def _columns(self, width: int) -> Iterator[str]:
        highest = max((*self.days, Decimal(0)))
        labels = money.aligned([money.shown(highest, self.currency), "0"])
        margin, count = len(labels[0]), len(self.days)
        day_width = 1 if margin + 2 + count * (_WIDE_DAYS + 1) > width else _WIDE_DAYS
        lines = plots.columns(self.days, _HEIGHT, day_width)
        for level, line in enumerate(lines):
            label = labels[0] if level == 0 else " " * margin
            yield f"{label} │{line}".rstrip()
        yield f"{labels[1]} └{'─' * (count * (day_width + 1) - 1)}"
        marks = [" "] * (count * (day_width + 1) + 1)
        for day in (1, 5, 10, 15, 20, 25, max(28, count)):
            at = (day - 1) * (day_width + 1)
            marks[at : at + len(str(day))] = str(day)
        yield f"{' ' * margin}  {''.join(marks)}".rstrip()

    def _categories(self, names: Mapping[str, str], width: int) -> Iterator[str]:
        found = self.by_category(names)
        shown, rest = found[:_MOST_NAMES], found[_MOST_NAMES:]
        if rest:
            shown.append((f"{len(rest)} more", sum((each for _, each in rest), Decimal(0))))
        amounts = money.aligned(money.shown(each, self.currency) for _, each in shown)
        texts = [output.safe(name) for name, _ in shown]
        margin = min(max(map(len, texts), default=0), _NARROW)
        whole = max((each for _, each in shown), default=Decimal(0))
        space = min(max(width - margin - len(amounts[0]) - 3, 5), _BARS) if amounts else 0
        for text, (_, each), amount in zip(texts, shown, amounts, strict=True):
            short = text if len(text) <= margin else f"{text[: margin - 1]}…"
            yield f"{short:<{margin}} {amount} {plots.bar(each, whole, space)}".rstrip()
