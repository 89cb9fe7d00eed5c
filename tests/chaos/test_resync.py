"""Syncs of data that stays the same, and of holdings that are sold and bought back.

A full re-sync adds nothing and changes nothing; Fi's equal stock rows are all kept; a holding that was
sold is closed, not deleted, and open again once it is back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from tests.chaos.figures import Figures
from tests.chaos.ground import Ground
from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import GRANTED, PLATFORMS, Json

AT_ONCE = 6
_SIDES = {1: "buy", 2: "sell", 3: "bonus", 4: "split"}


@dataclass
class CounterSpec:
    """Sums over all accounts."""

    connectors: int = 0
    records: int = 0
    added: Counter[str] = field(default_factory=Counter)  # by the second sync, by data type
    rows: int = 0  # Fi's stock rows
    equal_rows: int = 0  # those that equal another
    sold: int = 0


async def test_syncing_again(
    site: Ground, api: httpx.AsyncClient, figures: Figures, full: bool
) -> None:
    # It stands still, so that prices and days do too.
    site.sandbox.put("/clock", {"now": datetime.now(UTC).isoformat(), "frozen": True})
    tally = CounterSpec()
    room = asyncio.Semaphore(AT_ONCE)

    async def one(platform: str) -> None:
        async with room:
            await _account(site, api, platform, tally)

    accounts = 20 if full else 2
    await asyncio.gather(*[one(platform) for platform in PLATFORMS for _ in range(accounts)])
    figures.show("connectors of both platforms", tally.connectors)
    figures.show("records kept", tally.records)
    figures.show("records that syncing again added", dict(tally.added))
    figures.show("Fi stock rows", f"{tally.rows}, equal to another {tally.equal_rows}")
    figures.show("holdings sold and bought back", tally.sold)
    assert tally.added == dict.fromkeys(GRANTED["fi_money"], 0)
    assert tally.equal_rows > 0
    assert tally.sold >= tally.connectors


async def _account(site: Ground, api: httpx.AsyncClient, platform: str, tally: CounterSpec) -> None:
    login = step.new_login()
    user_id = f"user_{login}"
    await step.create_user(api, user_id)
    # An app of its own: Zerodha's allowance is by app.
    credentials = {**step.credentials_of(login), "apiKey": f"app_{login}"}
    made = await step.connect(
        api, user_id, platform, permissions=GRANTED[platform], credentials=credentials
    )
    connector_id = made["id"]
    (first,) = (await step.synced(api, connector_id))["syncHistory"]
    assert first["status"] == "success", first
    kept = await _records(api, connector_id)
    assert len(kept) == first["recordsCount"] == first["addedCount"]
    tally.connectors += 1
    tally.records += len(kept)

    again = await step.sync(api, connector_id)
    assert again["status"] == "success", again
    assert [(count["dataType"], count["recordsCount"]) for count in again["counts"]] == [
        (count["dataType"], count["recordsCount"]) for count in first["counts"]
    ]
    for count in again["counts"]:
        tally.added[count["dataType"]] += count["addedCount"]
    assert await _records(api, connector_id) == kept

    if platform == "fi_money":
        await asyncio.to_thread(_compare_stock_rows, site, login, kept, tally)
    await _sell_and_buy_back(site, api, connector_id, platform, login, kept, tally)


def _compare_stock_rows(
    site: Ground, login: str, kept: dict[str, Json], tally: CounterSpec
) -> None:
    """Rows that nothing tells apart are as many as Fi sends."""
    session = site.sandbox.fi_money(login)
    sent: Counter[tuple[object, ...]] = Counter()
    for stock in session.document("fetch_stock_transactions").get("stockTransactions", []):
        for kind, day, quantity, *price in stock["txns"]:
            sent[stock["isin"], day, _SIDES[kind], _number(quantity), *map(_number, price)] += 1
    found: Counter[tuple[object, ...]] = Counter()
    for record in kept.values():
        trade = record.get("trade", {"fund": ""})
        if "fund" not in trade:
            price = [_number(trade["price"])] if "price" in trade else []
            found[
                trade["isin"], trade["date"], trade["side"], _number(trade["quantity"]), *price
            ] += 1
    assert found == sent
    tally.rows += sum(sent.values())
    tally.equal_rows += sum(number for number in sent.values() if number > 1)


async def _sell_and_buy_back(
    site: Ground,
    api: httpx.AsyncClient,
    connector_id: str,
    platform: str,
    login: str,
    kept: dict[str, Json],
    tally: CounterSpec,
) -> None:
    isin = min(r["holding"]["isin"] for r in kept.values() if "isin" in r.get("holding", {}))
    sold = {name for name, r in kept.items() if r.get("holding", {}).get("isin") == isin}
    account = f"/accounts/{platform}/{login}/data"
    site.sandbox.put(account, {"without": [isin]})
    gone = await step.sync(api, connector_id)
    assert gone["status"] == "success", gone
    assert gone["addedCount"] == 0
    without = await _records(api, connector_id)
    assert without.keys() == kept.keys(), "nothing is deleted"
    assert {name for name, r in without.items() if r.get("holding", {}).get("closedAt")} == sold
    assert {name: without[name] for name in kept.keys() - sold} == {
        name: kept[name] for name in kept.keys() - sold
    }
    for name in sold:
        was, now = dict(kept[name]["holding"]), dict(without[name]["holding"])
        del now["closedAt"]
        assert now == was, "it stays as it was last seen"

    site.sandbox.put(account, {})
    back = await step.sync(api, connector_id)
    assert (back["status"], back["addedCount"]) == ("success", 0), back
    restored = await _records(api, connector_id)
    assert [_lasting(record) for record in restored.values()] == [
        _lasting(record) for record in kept.values()
    ]
    tally.sold += len(sold)


def _lasting(record: Json) -> Json:
    return {name: value for name, value in record.items() if name != "updatedAt"}


async def _records(api: httpx.AsyncClient, connector_id: str) -> dict[str, Json]:
    found = await step.records(api, connector_id)
    by_id = {record["id"]: record for record in found}
    assert len(by_id) == len(found)
    return by_id


def _number(value: Any) -> Decimal:
    return Decimal(str(value)).normalize()
