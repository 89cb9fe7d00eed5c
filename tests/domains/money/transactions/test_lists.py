"""Lists of transactions: filters, pages, balances, categories that were merged, suggestions."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from server.core.errors import InvalidRequest
from server.domains.money.transactions import views
from server.domains.money.transactions.documents import TRANSACTIONS
from server.domains.money.transactions.errors import TransactionNotFound
from server.domains.money.transactions.filters import sealed_filter
from server.domains.money.transactions.model import Amount, NewPart, Wanted
from server.domains.money.transactions.shown import Shown
from server.domains.money.transactions.store import OF_CATEGORY, OF_OWNER
from server.domains.money.transactions.views import ListRequest
from tests.domains.money.transactions.world import World


async def test_a_walk_has_each_once_in_both_directions(world: World) -> None:
    days = [date(2026, 11, 1 + number % 4) for number in range(17)]
    made = [(await world.create(day=day)).transaction for day in days]
    expected = [each.id for each in sorted(made, key=lambda each: (each.day, each.id))]
    for oldest_first in (True, False):
        found: list[str] = []
        token = None
        while True:
            page = await world.page(limit=3, token=token, oldest_first=oldest_first)
            found += [each.transaction.id for each in page.items if isinstance(each, Shown)]
            if (token := page.next_page_token) is None:
                break
        assert found == (expected if oldest_first else expected[::-1])


async def test_a_merged_category_is_the_other_in_lists_and_rows(world: World) -> None:
    whole = (await world.create(category_id=world.snacks)).transaction
    parts = (NewPart(Amount("60.00"), world.snacks), NewPart(Amount("40.00"), world.food))
    split = (await world.create(parts=parts)).transaction
    other = await world.add_category("expense")
    await world.merge(world.snacks, other)
    assert [each.id for each in await world.listed(category_ids=[other])] == [split.id, whole.id]
    assert (await world.get(whole.id)).transaction.category_id == other
    shown = (await world.get(split.id)).transaction
    assert [part.category_id for part in shown.parts] == [other, world.food]
    await world.update(split.id, notes="written again")
    assert [each.id for each in await world.listed(category_ids=[other])] == [split.id, whole.id]
    await world.merge(other, None)
    assert [each.id for each in await world.listed(category_ids=[None])] == [split.id, whole.id]
    assert await world.recounted() == []


async def test_a_category_has_its_children_and_none_has_no_transfers(world: World) -> None:
    child = (await world.create(category_id=world.snacks)).transaction
    bare = (await world.create()).transaction
    await world.create(kind="transfer")
    assert [each.id for each in await world.listed(category_ids=[world.food])] == [child.id]
    assert [each.id for each in await world.listed(category_ids=[None])] == [bare.id]


async def test_an_account_that_was_deleted_leaves_every_read(world: World) -> None:
    made = await world.create("40.00", "transfer", to_account_id=world.card)
    assert made.other is not None
    await world.create(account_id=world.card)
    await world.remove_account(world.card)
    (left,) = (await world.page()).items
    assert isinstance(left, Shown)
    assert (left.transaction.id, left.other) == (made.transaction.id, None)
    with pytest.raises(TransactionNotFound):
        await world.get(made.other.id)
    assert await world.balance(world.bank) == 96_000
    changed = await world.update(made.transaction.id, amount=Amount("50.00"))
    assert changed.other is None
    await world.delete(made.transaction.id)
    assert await world.listed() == []


async def test_a_sealed_filter_opens_so_many_a_call(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MAX_OPENED", 20)
    monkeypatch.setattr(views, "_BATCH", 8)
    first = (await world.create(description="Needle", day=date(2026, 1, 1))).transaction
    new = [world.new(description="hay") for _ in range(30)]
    await world.worker.service.create_many(world.owner, new)
    sealed = sealed_filter("needle", None, None)
    page = await world.page(sealed=sealed)
    assert (page.items, page.next_page_token is None) == ([], False)
    page = await world.page(sealed=sealed, token=page.next_page_token)
    assert [each.transaction.id for each in page.items if isinstance(each, Shown)] == [first.id]
    assert page.next_page_token is None


async def test_amounts_are_compared_in_the_currency_of_each(world: World) -> None:
    yen = await world.add_account("JPY")
    rupees = (await world.create("150.00")).transaction
    whole = (await world.create("150", account_id=yen)).transaction
    await world.create("151.00")
    sealed = sealed_filter(None, "149.99", "150")
    page = await world.page(sealed=sealed)
    found = [each.transaction.id for each in page.items if isinstance(each, Shown)]
    assert found == [whole.id, rupees.id]


async def test_balances_after_each(world: World) -> None:
    values = (("10.00", 1), ("20.00", 2), ("30.00", 2), ("40.00", 5))
    made = [
        (await world.create(value, day=date(2026, 11, day))).transaction for value, day in values
    ]
    pending = (await world.create("99.00", day=date(2026, 11, 2), status="pending")).transaction
    request = ListRequest(Wanted(account_ids=[world.bank]), limit=3)
    page = await world.worker.views.list_of_account(world.owner, world.bank, request)
    after = {
        each.transaction.id: each.balance_after for each in page.items if isinstance(each, Shown)
    }
    assert after == {made[3].id: 90_000, pending.id: None, made[2].id: 94_000}
    request = ListRequest(
        Wanted(account_ids=[world.bank]), limit=3, page_token=page.next_page_token
    )
    page = await world.worker.views.list_of_account(world.owner, world.bank, request)
    after = {
        each.transaction.id: each.balance_after for each in page.items if isinstance(each, Shown)
    }
    assert after == {made[1].id: 97_000, made[0].id: 99_000}


async def test_a_token_of_another_list_is_refused(world: World) -> None:
    for _ in range(3):
        await world.create()
    token = (await world.page(limit=1)).next_page_token
    with pytest.raises(InvalidRequest):
        await world.page(limit=1, token=token, kinds=["income"])
    with pytest.raises(InvalidRequest):
        await world.page(limit=1, token="x")


@pytest.mark.parametrize(
    ("wanted", "index"), [({}, OF_OWNER), ({"category_ids": ["food"]}, OF_CATEGORY)]
)
async def test_a_list_walks_an_index_and_sorts_nothing(
    world: World, wanted: dict[str, Any], index: str
) -> None:
    new = [world.new(category_id=world.food) for _ in range(60)]
    await world.worker.service.create_many(world.owner, new)
    deleted = [each.id for each in await world.listed(limit=30)]
    await world.delete(*deleted, place="ids")
    if wanted:
        wanted = {"category_ids": [world.food, world.snacks]}
    await world.database.command({"profile": 2})
    try:
        page = await world.page(limit=5, **wanted)
        await world.page(limit=5, token=page.next_page_token, **wanted)
    finally:
        await world.database.command({"profile": 0})
    profile = world.database.collection("system.profile")
    query = {"ns": {"$regex": f"[.]{TRANSACTIONS}$"}, "op": "query"}
    found = await profile.find(query).sort("ts", -1).limit(2).to_list(None)
    for each in found:
        assert index in str(each["execStats"])
        assert not each.get("hasSortStage")
        assert each["docsExamined"] <= 12, "deleted ones are not come across"


async def test_two_outflows_and_one_inflow_are_suggested(world: World) -> None:
    third = await world.add_account()
    day = date(2026, 11, 14)
    one = (await world.create(day=day)).transaction
    two = (await world.create(day=day, account_id=world.card)).transaction
    inflow = await world.create(kind="income", day=date(2026, 11, 16), account_id=third)
    suggested = await world.worker.matching.suggestions(world.owner)
    assert {(a.transaction.id, b.transaction.id) for a, b in suggested} == {
        (each.id, inflow.transaction.id) for each in (one, two)
    }
    await world.worker.matching.match(world.owner, one.id, inflow.transaction.id)
    assert await world.worker.matching.suggestions(world.owner) == []
    await world.worker.matching.unmatch(world.owner, inflow.transaction.id)
    suggested = await world.worker.matching.suggestions(world.owner)
    assert [(a.transaction.id, b.transaction.id) for a, b in suggested] == [
        (two.id, inflow.transaction.id)
    ]
    assert await world.recounted() == []
