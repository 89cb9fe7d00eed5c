"""`finlink transactions`: lists with the names of accounts and categories, and a month as a plot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from finlink_cli import contract, money, months, output, replies, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import wrong_usage
from finlink_cli.parameters import All

_COLUMNS = ("date", "amount", "what", "category", "account", "status", "id")
_PAGE = 500
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@command(
    "transactions list",
    rpc="ListTransactions",
    example="finlink transactions list --from-date 2026-11-01 --kind expense",
)
def list_transactions(cli: Cli, request: Any, everything: All = False) -> None:
    """Lists transactions, newest first. Outflows are negative."""
    call = rpcs.named(cli, "ListTransactions")
    if cli.as_json:
        replies.show_list(cli, call, request, everything=everything)
        return
    if everything:
        rows, token = list(_all(cli, request)), None
    else:
        data = output.to_json(call(request).data)
        rows, token = data["transactions"], data["pagination"].get("nextPageToken")
    there = [each for each in rows if not each.get("deleted")]
    cli.table("transactions", _shown(cli, there), _COLUMNS)
    if len(there) < len(rows):
        cli.say(f"\n{len(rows) - len(there)} were deleted: --json has them.")
    if token:
        cli.screen.print(f"\nThere are more: --all, or\n--page-token {token}", soft_wrap=True)


def _all(cli: Cli, request: Any) -> Iterator[output.Json]:
    from finlink_client.paging import pages_blocking

    count = 0
    call: Any = rpcs.named(cli, "ListTransactions")
    with cli.progress("Fetching") as note:
        for page in pages_blocking(call, request, None):
            found = output.to_json(page.data)["transactions"]
            count += len(found)
            note(f"{count} transactions")
            yield from found


def _shown(cli: Cli, rows: list[output.Json]) -> list[output.Json]:
    if not rows:
        return []
    accounts, categories = money.accounts(cli), money.categories(cli)
    amounts = money.aligned(
        f"{money.shown(money.signed(each), each['amount']['currency'])} {each['amount']['currency']}"
        for each in rows
    )
    return [
        {
            "date": each["date"],
            "amount": amount,
            "what": _what(each),
            "category": _category(each, categories),
            "account": accounts.get(each["accountId"], {}).get("name", each["accountId"]),
            "status": each["status"],
            "id": each["id"],
        }
        for each, amount in zip(rows, amounts, strict=True)
    ]


def _what(transaction: output.Json) -> str:
    texts = (transaction.get(name) for name in ("payee", "description", "bankText"))
    text = next((each for each in texts if each), transaction["kind"])
    return f"{text} (pending)" if transaction["status"] == "pending" else text


def _category(transaction: output.Json, categories: dict[str, str]) -> str | None:
    if transaction["kind"] in {"transfer", "adjustment"}:
        return str(transaction["kind"])
    if splits := transaction.get("splits"):
        return f"{len(splits)} parts"
    return categories.get(transaction.get("categoryId", ""))


@command("transactions month", example="finlink transactions month 2026-11 --currency INR")
def month(
    cli: Cli,
    month: Annotated[str, typer.Argument(metavar="MONTH", help="As 2026-11.")],
    account: Annotated[
        list[str] | None, typer.Option(help="Only of this account, by id. May be repeated.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Only in this currency. Default: the one used most.")
    ] = None,
) -> None:
    """Plots what was spent on each day of a month, and sums it up by category.

    Refunds lessen what was spent. Transfers, and transactions that are pending or left out of analytics, do
    not count.
    """
    if not _MONTH.fullmatch(month):
        raise wrong_usage(f"MONTH must be as 2026-11, not {month}")
    first, last = months.days_of(month)
    request = rpcs.blank(
        contract.find("ListTransactions"),
        limit=_PAGE,
        account_id=account or [],
        from_date=first,
        to_date=last,
    )
    rows = [each for each in _all(cli, request) if months.counts(each)]
    used = currency or money.most_used(rows)
    if used is None:
        found = months.Month(month, "", [])
    else:
        found = months.Month(
            month, used, [each for each in rows if each["amount"]["currency"] == used]
        )
    names = money.categories(cli) if found.rows else {}
    if cli.as_json:
        cli.put(found.facts(names))
        return
    if not found.rows:
        cli.say(f"Nothing was spent or earned in {month}.")
        return
    for line in found.plot(names, cli.screen.width):
        cli.say(line)
    others = sorted({each["amount"]["currency"] for each in rows} - {used})
    if others:
        cli.say(f"\nThere is more in {', '.join(others)}: --currency.")
