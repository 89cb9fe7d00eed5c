"""`finlink accounts list`: what a user has and owes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from finlink_cli import money, output, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command

_COLUMNS = ("name", "balance", "currency", "type", "newest", "from", "id")


@command("accounts list", rpc="ListAccounts", example="finlink accounts list --type bank")
def list_accounts(cli: Cli, request: Any) -> None:
    """Lists accounts with their balances, and sums them up by currency. Debts are negative."""
    data = output.to_json(rpcs.named(cli, "ListAccounts")(request).data)
    if cli.as_json:
        cli.put(data)
        return
    rows = data["accounts"]
    amounts = money.aligned(
        money.shown(Decimal(each["balance"]["value"]), each["currency"]) for each in rows
    )
    shown = [
        {
            "name": each["name"],
            "balance": amount,
            "currency": each["currency"],
            "type": each["type"],
            "newest": each.get("lastTransactionDate"),
            "from": each.get("provider", each["source"]),
            "id": each["accountId"],
        }
        for each, amount in zip(rows, amounts, strict=True)
    ]
    cli.table("accounts", shown, _COLUMNS)
    sums = money.totals(rows)
    if sums:
        text = ", ".join(f"{money.shown(each, name)} {name}" for name, each in sorted(sums.items()))
        cli.say(f"\nNet worth of these: {text}.")
