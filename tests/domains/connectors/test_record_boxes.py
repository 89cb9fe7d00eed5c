"""Records under their data key: content in few bytes, tokens, and what a run writes for a batch of items."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.model import document_name
from server.domains.connectors.model import RecordSet
from server.domains.connectors.records import contents
from server.domains.connectors.records.boxes import RecordBox, key_owner
from server.domains.connectors.records.contents import NUMBERS, Content
from server.domains.connectors.records.documents import record_document
from server.domains.connectors.records.writes import Batch, Writes
from server.platforms.identity import content_hash
from server.platforms.records import Holding, Item, Money, Profile, Trade, Transaction
from server.security.data_key import DataKey
from server.security.encryption import Undecipherable
from server.storage.driver import Document
from tests.domains.connectors.sync_world import holding, profile, trade, transaction

RECORDS = RecordSet("ann", "65f0aa00aa00aa00aa00aa00")
NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
LATER = datetime(2026, 1, 16, 10, 30, tzinfo=UTC)


def box(records: RecordSet = RECORDS, key: bytes = bytes(range(32))) -> RecordBox:
    return RecordBox(records, DataKey("dk_1", key_owner(records), key))


# Contents


def test_each_field_has_a_number_that_never_changes() -> None:
    kinds = (Transaction, Trade, Holding, Profile, Money)
    names = {document_name(each.name) for kind in kinds for each in dataclasses.fields(kind)}
    assert names <= set(NUMBERS)
    assert list(NUMBERS.values()) == list(range(1, len(NUMBERS) + 1))
    assert (NUMBERS["value"], NUMBERS["balanceAfter"], NUMBERS["side"]) == (1, 9, 10)
    assert (NUMBERS["products"], NUMBERS["debt"]) == (37, 38), "new names come last"


def round_trip(key: str, data: Document) -> tuple[str, Document]:
    raw = msgspec.msgpack.encode(contents.content(key, data))
    opened = msgspec.msgpack.decode(raw, type=Content)
    return contents.key_of(opened), contents.data_of(opened)


@pytest.mark.parametrize(
    "key",
    [
        "profile", "", "a.b", f"{content_hash(['a'])}.0", f"{content_hash(['a'])}.12",
        f"{content_hash(['a'])}.", f"{content_hash(['a']).upper()}.0", f"{content_hash(['a'])}.٣",
        f"{'g' * 64}.0", f"{'  ' * 32}.0", "0" * 64,
    ],
)  # fmt: skip
def test_a_key_is_the_same_again(key: str) -> None:
    assert round_trip(key, {}) == (key, {})


def test_a_hash_takes_half_its_bytes() -> None:
    raw = contents.content(f"{content_hash(['a'])}.0", {}).key
    assert isinstance(raw, bytes)
    assert len(raw) == 33


def test_fields_are_the_same_again() -> None:
    day, money = date(2026, 1, 15), Money(Decimal("12.50"), "INR")
    for record in (
        Transaction(day, "debit", money, "Café ₹", "UPI", "Bank", money),
        Trade("buy", Decimal("1.5"), NOW, day, "I", "S", "NSE", "F", "1", Decimal(2), money),
        Holding("equity", "Infosys", quantity=Decimal(-3), value=money, as_of=day),
        Profile("AB1234", "Ann", institutions=("Bank",), exchanges=("NSE", "BSE")),
    ):
        data = record_document(record)
        assert round_trip("k", data) == ("k", data)
    odd: Document = {"unheard": {"of": [1, {"value": None}]}, "value": 1.5}
    assert round_trip("k", odd) == ("k", odd)


def test_times_are_to_the_millisecond_and_other_types_are_text() -> None:
    fine = NOW.replace(microsecond=123_999)
    assert round_trip("k", {"time": fine})[1] == {"time": NOW.replace(microsecond=123_000)}
    assert round_trip("k", {"value": Decimal("1.5")})[1] == {"value": "1.5"}


# Boxes


def test_a_record_opens_where_it_is_only() -> None:
    token = box().token("trades", "x1")
    document = box().sealed(token, "x1", {"side": "buy"}, compared=True)
    assert set(document) == {"key", "sealed", "mac"}
    assert b"buy" not in document["sealed"]
    assert (box().key_of(document), box().data_of(document)) == ("x1", {"side": "buy"})
    elsewhere: list[tuple[RecordBox, Document]] = [
        (box(key=bytes(32)), document),
        (box(), {**document, "key": box().token("trades", "x2")}),
    ]
    for other, moved in elsewhere:
        with pytest.raises(Undecipherable):
            other.data_of(moved)


def test_a_record_of_an_earlier_release_is_read_as_it_is() -> None:
    document = {"key": "x1", "data": {"side": "buy"}}
    assert (box().key_of(document), box().data_of(document)) == ("x1", {"side": "buy"})


def test_tokens_are_of_a_key_a_data_type_and_a_use() -> None:
    tokens = {
        box().token("trades", "x1"), box().token("profile", "x1"), box().token("trades", "x2"),
        box(key=bytes(32)).token("trades", "x1"), bytes.fromhex(box().digest("trades", "x1")),
    }  # fmt: skip
    assert len(tokens) == 5


def test_equal_fields_have_equal_codes_in_any_order() -> None:
    one = box().mac({"side": "buy", "amount": {"value": "1", "currency": "INR"}})
    assert one == box().mac({"amount": {"currency": "INR", "value": "1"}, "side": "buy"})
    assert one != box().mac({"side": "buy", "amount": {"value": "1", "currency": "USD"}})


# What is written


def batch(data_type: str, run: str = "run_2", *, in_part: bool = False) -> Batch:
    return Batch(box(), data_type, run, LATER, in_part)


def stored(data_type: str, item: Item, *, plain: bool = False, **more: Any) -> Document:
    """The document of an item that an earlier run saw."""
    (document,) = Batch(box(), data_type, "run_1", NOW, False).writes([item], []).inserts
    if plain:
        data = box().data_of(document)
        for name in ("sealed", "mac"):
            document.pop(name, None)
        document |= {"key": item.key, "data": data}
    return {**document, "_id": f"id of {item.key}", **more}


def applied(written: Writes, found: list[Document]) -> list[Document]:
    """The documents after the writes, opened, without what is sealed."""
    after = {each["_id"]: dict(each) for each in found if each["_id"] not in written.removed}
    for update in written.updates:
        change = update.change
        after[update.id] |= change["$set"]
        for name in change.get("$unset", ()):
            after[update.id].pop(name)
    for identifier in written.seen:
        after[identifier]["seen"] = "run_2"
    documents = [*after.values(), *written.inserts]
    for document in documents:
        assert "sealed" in document, "nothing stays in clear"
        assert "data" not in document
        key, data = box().key_of(document), box().data_of(document)
        assert document.pop("key") == box().token(document["dataType"], key)
        compared = document["dataType"] != "transactions"
        assert document.pop("mac", None) == (box().mac(data) if compared else None)
        del document["sealed"]
        document |= {"key": key, "data": data}
    return documents


def changed(document: Document) -> bool:
    return bool(document["updatedAt"] == LATER)


def test_a_new_item() -> None:
    (document,) = applied(batch("trades").writes([trade("x1")], []), [])
    assert document == {
        "connectorId": RECORDS.id, "dataType": "trades", "key": "x1", "at": trade("x1").record.time,  # type: ignore[union-attr]
        "addedAt": LATER, "addedBy": "run_2", "updatedAt": LATER, "seen": "run_2",
        "data": record_document(trade("x1").record),
    }  # fmt: skip


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    ("data_type", "item"),
    [
        ("transactions", transaction("t1")), ("trades", trade("x1")),
        ("portfolio", holding("h1")), ("profile", profile()),
    ],
)  # fmt: skip
def test_the_same_item_again(data_type: str, item: Item, plain: bool) -> None:
    before = stored(data_type, item, plain=plain)
    written = batch(data_type).writes([item], [before])
    assert (len(written.seen), len(written.updates)) == ((0, 1) if plain else (1, 0))
    (after,) = applied(written, [before])
    data = record_document(item.record)
    del before["key"]
    before = {name: value for name, value in before.items() if name not in {"sealed", "mac"}}
    assert after == {**before, "key": item.key, "data": data, "seen": "run_2"}


@pytest.mark.parametrize("plain", [False, True])
def test_a_holding_is_updated_and_a_closed_one_opened(plain: bool) -> None:
    before = stored("portfolio", holding("h1"), plain=plain)
    (after,) = applied(batch("portfolio").writes([holding("h1", 2)], [before]), [before])
    assert (after["data"]["quantity"], changed(after)) == ("2", True)
    closed = stored("portfolio", holding("h1"), plain=plain, closedAt=NOW)
    (after,) = applied(batch("portfolio").writes([holding("h1")], [closed]), [closed])
    assert ("closedAt" in after, changed(after), after["data"]["quantity"]) == (False, True, "1")


@pytest.mark.parametrize("plain", [False, True])
def test_a_transaction_stays_as_first_seen(plain: bool) -> None:
    before = stored("transactions", transaction("t1"), plain=plain)
    other = Item("t1", transaction("another").record)
    (after,) = applied(batch("transactions").writes([other], [before]), [before])
    assert (after["data"]["narration"], changed(after)) == ("t1", False)


@pytest.mark.parametrize("plain", [False, True])
def test_a_trade_gains_and_never_loses(plain: bool) -> None:
    before = stored("trades", trade("x1"), plain=plain)
    richer = Item("x1", Trade("buy", Decimal(9), time=NOW, isin="I"))
    (after,) = applied(batch("trades").writes([richer], [before]), [before])
    data = record_document(trade("x1").record)
    assert (after["data"], changed(after)) == ({**data, "isin": "I"}, True)
    (again,) = applied(batch("trades").writes([trade("x1")], [before]), [before])
    assert (again["data"], changed(again)) == (data, False)
    gained = stored("trades", Item("x1", Trade("buy", Decimal(3), isin="I")), plain=plain)
    (kept,) = applied(
        batch("trades").writes([Item("x1", Trade("buy", Decimal(3)))], [gained]), [gained]
    )
    assert (kept["data"]["isin"], changed(kept)) == ("I", False)


@pytest.mark.parametrize("plain", [False, True])
def test_a_profile_in_part_keeps_what_it_lacks(plain: bool) -> None:
    before = stored("profile", profile(), plain=plain)
    less = Item("profile", Profile(name="Anna"))
    (after,) = applied(batch("profile", in_part=True).writes([less], [before]), [before])
    known = record_document(profile().record)
    assert (after["data"], changed(after)) == ({**known, "name": "Anna"}, True)
    (whole,) = applied(batch("profile").writes([less], [before]), [before])
    assert (whole["data"], changed(whole)) == (record_document(less.record), True)


def test_an_item_that_is_there_in_both_forms_stays_once() -> None:
    sealed = stored("trades", trade("x1"))
    plain = {**stored("trades", trade("x1"), plain=True), "_id": "another"}
    for found in ([sealed, plain], [plain, sealed]):
        written = batch("trades").writes([trade("x1")], found)
        assert written.removed == ["another"]
        (after,) = applied(written, found)
        assert after["_id"] == sealed["_id"]


@pytest.mark.parametrize(
    ("data_type", "items", "kept"),
    [
        ("transactions", [transaction("t1"), Item("t1", transaction("t2").record)], "t1"),
        ("portfolio", [holding("h1"), Item("h1", holding("h2").record)], "h2"),
        ("profile", [profile("Ann"), profile("Anna")], "Anna"),
    ],
)
def test_an_item_that_comes_twice_is_kept_once(
    data_type: str, items: list[Item], kept: str
) -> None:
    written = batch(data_type).writes(items, [])
    assert len(written.inserts) == 1
    assert kept in applied(written, [])[0]["data"].values()


@settings(deadline=None, database=None)
@given(st.data())
def test_any_items_and_any_documents(data: st.DataObject) -> None:
    """Against what is said in words: holdings are as fetched last, and the documents of others stay."""
    names = st.sampled_from(["a", "b", "c", "d"])
    before = data.draw(st.dictionaries(names, st.tuples(st.integers(1, 2), st.booleans())))
    items = data.draw(st.lists(st.tuples(names, st.integers(1, 2))))
    found = [
        stored("portfolio", holding(name, quantity), plain=plain)
        for name, (quantity, plain) in before.items()
        if name in dict(items)
    ]
    written = batch("portfolio").writes([holding(*item) for item in items], found)
    after = applied(written, found)
    assert {each["key"]: each["data"]["quantity"] for each in after} == {
        name: str(quantity) for name, quantity in items
    }
    assert len(after) == len(dict(items))
    assert {each["seen"] for each in after} <= {"run_2"}
