"""Syncs end to end: by themselves and by hand, what they keep, and what they say of themselves."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
import pytest
from bson import ObjectId

from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import ALL, GRANTED, PLATFORMS, Json, instant
from tests.e2e.replies import content_of
from tests.e2e.users_errors import Failure, failed, is_instant
from tests.sandbox.driver import FiSession
from tests.stack import Stack

DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")
IST = timezone(timedelta(hours=5, minutes=30))
# The field that an item of a data type is in, and the fields it may have: needed, then optional.
SHAPES: dict[str, tuple[str, set[str], set[str]]] = {
    "transactions": (
        "transaction",
        {"date", "direction", "amount", "balanceAfter", "narration", "mode", "institution"},
        set(),
    ),
    "trades": (
        "trade",
        {"side", "quantity"},
        {"time", "date", "isin", "symbol", "exchange", "fund", "folio", "price", "amount"},
    ),
    "portfolio": (
        "holding",
        {"kind", "name"},
        {
            "isin", "symbol", "exchange", "folio", "institution", "quantity", "averagePrice",
            "lastPrice", "value", "asOf", "closedAt", "freeQuantity", "unsettledQuantity",
            "pledgedQuantity", "marginQuantity", "marginAveragePrice", "cost",
        },
    ),
    "profile": (
        "profile",
        {"platformUserId", "accountType", "institutions", "exchanges", "products"},
        {"name", "email", "broker", "dateOfBirth"},
    ),
}  # fmt: skip
PARTS = ("freeQuantity", "unsettledQuantity", "pledgedQuantity", "marginQuantity")
NUMBERS = ("quantity", "price", "averagePrice", "lastPrice", "marginAveragePrice", *PARTS)
AMOUNTS = ("amount", "balanceAfter", "value", "cost")


class Synced(NamedTuple):
    """A connector of everything a platform has, synced once. Tests leave it as it is."""

    login: str
    id: str
    status: Json  # after the first sync
    records: list[Json]


@pytest.fixture
async def user(rest: httpx.AsyncClient, new_id: str) -> str:
    await step.create_user(rest, new_id)
    return new_id


@pytest.fixture(scope="module")
async def synced(rest: httpx.AsyncClient) -> AsyncIterator[dict[str, Synced]]:
    user_id = f"user_{step.new_login()}"
    await step.create_user(rest, user_id)

    async def make(platform: str) -> Synced:
        login = step.new_login()
        credentials = step.credentials_of(login)
        data = await step.connect(rest, user_id, platform, credentials=credentials, permissions=ALL)
        status = await step.synced(rest, data["id"])
        return Synced(login, data["id"], status, await step.records(rest, data["id"]))

    made = await asyncio.gather(*map(make, PLATFORMS))
    yield dict(zip(PLATFORMS, made, strict=True))
    await rest.delete(f"/users/{user_id}")


async def quick(rest: httpx.AsyncClient, user_id: str) -> str:
    """A connector that has little to sync, and has done so once."""
    made = await step.connect(rest, user_id, "zerodha")
    await step.synced(rest, made["id"])
    connector_id: str = made["id"]
    return connector_id


async def set_up(rest: httpx.AsyncClient, connector_id: str, **settings: Any) -> Json:
    response = await rest.put(f"/connectors/{connector_id}/sync-settings", json=settings)
    assert response.status_code == 200, response.text
    assert response.json()["message"] == "Sync settings updated successfully"
    data: Json = response.json()["data"]
    return data


def when(record: Json) -> datetime:
    """What lists are ordered by."""
    item = record.get("transaction") or record.get("trade") or {}
    if "time" in item:
        return instant(item["time"])
    return instant(f"{item['date']}T00:00:00Z") if "date" in item else instant(record["addedAt"])


# --- the first sync, and what it brought --------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_first_sync_comes_by_itself(synced: dict[str, Synced], platform: str) -> None:
    status = synced[platform].status
    (entry,) = status["syncHistory"]
    assert status == {
        "lastSyncAt": entry["syncedAt"],
        "nextSyncAt": status["nextSyncAt"],
        "syncInterval": 5,
        "syncHistory": [entry],
        "totalSyncs": 1,
        "successfulSyncs": 1,
        "failedSyncs": 0,
        "successRate": 100,
        "autoSync": True,
    }
    assert instant(status["nextSyncAt"]) >= instant(entry["syncedAt"]) + timedelta(minutes=5)
    assert [count["dataType"] for count in entry["counts"]] == GRANTED[platform]
    for count in entry["counts"]:
        assert count["addedCount"] == count["recordsCount"] > 0, "a first sync finds all of it new"
    assert entry["recordsCount"] == sum(count["recordsCount"] for count in entry["counts"])
    assert entry["addedCount"] == entry["recordsCount"]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_records_are_listed_once_each_and_newest_first(
    rest: httpx.AsyncClient, synced: dict[str, Synced], platform: str
) -> None:
    connector = synced[platform]
    (entry,) = connector.status["syncHistory"]
    expected = {count["dataType"]: count["recordsCount"] for count in entry["counts"]}
    assert Counter(record["dataType"] for record in connector.records) == expected
    assert len({record["id"] for record in connector.records}) == len(connector.records)
    times = [when(record) for record in connector.records]
    assert times == sorted(times, reverse=True)
    # The same in other portions, and a data type at a time.
    assert await step.records(rest, connector.id, limit=37) == connector.records
    for data_type in ALL:
        of_type = [record for record in connector.records if record["dataType"] == data_type]
        assert await step.records(rest, connector.id, data_type, limit=29) == of_type
        assert bool(of_type) == (data_type in GRANTED[platform])


async def test_a_page_has_20_records_unless_asked_otherwise(
    rest: httpx.AsyncClient, synced: dict[str, Synced]
) -> None:
    connector = synced["zerodha"]
    response = await rest.get(f"/connectors/{connector.id}/records")
    assert response.status_code == 200
    token = response.json()["data"]["pagination"]["nextPageToken"]
    assert content_of(response) == {
        "data": {"records": connector.records[:20], "pagination": {"nextPageToken": token}}
    }
    one = await rest.get(f"/connectors/{connector.id}/records", params={"dataType": "profile"})
    (profile,) = (record for record in connector.records if record["dataType"] == "profile")
    assert content_of(one) == {"data": {"records": [profile], "pagination": {}}}


async def test_a_token_is_bound_to_its_list(
    rest: httpx.AsyncClient, synced: dict[str, Synced]
) -> None:
    ours, other = synced["zerodha"].id, synced["fi_money"].id
    params: Json = {"dataType": "trades", "limit": 1}
    first = (await rest.get(f"/connectors/{ours}/records", params=params)).json()["data"]
    token = first["pagination"]["nextPageToken"]
    for connector_id, parameters in (
        (ours, {"pageToken": token}),
        (ours, {"pageToken": token, "dataType": "portfolio"}),
        (other, {"pageToken": token, "dataType": "trades"}),
        (ours, {"pageToken": token[:-3], "dataType": "trades"}),
        (ours, {"pageToken": "", "dataType": "trades"}),
    ):
        failure = failed(await rest.get(f"/connectors/{connector_id}/records", params=parameters))
        assert failure.code == "VALIDATION_ERROR"
        assert failure.fields.keys() == {"pageToken"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("dataType=payments", "dataType"),
        ("dataType=", "dataType"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("page=1", "page"),
    ],
)
async def test_what_records_are_asked_for_is_checked(
    rest: httpx.AsyncClient, synced: dict[str, Synced], query: str, field: str
) -> None:
    response = await rest.get(f"/connectors/{synced['zerodha'].id}/records?{query}")
    failure = failed(response)
    assert failure.code == "VALIDATION_ERROR"
    assert failure.fields.keys() == {field}


# --- the shape of a record, and whether it is what the platform has -----------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_record_has_the_shape_of_its_data_type(synced: dict[str, Synced], platform: str) -> None:
    for record in synced[platform].records:
        field, needed, optional = SHAPES[record["dataType"]]
        assert record.keys() == {"id", "dataType", field, "addedAt", "updatedAt"}
        assert re.fullmatch(r"[0-9a-f]{24}", record["id"])
        assert is_instant(record["addedAt"])
        assert record["updatedAt"] == record["addedAt"]
        item = record[field]
        assert needed <= item.keys() <= needed | optional, item
        for name in item.keys() & set(NUMBERS):
            assert DECIMAL.fullmatch(item[name]), item
        for name in item.keys() & set(AMOUNTS):
            assert item[name].keys() == {"value", "currency"}, item
            assert DECIMAL.fullmatch(item[name]["value"]), item
            assert item[name]["currency"] == "INR"
        for name in item.keys() & {"date", "asOf", "dateOfBirth"}:
            assert date.fromisoformat(item[name]).isoformat() == item[name]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_trades_and_holdings_say_what_they_are(synced: dict[str, Synced], platform: str) -> None:
    for record in synced[platform].records:
        if record["dataType"] == "trades":
            trade = record["trade"]
            assert trade["side"] in {"buy", "sell", "bonus", "split"}
            assert ("time" in trade) != ("date" in trade), "an instant or a day"
            assert "isin" in trade or "symbol" in trade
            assert Decimal(trade["quantity"]) > 0
        elif record["dataType"] == "portfolio":
            holding = record["holding"]
            assert "closedAt" not in holding
            assert holding["name"]
    kinds = Counter(
        record["holding"]["kind"]
        for record in synced[platform].records
        if record["dataType"] == "portfolio"
    )
    expected = {
        "fi_money": {"asset_total", "savings", "mutual_fund", "epf", "account"},
        "zerodha": {"equity", "position", "mutual_fund", "cash"},
    }[platform]
    assert expected <= kinds.keys()
    assert kinds["cash"] == (2 if platform == "zerodha" else 0)


def plain(number: object) -> str:
    """A number of the platform's as records have it."""
    text = format(Decimal(str(number)), "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def listed(connector: Synced, data_type: str) -> list[Json]:
    field = SHAPES[data_type][0]
    return [record[field] for record in connector.records if record["dataType"] == data_type]


async def test_kites_trades_are_all_there(stack: Stack, synced: dict[str, Synced]) -> None:
    connector = synced["zerodha"]
    fills, orders, holdings = await step.zerodha_data(
        stack, connector.login.upper(), "/trades", "/mf/orders", "/portfolio/holdings"
    )
    isins = {row["tradingsymbol"]: row["isin"] for row in holdings if row["exchange"] == "NSE"}
    expected: list[Json] = []
    for row in fills:
        filled = datetime.fromisoformat(row["fill_timestamp"]).replace(tzinfo=IST)
        trade = {
            "time": filled.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "side": row["transaction_type"].lower(),
            "symbol": row["tradingsymbol"],
            "exchange": row["exchange"],
            "quantity": plain(row["quantity"]),
            "price": plain(row["average_price"]),
        }
        if isin := isins.get(row["tradingsymbol"]):
            trade["isin"] = isin
        expected.append(trade)
    complete = [row for row in orders if row["status"] == "COMPLETE"]
    assert len(complete) < len(orders), "one that did not come about is no trade"
    expected += [
        {
            "date": row["exchange_timestamp"][:10],
            "side": row["transaction_type"].lower(),
            "isin": row["tradingsymbol"],
            "fund": row["fund"],
            "folio": row["folio"],
            "quantity": plain(row["quantity"]),
            "price": plain(row["average_price"]),
            "amount": {"value": plain(row["amount"]), "currency": "INR"},
        }
        for row in complete
    ]
    assert sorted(map(repr_of, listed(connector, "trades"))) == sorted(map(repr_of, expected))


async def test_kites_holdings_are_all_there(stack: Stack, synced: dict[str, Synced]) -> None:
    connector = synced["zerodha"]
    holdings, positions, funds, margins, profile = await step.zerodha_data(
        stack, connector.login.upper(), "/portfolio/holdings", "/portfolio/positions",
        "/mf/holdings", "/user/margins", "/user/profile",
    )  # fmt: skip
    found = listed(connector, "portfolio")
    kinds = Counter(holding["kind"] for holding in found)
    assert kinds == {
        "equity": len(holdings),
        "position": len(positions["net"]),
        "mutual_fund": len(funds),
        "cash": len(margins),
    }
    for row in holdings:
        margin = row["mtf"]
        own = row["quantity"] + row["t1_quantity"] + row["collateral_quantity"]
        quantity = own + margin["quantity"]
        cost = own * Decimal(str(row["average_price"]))
        cost += margin["quantity"] * Decimal(str(margin["average_price"]))
        average = (cost / quantity).quantize(Decimal("0.000001"))
        on_margin = {"marginAveragePrice": plain(margin["average_price"])}
        assert {
            "kind": "equity",
            "name": row["tradingsymbol"],
            "isin": row["isin"],
            "symbol": row["tradingsymbol"],
            "exchange": row["exchange"],
            "quantity": plain(quantity),
            "averagePrice": plain(average if margin["quantity"] else row["average_price"]),
            "lastPrice": plain(row["last_price"]),
            "value": {
                "value": plain(Decimal(str(row["last_price"])) * quantity),
                "currency": "INR",
            },
            "freeQuantity": plain(row["quantity"]),
            "unsettledQuantity": plain(row["t1_quantity"]),
            "pledgedQuantity": plain(row["collateral_quantity"]),
            "marginQuantity": plain(margin["quantity"]),
            **(on_margin if margin["quantity"] else {}),
            "cost": {"value": plain(cost), "currency": "INR"},
        } in found
    assert any(row["mtf"]["quantity"] for row in holdings)
    assert any(row["collateral_quantity"] for row in holdings)
    for segment, balance in margins.items():
        cash = {"value": plain(balance["available"]["live_balance"]), "currency": "INR"}
        assert {"kind": "cash", "name": f"Cash ({segment})", "value": cash} in found
    (stored,) = listed(connector, "profile")
    assert stored == {
        "platformUserId": connector.login.upper(),
        "name": profile["user_name"],
        "email": profile["email"],
        "broker": "ZERODHA",
        "accountType": "individual",
        "institutions": [],
        "exchanges": profile["exchanges"],
        "products": profile["products"],
    }


async def test_fis_transactions_are_all_there(stack: Stack, synced: dict[str, Synced]) -> None:
    connector = synced["fi_money"]
    session = FiSession(step.fi_money(stack))
    session.log_in(connector.login, "123456")
    banks = session.document("fetch_bank_transactions")["bankTransactions"]
    directions = {1: "credit", 2: "debit", 4: "credit", 5: "debit", 6: "debit"}
    expected = [
        {
            "date": day,
            "direction": directions.get(kind, "other"),
            "amount": {"value": plain(amount), "currency": "INR"},
            "balanceAfter": {"value": plain(balance), "currency": "INR"},
            "narration": narration,
            "mode": mode,
            "institution": bank["bank"],
        }
        for bank in banks
        for amount, narration, day, kind, mode, balance in bank["txns"]
    ]
    found = listed(connector, "transactions")
    assert sorted(map(repr_of, found)) == sorted(map(repr_of, expected))
    (profile,) = listed(connector, "profile")
    assert profile["institutions"] == sorted({bank["bank"] for bank in banks})
    assert re.fullmatch(r"fi_[0-9a-f]{32}", profile["platformUserId"])
    assert profile["accountType"] == "mcp"


async def test_fis_stock_trades_are_all_there(stack: Stack, synced: dict[str, Synced]) -> None:
    connector = synced["fi_money"]
    session = FiSession(step.fi_money(stack))
    session.log_in(connector.login, "123456")
    sides = {1: "buy", 2: "sell", 3: "bonus", 4: "split"}
    expected: list[Json] = []
    for stock in session.document("fetch_stock_transactions")["stockTransactions"]:
        for kind, day, quantity, *price in stock["txns"]:
            trade = {"date": day, "side": sides[kind], "isin": stock["isin"]}
            trade["quantity"] = plain(quantity)
            if price:
                trade["price"] = plain(price[0])
            expected.append(trade)
    found = [trade for trade in listed(connector, "trades") if "fund" not in trade]
    assert sorted(map(repr_of, found)) == sorted(map(repr_of, expected))


def repr_of(item: Json) -> str:
    return repr(sorted(item.items()))


# --- syncing again ------------------------------------------------------------------------------


async def test_syncing_again_adds_nothing(rest: httpx.AsyncClient, user: str) -> None:
    async def check(platform: str) -> None:
        made = await step.connect(rest, user, platform, permissions=ALL)
        before = await step.synced(rest, made["id"])
        kept = await step.records(rest, made["id"])
        again = await step.sync(rest, made["id"])
        first = before["syncHistory"][0]
        assert again["status"] == "success"
        assert again["recordsCount"] == first["recordsCount"]
        assert again["addedCount"] == 0
        assert again["counts"] == [{**count, "addedCount": 0} for count in first["counts"]]
        assert await step.records(rest, made["id"]) == kept
        after = await step.sync_status(rest, made["id"])
        assert after["syncHistory"] == [again, first], "newest first"
        assert (after["totalSyncs"], after["successfulSyncs"]) == (2, 2)
        assert after["lastSyncAt"] == again["syncedAt"]
        assert instant(after["nextSyncAt"]) > instant(before["nextSyncAt"])

    await asyncio.gather(*map(check, PLATFORMS))


async def test_a_holding_that_is_gone_is_closed(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    made = await step.connect(rest, user, "zerodha", permissions=["portfolio", "trades"])
    (first,) = (await step.synced(rest, made["id"]))["syncHistory"]
    kept = {record["id"]: record for record in await step.records(rest, made["id"])}
    old = {}
    async with step.database(stack) as documents:
        # As though the platform had reported two other items before.
        for data_type in ("portfolio", "trades"):
            (record, *_) = (r for r in kept.values() if r["dataType"] == data_type)
            await documents["records"].update_one(
                {"_id": ObjectId(record["id"])}, {"$set": {"key": "another"}}
            )
            old[data_type] = record
        await documents["connectors"].update_one(
            {"_id": ObjectId(made["id"])}, {"$unset": {"sync.kept": ""}}
        )
    again = await step.sync(rest, made["id"])
    assert again["recordsCount"] == first["recordsCount"]
    assert [count["addedCount"] for count in again["counts"]] == [1, 1]
    now = {record["id"]: record for record in await step.records(rest, made["id"])}
    assert len(now) == len(kept) + 2
    closed = now.pop(old["portfolio"]["id"])
    closed_at = closed["holding"]["closedAt"]
    assert instant(first["syncedAt"]) < instant(closed_at) <= instant(again["syncedAt"])
    assert closed == {
        **old["portfolio"],
        "holding": {**old["portfolio"]["holding"], "closedAt": closed_at},
        "updatedAt": closed_at,
    }
    assert not [r for r in now.values() if "closedAt" in r.get("holding", {})]
    annulled = now[old["trades"]["id"]]
    withdrawn_at = annulled["withdrawnAt"]
    assert annulled == {
        **old["trades"], "withdrawnAt": withdrawn_at, "updatedAt": withdrawn_at,
    }  # fmt: skip
    # They stay so when they are not there again.
    await step.sync(rest, made["id"])
    later = {record["id"]: record for record in await step.records(rest, made["id"])}
    assert later == {**now, closed["id"]: closed}


async def test_a_bank_row_that_is_gone_is_withdrawn(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    made = await step.connect(rest, user, permissions=["transactions"])
    await step.synced(rest, made["id"])
    kept = await step.records(rest, made["id"])
    newest = kept[0]["transaction"]
    oldest = next(
        record
        for record in reversed(kept)
        if record["transaction"]["institution"] == newest["institution"]
    )
    async with step.database(stack) as documents:
        # As though Fi had reported two other rows before: one that the bank changed since, and one that is
        # too old to be reported.
        for record in (kept[0], oldest):
            await documents["records"].update_one(
                {"_id": ObjectId(record["id"])}, {"$set": {"key": f"another {record['id']}"}}
            )
        await documents["connectors"].update_one(
            {"_id": ObjectId(made["id"])}, {"$unset": {"sync.kept": ""}}
        )
    again = await step.sync(rest, made["id"])
    assert (again["recordsCount"], again["addedCount"]) == (len(kept), 2)
    now = {record["id"]: record for record in await step.records(rest, made["id"])}
    assert len(now) == len(kept) + 2
    withdrawn = {name for name, record in now.items() if "withdrawnAt" in record}
    assert withdrawn == {kept[0]["id"]}
    assert now[oldest["id"]] == oldest
    total = sum(1 for record in now.values() if record["transaction"] == newest)
    assert total == 2, "whoever adds up leaves the withdrawn one out"


async def test_a_document_of_another_shape_costs_no_other_data_type(
    rest: httpx.AsyncClient, user: str
) -> None:
    """The published data of this login have a credit report in place of the net worth."""
    credentials = step.credentials_of(step.BROKEN_NET_WORTH)
    made = await step.connect(rest, user, permissions=list(ALL), credentials=credentials)
    (entry,) = (await step.synced(rest, made["id"]))["syncHistory"]
    assert (entry["status"], entry["errorCode"]) == ("partial", "PLATFORM_DATA_ERROR")
    assert [each["dataType"] for each in entry["missing"]] == ["portfolio"]
    counts = {count["dataType"]: count["recordsCount"] for count in entry["counts"]}
    assert counts.keys() == {"transactions", "trades", "profile"}
    records = await step.records(rest, made["id"])
    assert Counter(record["dataType"] for record in records) == counts
    assert counts["trades"] > 0


async def test_the_interval_brings_the_next_sync(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    connector_id = await quick(rest, user)
    before = await step.sync_status(rest, connector_id)
    async with step.database(stack) as documents:
        await step.make_due(documents, connector_id)
    after = await step.synced(rest, connector_id, 2)
    assert after["totalSyncs"] == 2
    newest, oldest = after["syncHistory"]
    assert oldest == before["syncHistory"][0]
    assert newest["syncId"] != oldest["syncId"]
    assert newest["status"] == "success"
    lasts = instant(after["nextSyncAt"]) - instant(newest["syncedAt"])
    assert timedelta(minutes=5) <= lasts <= timedelta(minutes=6)


# --- manual syncs -------------------------------------------------------------------------------


async def test_a_trigger_finds_the_first_sync_under_way(rest: httpx.AsyncClient, user: str) -> None:
    made = await step.connect(rest, user, "fi_money", permissions=ALL)
    reply = await step.trigger(rest, made["id"], dataTypes=["profile"], forceSync=False)
    assert reply["data"].keys() == {"syncId", "status", "estimatedDuration"}
    status = await step.synced(rest, made["id"])
    (entry,) = status["syncHistory"]
    assert entry["syncId"] == reply["data"]["syncId"]
    assert len(entry["counts"]) == len(ALL), "it stays the run it was"


async def test_without_force_a_recent_success_is_enough(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    connector_id = await quick(rest, user)
    status = await step.sync_status(rest, connector_id)
    last = status["syncHistory"][0]["syncId"]
    response = await rest.post(f"/connectors/{connector_id}/sync", json={"forceSync": False})
    assert response.status_code == 200
    assert content_of(response) == {
        "message": "Sync skipped",
        "data": {"syncId": last, "status": "skipped", "reason": "recent_success"},
    }
    assert await step.sync_status(rest, connector_id) == status
    for body in ({}, {"forceSync": True}, {"forceSync": None}):
        await step.sync(rest, connector_id, **body)
    # The last success was longer ago than the interval.
    async with step.database(stack) as documents:
        await documents["connectors"].update_one(
            {"_id": ObjectId(connector_id)},
            {"$set": {"sync.lastSuccessAt": datetime.now(UTC) - timedelta(minutes=6)}},
        )
    assert (await step.sync(rest, connector_id, forceSync=False))["status"] == "success"
    assert (await step.synced(rest, connector_id))["totalSyncs"] == 5


async def test_a_manual_sync_fetches_what_it_is_asked_for(
    rest: httpx.AsyncClient, user: str
) -> None:
    made = await step.connect(rest, user, "zerodha", permissions=["trades", "profile"])
    await step.synced(rest, made["id"])
    entry = await step.sync(rest, made["id"], dataTypes=["profile"])
    assert entry["counts"] == [{"dataType": "profile", "recordsCount": 1, "addedCount": 0}]
    assert (entry["recordsCount"], entry["addedCount"]) == (1, 0)
    # That was for once; the settings are as before.
    entry = await step.sync(rest, made["id"])
    assert [count["dataType"] for count in entry["counts"]] == ["trades", "profile"]


NOT_GRANTED = "portfolio, transactions not granted to this connector; granted are trades, profile"


async def test_what_is_not_granted_is_not_synced(rest: httpx.AsyncClient, user: str) -> None:
    made = await step.connect(rest, user, "zerodha", permissions=["trades", "profile"])
    body = {"dataTypes": ["portfolio", "trades", "transactions"]}
    refused = Failure("VALIDATION_ERROR", "Validation failed", {"dataTypes": NOT_GRANTED})
    assert failed(await rest.post(f"/connectors/{made['id']}/sync", json=body)) == refused
    assert failed(await rest.put(f"/connectors/{made['id']}/sync-settings", json=body)) == refused
    assert (await step.get(rest, made["id"]))["metadata"]["dataTypes"] == ["trades", "profile"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dataTypes": []}, "dataTypes"),
        ({"dataTypes": ["profile", "profile"]}, "dataTypes"),
        ({"dataTypes": ["payments"]}, "dataTypes[0]"),
        ({"dataTypes": "profile"}, "dataTypes"),
        ({"forceSync": "true"}, "forceSync"),
        ({"forceSync": 1}, "forceSync"),
        ({"force": True}, "force"),
    ],
)
async def test_what_a_sync_is_asked_for_is_checked(
    rest: httpx.AsyncClient, synced: dict[str, Synced], body: Json, field: str
) -> None:
    connector_id = synced["zerodha"].id
    failure = failed(await rest.post(f"/connectors/{connector_id}/sync", json=body))
    assert failure.code == "VALIDATION_ERROR"
    assert failure.message == "Validation failed"
    assert failure.fields.keys() == {field}
    assert await step.sync_status(rest, connector_id) == synced["zerodha"].status


# --- settings -----------------------------------------------------------------------------------


async def test_settings_change_alone_or_together(rest: httpx.AsyncClient, user: str) -> None:
    made = await step.connect(rest, user, "zerodha", permissions=["profile", "trades"])
    await step.synced(rest, made["id"])
    settings = {"syncInterval": 5, "dataTypes": ["profile", "trades"], "autoSync": True}
    for change in (
        {"syncInterval": 60},
        {"dataTypes": ["trades"]},
        {"autoSync": False},
        {"syncInterval": 1, "autoSync": None, "dataTypes": None},
        {"syncInterval": 30, "dataTypes": ["trades", "profile"], "autoSync": True},
    ):
        settings |= {name: value for name, value in change.items() if value is not None}
        assert await set_up(rest, made["id"], **change) == settings
        status = await step.sync_status(rest, made["id"])
        assert status["syncInterval"] == settings["syncInterval"]
        assert status["autoSync"] == settings["autoSync"]
        whole = await step.get(rest, made["id"])
        assert whole["connectionDetails"]["syncInterval"] == settings["syncInterval"]
        assert whole["metadata"]["dataTypes"] == settings["dataTypes"]
        assert whole["metadata"]["permissions"] == ["profile", "trades"]


async def test_settings_decide_what_is_synced_and_when(rest: httpx.AsyncClient, user: str) -> None:
    made = await step.connect(rest, user, "zerodha", permissions=["profile", "trades"])
    first = await step.synced(rest, made["id"])
    await set_up(rest, made["id"], syncInterval=60, dataTypes=["trades"])
    status = await step.sync_status(rest, made["id"])
    due = instant(first["lastSyncAt"]) + timedelta(minutes=60)
    assert instant(status["nextSyncAt"]) == due
    entry = await step.sync(rest, made["id"])
    assert [count["dataType"] for count in entry["counts"]] == ["trades"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"syncInterval": 0}, "syncInterval"),
        ({"syncInterval": 61}, "syncInterval"),
        ({"syncInterval": -5}, "syncInterval"),
        ({"syncInterval": 1.5}, "syncInterval"),
        ({"syncInterval": "5"}, "syncInterval"),
        ({"dataTypes": []}, "dataTypes"),
        ({"dataTypes": ["trades", "trades"]}, "dataTypes"),
        ({"dataTypes": ["trades", ""]}, "dataTypes[1]"),
        ({"dataTypes": ["transactions"]}, "dataTypes"),
        ({"autoSync": "yes"}, "autoSync"),
        ({"autoSync": True, "interval": 5}, "interval"),
    ],
)
async def test_what_settings_are_sent_is_checked(
    rest: httpx.AsyncClient, synced: dict[str, Synced], body: Json, field: str
) -> None:
    connector_id = synced["zerodha"].id
    before = await step.get(rest, connector_id)
    failure = failed(await rest.put(f"/connectors/{connector_id}/sync-settings", json=body))
    assert failure.code == "VALIDATION_ERROR"
    assert failure.fields.keys() == {field}
    assert await step.get(rest, connector_id) == before


@pytest.mark.parametrize("body", ["", "{}", '{"autoSync": null, "dataTypes": null}'])
async def test_an_empty_update_is_refused(
    rest: httpx.AsyncClient, synced: dict[str, Synced], body: str
) -> None:
    response = await rest.put(
        f"/connectors/{synced['zerodha'].id}/sync-settings",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert failed(response) == Failure(
        "VALIDATION_ERROR", "Nothing to update: send syncInterval, dataTypes or autoSync"
    )


async def test_without_auto_sync_only_manual_syncs_run(
    stack: Stack, rest: httpx.AsyncClient, user: str
) -> None:
    connector_id = await quick(rest, user)
    await set_up(rest, connector_id, autoSync=False)
    before = await step.sync_status(rest, connector_id)
    assert before["autoSync"] is False
    assert "nextSyncAt" not in before
    async with step.database(stack) as documents:
        await step.make_due(documents, connector_id)
        await step.judged(documents, connector_id)
    assert await step.sync_status(rest, connector_id) == before
    assert (await step.sync(rest, connector_id))["status"] == "success"
    after = await step.sync_status(rest, connector_id)
    assert (after["totalSyncs"], "nextSyncAt" in after) == (2, False)
    # Turned on again it goes on from the last sync.
    await set_up(rest, connector_id, autoSync=True)
    status = await step.sync_status(rest, connector_id)
    due = instant(after["lastSyncAt"]) + timedelta(minutes=5)
    assert instant(status["nextSyncAt"]) == due


async def test_auto_sync_stays_off_over_a_new_connection(
    rest: httpx.AsyncClient, user: str
) -> None:
    connector_id = await quick(rest, user)
    await set_up(rest, connector_id, autoSync=False, syncInterval=9)
    await step.disconnect(rest, connector_id)
    assert await set_up(rest, connector_id, syncInterval=8) == {
        "syncInterval": 8, "dataTypes": ["profile"], "autoSync": False,
    }  # fmt: skip
    await step.connect(rest, user, "zerodha")
    status = await step.synced(rest, connector_id, 2)
    assert (status["autoSync"], status["syncInterval"]) == (False, 8)
    assert "nextSyncAt" not in status


# --- what goes wrong ----------------------------------------------------------------------------


async def test_the_numbers_add_up(rest: httpx.AsyncClient, user: str) -> None:
    """A customer whose net worth cannot be read: syncs succeed, fail, or bring a part."""
    made = await step.connect(
        rest,
        user,
        permissions=["transactions", "portfolio"],
        credentials=step.credentials_of(step.BROKEN_NET_WORTH),
    )
    connector_id = made["id"]
    expected: list[str] = []

    async def check(entry: Json, status: str) -> Json:
        assert entry["status"] == status
        expected.insert(0, status)
        now = await step.sync_status(rest, connector_id)
        assert [each["status"] for each in now["syncHistory"]] == expected
        assert now["totalSyncs"] == len(expected)
        assert now["successfulSyncs"] == expected.count("success")
        assert now["failedSyncs"] == expected.count("failed")
        rate = round(100 * expected.count("success") / len(expected), 1)
        assert now["successRate"] == rate
        return now

    (first,) = (await step.synced(rest, connector_id))["syncHistory"]
    status = await check(first, "partial")
    assert status["lastSyncAt"] == first["syncedAt"]
    assert first["errorCode"] == "PLATFORM_DATA_ERROR"
    assert first["errorMessage"]
    (count,) = first["counts"]
    assert count["dataType"] == "transactions"
    assert count["recordsCount"] == first["recordsCount"] > 0
    cause = {"code": first["errorCode"], "message": first["errorMessage"]}
    assert first["missing"] == [{"dataType": "portfolio", **cause}]
    response = await rest.get(f"/connectors/{connector_id}/syncs/{first['syncId']}")
    run = response.json()["data"]
    assert (run["missing"], run["error"]) == (first["missing"], cause)
    success = await step.sync(rest, connector_id, dataTypes=["transactions"])
    assert "errorCode" not in success
    status = await check(success, "success")
    assert status["lastSyncAt"] == success["syncedAt"]
    failure = await step.sync(rest, connector_id, dataTypes=["portfolio"])
    status = await check(failure, "failed")
    assert status["lastSyncAt"] == success["syncedAt"], "a failed one brought nothing"
    assert failure.keys() == {
        "syncedAt", "status", "errorMessage", "errorCode", "syncId", "startedAt", "counts",
        "missing",
    }  # fmt: skip
    assert failure["counts"] == failure["missing"] == []
    assert status["successRate"] == 33.3
    status = await check(await step.sync(rest, connector_id, dataTypes=["transactions"]), "success")
    assert status["successRate"] == 50
    whole = await step.get(rest, connector_id)
    assert whole["syncHistory"] == status["syncHistory"]
    assert whole["connectionStatus"] == "connected"
    assert whole["errors"] == [
        {
            "errorCode": entry["errorCode"],
            "errorMessage": entry["errorMessage"],
            "occurredAt": entry["syncedAt"],
        }
        for entry in (failure, first)
    ]
    assert not await step.records(rest, connector_id, "portfolio")


async def test_five_failures_in_a_row_are_an_error(rest: httpx.AsyncClient, user: str) -> None:
    credentials = step.credentials_of(step.BROKEN_NET_WORTH)
    made = await step.connect(
        rest, user, permissions=["portfolio", "profile"], credentials=credentials
    )
    connector_id = made["id"]
    (first,) = (await step.synced(rest, connector_id))["syncHistory"]
    assert first["status"] == "partial"
    for _ in range(4):
        await step.sync(rest, connector_id, dataTypes=["portfolio"])
    before = await step.get(rest, connector_id)
    assert before["connectionStatus"] == "connected", "four are not enough"
    entry = await step.sync(rest, connector_id, dataTypes=["portfolio"])
    whole = await step.get(rest, connector_id)
    assert whole["connectionStatus"] == "error"
    assert whole["sessionId"] == made["sessionId"], "the session is fine"
    assert [error["errorCode"] for error in whole["errors"]] == ["PLATFORM_DATA_ERROR"] * 6
    status = await step.sync_status(rest, connector_id)
    assert (status["totalSyncs"], status["failedSyncs"], status["successRate"]) == (6, 5, 0)
    assert status["lastSyncAt"] == first["syncedAt"]
    pause = instant(status["nextSyncAt"]) - instant(entry["syncedAt"])
    assert pause > timedelta(minutes=9), "it goes on, more slowly"
    of_user = await step.of_user(rest, user)
    assert (of_user["totalConnectors"], of_user["activeConnections"]) == (1, 0)
    span = {"fromDate": made["connectedAt"], "toDate": made["connectedAt"]}
    counts = await step.summary(rest, **span)
    assert counts["summary"]["errorConnections"] == counts["byPlatform"]["fi_money"]["error"] == 1
    found = {connector["id"] for connector in await step.listed(rest, status="error")}
    assert connector_id in found
    again = await step.post(rest, user, "fi_money")
    assert failed(again).code == "ALREADY_CONNECTED"

    # A success clears it.
    assert (await step.sync(rest, connector_id, dataTypes=["profile"]))["status"] == "success"
    whole = await step.get(rest, connector_id)
    assert whole["connectionStatus"] == "connected"
    assert len(whole["errors"]) == 6, "what went wrong is remembered"
    entry = await step.sync(rest, connector_id, dataTypes=["portfolio"])
    assert entry["status"] == "failed"
    assert (await step.get(rest, connector_id))["connectionStatus"] == "connected"


async def test_a_customer_with_next_to_nothing(rest: httpx.AsyncClient, user: str) -> None:
    """Fi answers with an empty object for what is not there."""
    credentials = step.credentials_of("1111111111")
    made = await step.connect(rest, user, credentials=credentials, permissions=ALL)
    (entry,) = (await step.synced(rest, made["id"]))["syncHistory"]
    assert entry["status"] == "success"
    counts = {count["dataType"]: count["recordsCount"] for count in entry["counts"]}
    assert counts == {"transactions": 0, "portfolio": 1, "profile": 1, "trades": 0}
    (profile,) = await step.records(rest, made["id"], "profile")
    assert profile["profile"]["institutions"] == []
    (total,) = await step.records(rest, made["id"], "portfolio")
    assert total["holding"]["kind"] == "asset_total"
