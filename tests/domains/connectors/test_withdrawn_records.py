"""Rows that a bank changed or withdrew: kept, and marked, so that nobody counts them twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from server.core.pages import PageRequest
from server.domains.connectors.records import convert
from server.domains.connectors.records.store import RECORDS
from server.platforms.base import PlatformDataError, PlatformUnavailable
from server.platforms.records import Item, Money, Period, Trade, Transaction
from server.storage.driver import Document
from tests.domains.connectors.sync_world import World

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
SINCE_THE_SECOND = Period("institution", "Bank", JANUARY + timedelta(days=1))


def row(key: str, day: int, bank: str = "Bank") -> Item:
    """Of that day of January."""
    amount = Money(Decimal(10), "INR")
    return Item(key, Transaction(date(2026, 1, day), "debit", amount, key, "UPI", bank))


@pytest.fixture
def bank(world: World) -> World:
    """A statement from the first day of January on, of which the first day may be cut."""
    world.platform.items["transactions"] = [row("old", 1), row("one", 2), row("two", 9)]
    world.platform.periods = [SINCE_THE_SECOND]
    return world


async def stored(world: World, connector_id: str) -> dict[str, Document]:
    found = world.database.collection(RECORDS).find({"connectorId": connector_id})
    return {each["key"]: each for each in await found.to_list(None)}


async def withdrawn(world: World, connector_id: str) -> set[str]:
    records = await stored(world, connector_id)
    return {key for key, record in records.items() if "withdrawnAt" in record}


async def test_a_changed_row_is_kept_and_marked(bank: World) -> None:
    connector = await bank.synced("transactions")
    before = await stored(bank, connector.id)
    bank.platform.items["transactions"][1] = row("one, changed", 2)
    connector = await bank.sync(connector.id)
    after = await stored(bank, connector.id)
    assert connector.history[0].added_count == 1
    assert await withdrawn(bank, connector.id) == {"one"}
    marked = after["one"].pop("withdrawnAt")
    assert after["one"].pop("updatedAt") == marked > before["one"].pop("updatedAt")
    assert after["one"] == before["one"]

    page, _ = await bank.records.page(connector.id, None, PageRequest(limit=10))
    messages = {message.transaction.narration: message for message in map(convert.record, page)}
    assert messages["one"].withdrawn_at.ToDatetime(UTC) == marked
    assert not messages["two"].HasField("withdrawn_at")


async def test_a_row_that_comes_back_is_as_before(bank: World) -> None:
    connector = await bank.synced("transactions")
    first = await stored(bank, connector.id)
    two = bank.platform.items["transactions"].pop()
    await bank.sync(connector.id)
    marked = await stored(bank, connector.id)
    assert await withdrawn(bank, connector.id) == {"two"}
    bank.platform.items["transactions"].append(two)
    connector = await bank.sync(connector.id)
    back = await stored(bank, connector.id)
    assert connector.history[0].added_count == 0
    assert await withdrawn(bank, connector.id) == set()
    assert back["two"]["updatedAt"] > marked["two"]["updatedAt"]
    assert back["two"]["_id"] == first["two"]["_id"]


async def test_a_row_that_is_too_old_to_be_reported_is_not_withdrawn(bank: World) -> None:
    connector = await bank.synced("transactions")
    bank.platform.items["transactions"] = [row("two", 9), row("three", 20)]
    bank.platform.periods = [Period("institution", "Bank", JANUARY + timedelta(days=9))]
    await bank.sync(connector.id)
    assert await withdrawn(bank, connector.id) == set()


async def test_other_banks_are_left_alone(bank: World) -> None:
    bank.platform.items["transactions"] += [row("theirs", 5, "Other"), row("gone", 5)]
    connector = await bank.synced("transactions")
    bank.platform.items["transactions"] = bank.platform.items["transactions"][:3]
    await bank.sync(connector.id)
    assert await withdrawn(bank, connector.id) == {"gone"}


@pytest.mark.parametrize(
    "trouble",
    [
        {"failures": {"transactions": PlatformUnavailable("away")}},
        {"failures": {"transactions": PlatformDataError("another document")}},
        {"faults": {"transactions": [PlatformDataError("a row is wrong")]}},
    ],
)
async def test_nothing_follows_from_a_reply_that_is_not_whole(
    bank: World, trouble: Document
) -> None:
    connector = await bank.synced("transactions", "profile")
    bank.platform.items["transactions"] = [row("two", 9)]
    for name, value in trouble.items():
        setattr(bank.platform, name, value)
    await bank.sync(connector.id)
    assert await withdrawn(bank, connector.id) == set()
    for name in trouble:
        setattr(bank.platform, name, {})
    await bank.sync(connector.id)
    assert await withdrawn(bank, connector.id) == {"one"}


async def test_nothing_follows_from_an_empty_reply(bank: World) -> None:
    connector = await bank.synced("transactions")
    bank.platform.items["transactions"], bank.platform.periods = [], []
    await bank.sync(connector.id)
    assert await withdrawn(bank, connector.id) == set()


async def test_an_unchanged_reply_writes_nothing(bank: World) -> None:
    connector = await bank.synced("transactions")
    bank.platform.items["transactions"].pop()
    await bank.sync(connector.id)
    before = await stored(bank, connector.id)
    await bank.sync(connector.id)
    bank.platform.items["transactions"].reverse()
    await bank.sync(connector.id)
    assert await stored(bank, connector.id) == before
    assert await withdrawn(bank, connector.id) == {"two"}


async def test_a_run_of_other_data_types_marks_nothing(bank: World) -> None:
    connector = await bank.synced("transactions", "portfolio", "profile")
    bank.platform.items["portfolio"].pop()
    await bank.sync(connector.id)
    assert await withdrawn(bank, connector.id) == set()


async def test_trades_are_marked_too(world: World) -> None:
    """Fi has no ids: a trade whose price it adds later is another one."""
    day = date(2026, 1, 5)
    priceless = Item("a", Trade("buy", Decimal(8), date=day, isin="I"))
    other = Item("b", Trade("buy", Decimal(8), date=day, isin="J"))
    world.platform.items["trades"] = [priceless, other]
    world.platform.periods = [Period("isin", "I", datetime(2026, 1, 5, tzinfo=UTC))]
    connector = await world.synced("trades")
    priced = Item("c", Trade("buy", Decimal(8), date=day, isin="I", price=Decimal(415)))
    world.platform.items["trades"] = [priced]
    await world.sync(connector.id)
    assert await withdrawn(world, connector.id) == {"a"}
    world.platform.items["trades"] = [priceless, other]
    await world.sync(connector.id)
    assert await withdrawn(world, connector.id) == {"c"}
