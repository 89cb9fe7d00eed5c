"""Statements of the sandbox's banks: every row is a transaction, and balances are the banks'."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from sandbox.clock import Clock
from sandbox.platforms.fi_money.generated import GeneratedFiData
from server.platforms.document import parse
from server.platforms.fi_money import items as fi_items
from server.platforms.fi_money import net_worth as fi_net_worth
from tests.domains.money.posting.world import PostingWorld

SIGNS = {1: 1, 2: -1, 4: 1, 5: -1, 6: -1}


def replies(login: str) -> tuple[Any, Any]:
    data = GeneratedFiData(42, Clock())
    return (
        json.loads(data.read("fetch_bank_transactions", login)),
        data.read("fetch_net_worth", login),
    )


@pytest.mark.parametrize("login", ["1111111111", "2222222222", "7777777777", "8888888888"])
async def test_all_rows_of_a_login(world: PostingWorld, login: str) -> None:
    banks, net_worth = replies(login)
    rows = fi_items.transactions(parse(json.dumps(banks), "banks"))
    holdings = fi_net_worth.net_worth(parse(net_worth, "worth"))
    await world.sync(rows, holdings)
    listed: Counter[str] = Counter()
    sums: defaultdict[str, int] = defaultdict(int)
    newest: defaultdict[str, list[int]] = defaultdict(list)
    for account in banks.get("bankTransactions", []):
        name, lines = f"bank:{account['bank']}", account["txns"]
        listed[name] += len(lines)
        sums[name] += sum(SIGNS[line[3]] * int(line[0]) * 100 for line in lines)
        newest[name].append(_closing(lines))
    found = await world.all()
    accounts = await world.accounts()
    by_account = {each.id: name for name, each in accounts.items()}
    assert Counter(by_account[each.account_id] for each in found) == listed
    for name, total in sums.items():
        each = accounts[name]
        assert each.balance.units - each.opening_balance.units == total
        assert each.balance.units == sum(newest[name]), "as the bank has it"
    assert await world.recounted() == []
    await world.disconnect()
    await world.connect_again()
    await world.sync(rows, holdings)
    await world.post_again()
    assert len(await world.all()) == len(found)
    assert {name: each.balance for name, each in (await world.accounts()).items()} == {
        name: each.balance for name, each in accounts.items()
    }


def _closing(lines: list[list[Any]]) -> int:
    """The balance after an account's newest row: that which no row begins from."""
    after = Counter(int(line[5]) * 100 for line in lines)
    after.subtract(int(line[5]) * 100 - SIGNS[line[3]] * int(line[0]) * 100 for line in lines)
    ends = [balance for balance, count in after.items() if count > 0]
    if ends:
        return ends[0]
    return max(((line[2], int(line[5]) * 100) for line in lines), default=("", 0))[1]
