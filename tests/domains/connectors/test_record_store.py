"""What syncs keep: once each, current state in place, in an order that paging can rely on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeVar

import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.errors import NetworkTimeout

from server.core.clock import utc_now
from server.core.errors import ApiError, InvalidRequest
from server.core.pages import PageRequest
from server.domains.connectors.records import convert as record_convert
from server.domains.connectors.records.documents import decimal_text, record_document
from server.domains.connectors.records.store import BATCH, ERASURES, StoredRecord
from server.platforms.records import Holding, Item, Money, Profile, Trade, Transaction
from server.storage import persistence
from server.storage.driver import ClientSession
from server.storage.errors import translate
from tests.domains.connectors.sync_world import World, holding, profile, trade, transaction

T = TypeVar("T")


async def free(_session: ClientSession, _added: int | None) -> None:
    """A guard that lets everything pass."""


@pytest.fixture
def connector_id() -> str:
    return str(ObjectId())


async def listed(
    world: World, connector_id: str, data_type: str | None = None, limit: int = 100
) -> list[StoredRecord]:
    """All records, read page by page."""
    records, token = await world.records.page(connector_id, data_type, PageRequest(limit=limit))
    pages = 1
    while token is not None:
        assert len(records) == pages * limit
        more, token = await world.records.page(
            connector_id, data_type, PageRequest(page_token=token, limit=limit)
        )
        assert more
        records += more
        pages += 1
    return records


async def test_items_are_kept_once(world: World, connector_id: str) -> None:
    items = [transaction(f"t{number}") for number in range(5)]
    assert await world.records.keep(connector_id, "transactions", items, "run_1", free) == 5
    again = [*items[2:], transaction("t5")]
    assert await world.records.keep(connector_id, "transactions", again, "run_2", free) == 1
    assert len(await listed(world, connector_id)) == 6


async def test_more_items_than_one_batch(world: World, connector_id: str) -> None:
    items = [transaction(f"t{number}") for number in range(BATCH + 1)]
    assert await world.records.keep(connector_id, "transactions", items, "run_1", free) == BATCH + 1
    assert await world.records.keep(connector_id, "transactions", items, "run_1", free) == 0


async def test_nothing_to_keep(world: World, connector_id: str) -> None:
    assert await world.records.keep(connector_id, "transactions", [], "run_1", free) == 0


async def test_the_same_key_of_another_connector_or_data_type_is_another_item(
    world: World, connector_id: str
) -> None:
    other = str(ObjectId())
    assert (
        await world.records.keep(connector_id, "transactions", [transaction("k")], "r", free) == 1
    )
    assert await world.records.keep(other, "transactions", [transaction("k")], "r", free) == 1
    assert await world.records.keep(connector_id, "trades", [trade("k")], "r", free) == 1
    assert len(await listed(world, connector_id)) == 2
    assert len(await listed(world, other)) == 1


@pytest.mark.parametrize(
    ("data_type", "before", "after"),
    [
        ("transactions", transaction("k"), transaction("k", date(2024, 2, 2))),
        ("trades", trade("k"), trade("k", datetime(2024, 2, 2, 9, 30, tzinfo=UTC))),
    ],
)
async def test_what_happened_stays_as_it_was_first_seen(
    world: World, connector_id: str, data_type: str, before: Item, after: Item
) -> None:
    await world.records.keep(connector_id, data_type, [before], "run_1", free)
    first = await listed(world, connector_id)
    await world.records.keep(connector_id, data_type, [after], "run_2", free)
    assert await listed(world, connector_id) == first


async def test_fields_that_were_missing_at_first_are_filled_in(
    world: World, connector_id: str
) -> None:
    async def keep(run: str, **fields: str) -> StoredRecord:
        fill = Trade("buy", Decimal(3), symbol="INFY", price=Decimal("1500.5"), **fields)  # type: ignore[arg-type]
        await world.records.keep(connector_id, "trades", [Item("k", fill)], run, free)
        (kept,) = await listed(world, connector_id)
        return kept

    first = await keep("run_1")
    second = await keep("run_2", isin="INE009A01021")
    assert second.data == {**first.data, "isin": "INE009A01021"}
    assert (second.id, second.added_at) == (first.id, first.added_at)
    assert await keep("run_3") == second
    assert await keep("run_4", isin="INE002A01018") == second


async def test_a_holding_is_updated_in_place(world: World, connector_id: str) -> None:
    await world.records.keep(connector_id, "portfolio", [holding("h", 1)], "run_1", free)
    (first,) = await listed(world, connector_id)
    await world.records.keep(connector_id, "portfolio", [holding("h", 1)], "run_2", free)
    assert await listed(world, connector_id) == [first]
    richer = Item("h", Holding("equity", "h", quantity=Decimal(2), isin="INE009A01021"))
    assert await world.records.keep(connector_id, "portfolio", [richer], "run_3", free) == 0
    (second,) = await listed(world, connector_id)
    assert second.data == {
        "kind": "equity", "name": "h", "quantity": "2", "isin": "INE009A01021",
    }  # fmt: skip
    assert (second.id, second.added_at) == (first.id, first.added_at)
    assert second.updated_at >= first.updated_at


async def test_a_profile_is_updated_in_place(world: World, connector_id: str) -> None:
    await world.records.keep(connector_id, "profile", [profile("Ann")], "run_1", free)
    await world.records.keep(connector_id, "profile", [profile("Anna")], "run_2", free)
    (record,) = await listed(world, connector_id)
    assert record.data["name"] == "Anna"


async def test_holdings_close_when_no_longer_reported_and_open_again(
    world: World, connector_id: str
) -> None:
    both = [holding("h1"), holding("h2")]
    await world.records.keep(connector_id, "portfolio", both, "run_1", free)
    await world.records.keep(connector_id, "portfolio", [], "run_1", free, closes=True)
    opened = {record.data["name"]: record for record in await listed(world, connector_id)}
    assert [record.closed_at for record in opened.values()] == [None, None]

    before = utc_now()
    await world.records.keep(connector_id, "portfolio", both[:1], "run_2", free)
    await world.records.keep(connector_id, "portfolio", [], "run_2", free, closes=True)
    closed = {record.data["name"]: record for record in await listed(world, connector_id)}
    assert closed["h1"] == opened["h1"]
    assert closed["h2"].closed_at is not None
    assert before <= closed["h2"].closed_at <= utc_now()
    assert closed["h2"].updated_at == closed["h2"].closed_at

    # Still not reported: it was closed once, not again.
    await world.records.keep(connector_id, "portfolio", both[:1], "run_3", free)
    await world.records.keep(connector_id, "portfolio", [], "run_3", free, closes=True)
    again = {record.data["name"]: record for record in await listed(world, connector_id)}
    assert again["h2"] == closed["h2"]

    await world.records.keep(connector_id, "portfolio", both, "run_4", free)
    await world.records.keep(connector_id, "portfolio", [], "run_4", free, closes=True)
    reopened = {record.data["name"]: record for record in await listed(world, connector_id)}
    assert reopened["h2"].closed_at is None
    assert reopened["h2"].id == opened["h2"].id
    assert reopened["h2"].updated_at >= closed["h2"].updated_at


async def test_closing_leaves_other_connectors_and_data_types_alone(
    world: World, connector_id: str
) -> None:
    other = str(ObjectId())
    await world.records.keep(other, "portfolio", [holding("h")], "run_0", free)
    await world.records.keep(connector_id, "profile", [profile()], "run_0", free)
    await world.records.keep(connector_id, "portfolio", [holding("h")], "run_0", free)
    await world.records.keep(connector_id, "portfolio", [], "run_1", free, closes=True)
    closed = [record.data_type for record in await listed(world, connector_id) if record.closed_at]
    assert closed == ["portfolio"]
    assert [record.closed_at for record in await listed(world, other)] == [None]


async def test_values_that_look_like_expressions_are_kept_as_they_are(
    world: World, connector_id: str
) -> None:
    odd = Item("h", Holding("other", "$connectorId", symbol="$$ROOT"))
    await world.records.keep(connector_id, "portfolio", [odd], "run_1", free)
    (record,) = await listed(world, connector_id)
    assert (record.data["name"], record.data["symbol"]) == ("$connectorId", "$$ROOT")


# Lists


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_a_walk_meets_every_record_once_newest_first(
    world: World, connector_id: str, limit: int
) -> None:
    days = [date(2024, 1, 1 + number % 4) for number in range(20)]  # many share a day
    items = [transaction(f"t{number}", day) for number, day in enumerate(days)]
    await world.records.keep(connector_id, "transactions", items, "run_1", free)
    await world.records.keep(
        connector_id, "portfolio", [holding("h1"), holding("h2")], "run_1", free
    )
    records = await listed(world, connector_id, limit=limit)
    assert len({record.id for record in records}) == len(records) == 22
    # Holdings have no time of their own: they stand where they were first seen, which is now.
    assert [record.data_type for record in records[:2]] == ["portfolio", "portfolio"]
    dates = [record.data["date"] for record in records[2:]]
    assert dates == sorted(dates, reverse=True)


async def test_a_walk_skips_nothing_when_newer_records_come(
    world: World, connector_id: str
) -> None:
    old = [transaction(f"t{number}", date(2024, 1, 1 + number)) for number in range(9)]
    await world.records.keep(connector_id, "transactions", old, "run_1", free)
    page, token = await world.records.page(connector_id, None, PageRequest(limit=4))
    new = [transaction("new", date(2024, 2, 1))]
    await world.records.keep(connector_id, "transactions", new, "run_2", free)
    rest, end = await world.records.page(
        connector_id, None, PageRequest(page_token=token, limit=100)
    )
    assert end is None
    assert [record.data["narration"] for record in [*page, *rest]] == [
        f"t{number}" for number in reversed(range(9))
    ]


async def test_a_list_of_one_data_type(world: World, connector_id: str) -> None:
    await world.records.keep(connector_id, "transactions", [transaction("t")], "run_1", free)
    await world.records.keep(connector_id, "trades", [trade("x1"), trade("x2")], "run_1", free)
    assert [r.data_type for r in await listed(world, connector_id, "trades")] == ["trades"] * 2
    assert await listed(world, connector_id, "profile") == []


async def test_a_token_belongs_to_its_connector_and_data_type(
    world: World, connector_id: str
) -> None:
    items = [trade("x1"), trade("x2")]
    await world.records.keep(connector_id, "trades", items, "run_1", free)
    _, token = await world.records.page(connector_id, "trades", PageRequest(limit=1))
    assert token is not None
    for other_id, data_type in ((connector_id, None), (str(ObjectId()), "trades")):
        with pytest.raises(InvalidRequest) as caught:
            await world.records.page(other_id, data_type, PageRequest(page_token=token, limit=1))
        assert [field.field for field in caught.value.fields] == ["pageToken"]


# Erasing


async def test_forgotten_records_are_erased(world: World, connector_id: str) -> None:
    other = str(ObjectId())
    for name in (connector_id, other):
        await world.records.keep(name, "trades", [trade("x")], "run_1", free)
    await world.transact(lambda session: world.records.forget([connector_id], session))

    assert await world.records.erase_some() is True
    assert await world.kept(connector_id) == {}
    assert await world.kept(other) == {"trades": 1}
    assert await world.records.erase_some() is False
    assert await world.database.collection(ERASURES).count_documents({}) == 0


class Refused(Exception):
    pass


async def refusing(_session: ClientSession, _added: int | None) -> None:
    raise Refused


async def test_what_its_guard_refuses_is_not_written(world: World, connector_id: str) -> None:
    await world.records.keep(connector_id, "portfolio", [holding("h1", 1)], "run_1", free)
    items = [holding("h1", 2), holding("h2")]
    with pytest.raises(Refused):
        await world.records.keep(connector_id, "portfolio", items, "run_2", refusing)
    with pytest.raises(Refused):
        await world.records.keep(connector_id, "portfolio", [], "run_2", refusing, closes=True)
    (kept,) = await listed(world, connector_id)
    assert (kept.data["quantity"], kept.closed_at) == ("1", None)


@pytest.fixture
def forgetful(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other transaction is committed, and its caller never hears of it."""
    transact = world.database.transact
    calls = itertools.count()

    async def lossy(work: Callable[[ClientSession], Awaitable[T]]) -> T:
        result = await transact(work)
        if next(calls) % 2 == 0:
            raise NetworkTimeout("the answer is lost")
        return result

    monkeypatch.setattr(world.database, "transact", lossy)
    monkeypatch.setattr(persistence, "PAUSE_SECONDS", 0)


