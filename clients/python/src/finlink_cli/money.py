"""Shared by the commands about money: names of accounts and categories, and amounts to add and to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from finlink_cli import output, rpcs

if TYPE_CHECKING:
    from finlink_cli.cli import Cli

NO_CATEGORY = "no category"


def accounts(cli: Cli) -> dict[str, output.Json]:
    """All accounts by id, archived ones included."""
    return _by_id(cli, "ListAccounts", "accounts", "accountId")


def categories(cli: Cli) -> dict[str, str]:
    """The names of all categories by id. The name of a category's parent comes before its own."""
    found = _by_id(cli, "ListCategories", "categories", "id")
    names = {}
    for identifier, each in found.items():
        above = found.get(each.get("parentId", ""))
        names[identifier] = f"{above['name']} / {each['name']}" if above else each["name"]
    return names


def _by_id(cli: Cli, method: str, name: str, key: str) -> dict[str, output.Json]:
    rows: dict[str, output.Json] = {}
    for archived in (False, True):
        data = output.to_json(rpcs.reply(cli, method, archived=archived).data)
        rows |= {each[key]: each for each in data[name]}
    return rows


def signed(transaction: output.Json) -> Decimal:
    """The amount as it moves the balance: outflows are negative."""
    value = Decimal(transaction["amount"]["value"])
    return value if transaction.get("direction") == "in" else -value


def text(amount: output.Json) -> str:
    """An amount of the contract, see `shown`."""
    return shown(Decimal(amount["value"]), amount["currency"])


def shown(amount: Decimal, currency: str) -> str:
    """With the digits of the currency and thousands apart, without the currency's name."""
    text = output.money(f"{amount:f}", currency).rpartition(" ")[0]
    return f"{Decimal(text):,f}"


def aligned(amounts: Iterable[str]) -> list[str]:
    """The amounts padded on the left to one width, for a column."""
    texts = list(amounts)
    width = max(map(len, texts), default=0)
    return [each.rjust(width) for each in texts]


def parts(transaction: output.Json) -> Iterator[tuple[str | None, Decimal]]:
    """The categories of a transaction, each with its amount."""
    if splits := transaction.get("splits"):
        for each in splits:
            yield each.get("categoryId"), Decimal(each["amount"]["value"])
    else:
        yield transaction.get("categoryId"), Decimal(transaction["amount"]["value"])


def totals(rows: Iterable[output.Json]) -> dict[str, Decimal]:
    """The sums of balances by currency, without accounts that are not in the net worth."""
    found: dict[str, Decimal] = {}
    for row in rows:
        if row["inNetWorth"]:
            amount = row["balance"]
            found[amount["currency"]] = found.get(amount["currency"], Decimal(0)) + Decimal(
                amount["value"]
            )
    return found


def most_used(transactions: Sequence[Mapping[str, Any]]) -> str | None:
    """The currency of most of them; None without any."""
    counted = Counter(each["amount"]["currency"] for each in transactions)
    return counted.most_common(1)[0][0] if counted else None
