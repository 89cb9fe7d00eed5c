"""`finlink transactions` and `accounts transactions`: with names in place of ids, and a month as a plot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from finlink_cli import contract, money, months, output, replies, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import wrong_usage
from finlink_cli.parameters import All

_COLUMNS = ("date", "amount", "what", "category", "account", "status", "id")
_OF_ACCOUNT = ("date", "amount", "balance", "what", "category", "status", "id")
_PAGE = 500
_MONTH = re.compile(r"[12]\d{3}-(0[1-9]|1[0-2])")


@command(
    "transactions list",
    rpc="ListTransactions",
    example="finlink transactions list --from-date 2026-11-01 --kind expense",
)
def list_transactions(cli: Cli, request: Any, everything: All = False) -> None:
    """Lists transactions, newest first. Outflows are negative."""
    _list(cli, "ListTransactions", request, _COLUMNS, everything=everything)


@command(
    "accounts transactions",
    rpc="ListAccountTransactions",
    example="finlink accounts transactions 65a5072e9f1c2b3d4e5f6090 --from-date 2026-11-01",
)
def list_account_transactions(cli: Cli, request: Any, everything: All = False) -> None:
    """Lists an account's transactions, newest first, with the balance after each. Outflows are negative."""
    _list(cli, "ListAccountTransactions", request, _OF_ACCOUNT, everything=everything)


def _list(cli: Cli, method: str, request: Any, columns: Sequence[str], *, everything: bool) -> None:
    call = rpcs.named(cli, method)
    if cli.as_json:
        replies.show_list(cli, call, request, everything=everything)
        return
    if everything:
        rows, token = list(_all(cli, method, request)), None
    else:
        data = output.to_json(call(request).data)
        rows, token = data["transactions"], data["pagination"].get("nextPageToken")
    there = [each for each in rows if not each.get("deleted")]
    cli.table("transactions", _shown(cli, there), columns)
    if len(there) < len(rows):
        cli.say(f"\n{len(rows) - len(there)} were deleted: --json has them.")
    if token:
        cli.screen.print(f"\nThere are more: --all, or\n--page-token {token}", soft_wrap=True)


def _all(cli: Cli, method: str, request: Any) -> Iterator[output.Json]:
    from finlink_client.paging import pages_blocking

    count = 0
    call: Any = rpcs.named(cli, method)
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
    balances = money.aligned(
        money.text(each["balanceAfter"]) if "balanceAfter" in each else "" for each in rows
    )
    return [
        {
            "date": each["date"],
            "amount": amount,
            "balance": balance if balance.strip() else None,
            "what": _what(each),
            "category": _category(each, categories),
            "account": accounts.get(each["accountId"], {}).get("name", each["accountId"]),
            "status": each["status"],
            "id": each["id"],
        }
        for each, amount, balance in zip(rows, amounts, balances, strict=True)
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
    month: Annotated[
        str | None,
        typer.Argument(
            metavar="MONTH", help="As 2026-11. Default: this month.", show_default=False
        ),
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option(help="Only of this account, by id. May be repeated.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Only in this currency. Default: the one used most.")
    ] = None,
) -> None:
    """Plots the spending of each day of a month, and sums it up by category.

    Refunds lessen it. Transfers, and transactions that are pending or left out of analytics, do not count.
    """
    month = month or f"{datetime.now().astimezone():%Y-%m}"
    if not _MONTH.fullmatch(month):
        raise wrong_usage(f"MONTH must be a year and month, as 2026-11, not {month}")
    first, last = months.days_of(month)
    request = rpcs.blank(
        contract.find("ListTransactions"),
        limit=_PAGE,
        account_id=account or [],
        from_date=first,
        to_date=last,
    )
    rows = [each for each in _all(cli, "ListTransactions", request) if months.counts(each)]
    used = currency.upper() if currency else money.most_used(rows)
    of_it = [each for each in rows if each["amount"]["currency"] == used]
    found = months.Month(month, used or "", of_it)
    names = money.categories(cli) if of_it else {}
    if cli.as_json:
        cli.put(found.facts(names))
        return
    if not of_it:
        in_it = f" in {used}" if used else ""
        cli.say(f"Nothing was spent or earned in {month}{in_it}.")
    else:
        for line in found.plot(names, cli.screen.width):
            cli.say(line)
    others = sorted({each["amount"]["currency"] for each in rows} - {used})
    if others:
        cli.say(f"\nThere is more in {', '.join(others)}: --currency.")