@pytest.mark.usefixtures("forgetful")
async def test_what_is_tried_again_counts_once(world: World, connector_id: str) -> None:
    items = [transaction(f"t{number}") for number in range(BATCH + 1)]
    assert await world.records.keep(connector_id, "transactions", items, "run_1", free) == BATCH + 1
    holdings = [holding("h1"), holding("h2")]
    assert await world.records.keep(connector_id, "portfolio", holdings, "run_1", free) == 2
    more = [*holdings, holding("h3")]
    assert await world.records.keep(connector_id, "portfolio", more, "run_2", free) == 1
    await world.records.keep(connector_id, "portfolio", [], "run_3", free, closes=True)
    assert all(record.closed_at for record in await listed(world, connector_id, "portfolio"))
    assert await world.kept(connector_id) == {"transactions": BATCH + 1, "portfolio": 3}


async def test_a_run_that_goes_on_counts_what_it_added_before(
    world: World, connector_id: str
) -> None:
    await world.records.keep(connector_id, "trades", [trade("x1")], "run_1", free)
    await world.records.keep(connector_id, "trades", [trade("x1"), trade("x2")], "run_2", free)
    items = [trade("x1"), trade("x2"), trade("x3")]
    keep = world.records.keep(connector_id, "trades", items, "run_2", free, again=True)
    assert await keep == 2


