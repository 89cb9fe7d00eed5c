"""`finlink budgets items` and `analyze`: with names of categories, and the spending as bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from finlink_cli import money, output, plots, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command

_NARROW = 24  # columns for names, at most
_BARS = 24
_BESIDE = 24  # columns that percentage and status take
_COLUMNS = ("category", "amount", "currency", "rollover", "alert percents", "id")


@command(
    "budgets items",
    rpc="ListBudgetItems",
    example="finlink budgets items 65a5072e9f1c2b3d4e5f60a0",
)
def items(cli: Cli, request: Any) -> None:
    """Lists the items of a budget: how much of which category is planned for a period."""
    data = output.to_json(rpcs.named(cli, "ListBudgetItems")(request).data)
    if cli.as_json:
        cli.put(data)
        return
    rows = data["items"]
    names = money.categories(cli) if rows else {}
    amounts = money.aligned(money.text(each["amount"]) for each in rows)
    shown = [
        {
            "category": names.get(each["categoryId"], each["categoryId"]),
            "amount": amount,
            "currency": each["amount"]["currency"],
            "rollover": each.get("rollover"),
            "alert percents": each["alertPercents"],
            "id": each["id"],
        }
        for each, amount in zip(rows, amounts, strict=True)
    ]
    cli.table("items", shown, _COLUMNS)


@command(
    "budgets analyze",
    rpc="AnalyzeBudget",
    example="finlink budgets analyze 65a5072e9f1c2b3d4e5f60a0 --periods 3",
)
def analyze(cli: Cli, request: Any) -> None:
    """Compares a budget with the spending: a bar for each item, full once all of it is spent."""
    data = output.to_json(rpcs.named(cli, "AnalyzeBudget")(request).data)
    if cli.as_json:
        cli.put(data)
        return
    names = money.categories(cli)
    for number, period in enumerate(data["periods"]):
        if number:
            cli.say("")
        for line in _lines(period, data["currency"], names, cli.screen.width):
            cli.say(line)
    if data.get("ratesStale"):
        cli.say(f"\nThe exchange rates are those of {data['ratesAsOf']}.")


def _lines(
    period: output.Json, currency: str, names: Mapping[str, str], width: int
) -> Iterator[str]:
    days = period["period"]
    left = days["daysLeft"]
    over = f", {left} day{'' if left == 1 else 's'} left" if left else ""
    yield f"{days['from']} to {days['to']}{over}, in {currency}"
    rows = [
        (names.get(each["categoryId"], each["categoryId"]), each, each["status"])
        for each in period["items"]
    ]
    rows.append(("total", period["totals"], ""))
    spent = money.aligned(money.text(each["spent"]) for _, each, _ in rows)
    available = money.aligned(money.text(each["available"]) for _, each, _ in rows)
    texts = [output.safe(name) for name, _, _ in rows]
    margin = min(max(map(len, texts)), _NARROW)
    space = width - margin - len(spent[0]) - len(available[0]) - _BESIDE
    space = min(max(space, 4), _BARS)
    for text, (_, each, status), used, whole in zip(texts, rows, spent, available, strict=True):
        short = text if len(text) <= margin else f"{text[: margin - 1]}…"
        bar = plots.bar(_number(each["spent"]), _number(each["available"]), space)
        percent = f"{each['usedPercent']} %" if "usedPercent" in each else "–"
        marked = "" if status == "ok" else status
        line = f"{short:<{margin}} {used} of {whole} {bar:<{space}} {percent:>8} {marked}"
        yield line.rstrip()
    yield f"income {money.text(period['income'])}"
    for each in period["unbudgeted"]:
        name = names.get(each.get("categoryId", ""), money.NO_CATEGORY)
        yield f"not in the budget: {output.safe(name)} {money.text(each['spent'])}"
    for each in period["unconverted"]:
        yield f"without an exchange rate: {money.text(each)} {each['currency']}"


def _number(amount: output.Json) -> Decimal:
    return Decimal(amount["value"])