async def test_documents_that_another_transaction_has_locked_are_waited_for(
    world: World, connector_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a worker that froze inside its transaction."""
    monkeypatch.setattr(world.database, "transaction_seconds", 0)
    monkeypatch.setattr(persistence, "PAUSE_SECONDS", 0)
    await world.records.keep(connector_id, "trades", [trade("x1")], "run_1", free)
    tried = asyncio.Event()
    keeping: asyncio.Task[int] | None = None

    def reported(error: BaseException) -> ApiError | None:
        tried.set()
        return translate(error)

    monkeypatch.setattr(persistence, "translate", reported)

    async def frozen(_session: ClientSession, _added: int | None) -> None:
        nonlocal keeping
        items = [trade("x1"), trade("x2")]
        keeping = asyncio.create_task(
            world.records.keep(connector_id, "trades", items, "run_3", free)
        )
        async with asyncio.timeout(10):
            await tried.wait()
        raise Refused

    with pytest.raises(Refused):
        await world.records.keep(connector_id, "trades", [trade("x1")], "run_2", frozen)
    assert keeping is not None
    assert await keeping == 1


async def test_nothing_to_forget(world: World) -> None:
    await world.transact(lambda session: world.records.forget([], session))
    assert await world.database.collection(ERASURES).count_documents({}) == 0


# Fields


def test_numbers_are_plain_text() -> None:
    for number, text in {
        "1250.7500": "1250.75", "100": "100", "1E+3": "1000", "-0.00": "0", "0E-8": "0",
        "-3.10": "-3.1", "1E-7": "0.0000001", "12345678901234567890.5": "12345678901234567890.5",
    }.items():  # fmt: skip
        assert decimal_text(Decimal(number)) == text


@settings(deadline=None, database=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**15)))
def test_no_number_changes_its_value(number: Decimal) -> None:
    text = decimal_text(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert not text.endswith(".")


def test_every_field_reaches_the_contract() -> None:
    now = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    money = Money(Decimal("12.50"), "INR")

    def converted(data_type: str, record: Transaction | Trade | Holding | Profile):  # type: ignore[no-untyped-def]
        stored = StoredRecord("id", data_type, record_document(record), now, now, None)
        return record_convert.record(stored)

    sent = converted(
        "transactions",
        Transaction(date(2024, 1, 15), "credit", money, "SALARY", "NEFT", "Bank", money),
    ).transaction
    assert (sent.date, sent.direction, sent.narration) == ("2024-01-15", "credit", "SALARY")
    assert (sent.mode, sent.institution) == ("NEFT", "Bank")
    assert (sent.amount.value, sent.amount.currency) == ("12.5", "INR")
    assert (sent.balance_after.value, sent.balance_after.currency) == ("12.5", "INR")

    sent = converted(
        "trades",
        Trade(
            "sell", Decimal("1.500"), now, date(2024, 1, 15), "INE009A01021", "INFY", "NSE", "Fund",
            "F1", Decimal("2.0"), money,
        ),
    ).trade  # fmt: skip
    assert sent.time.ToDatetime(UTC) == now
    assert (sent.side, sent.date, sent.isin, sent.symbol) == (
        "sell", "2024-01-15", "INE009A01021", "INFY",
    )  # fmt: skip
    assert (sent.exchange, sent.fund, sent.folio) == ("NSE", "Fund", "F1")
    assert (sent.quantity, sent.price, sent.amount.value) == ("1.5", "2", "12.5")

    sent = converted(
        "portfolio",
        Holding(
            "equity", "Infosys", "INE009A01021", "INFY", "NSE", "F1", "NSDL", Decimal(-3),
            Decimal("1.1"), Decimal("1.2"), money, date(2024, 1, 15),
        ),
    ).holding  # fmt: skip
    assert (sent.kind, sent.name, sent.isin) == ("equity", "Infosys", "INE009A01021")
    assert (sent.symbol, sent.exchange, sent.folio) == ("INFY", "NSE", "F1")
    assert (sent.institution, sent.quantity, sent.average_price) == ("NSDL", "-3", "1.1")
    assert (sent.last_price, sent.value.value, sent.as_of) == ("1.2", "12.5", "2024-01-15")
    assert not sent.HasField("closed_at")

    sent = converted(
        "profile",
        Profile(
            "AB1234", "Ann", "ann@example.com", "ZERODHA", "individual", date(1990, 1, 1),
            ("Bank",), ("NSE",), ("CNC",),
        ),
    ).profile  # fmt: skip
    assert (sent.platform_user_id, sent.name, sent.email) == ("AB1234", "Ann", "ann@example.com")
    assert (sent.broker, sent.account_type, sent.date_of_birth) == (
        "ZERODHA", "individual", "1990-01-01",
    )  # fmt: skip
    assert (list(sent.institutions), list(sent.exchanges), list(sent.products)) == (
        ["Bank"], ["NSE"], ["CNC"],
    )  # fmt: skip


def test_what_is_unknown_is_absent() -> None:
    now = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    bare = record_document(Holding("other", "Thing"))
    assert bare == {"kind": "other", "name": "Thing"}
    message = record_convert.record(StoredRecord("id", "portfolio", bare, now, now, now))
    assert {field.name for field, _ in message.holding.ListFields()} == {
        "kind", "name", "closed_at",
    }  # fmt: skip
