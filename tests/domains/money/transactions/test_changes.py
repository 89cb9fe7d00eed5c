"""Transactions that are made, changed, deleted and brought back, with the balances after each."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from server.core.errors import EtagMismatch, InvalidRequest
from server.domains.money.accounts.errors import AccountArchived, AccountNotFound
from server.domains.money.categories.errors import CategoryNotFound
from server.domains.money.transactions.errors import (
    TransactionExists,
    TransactionNotFound,
    TransactionReconciled,
)
from server.domains.money.transactions.model import Amount, NewPart, TransactionChanges, Update
from server.domains.money.transactions.shown import Gone, Shown
from tests.domains.money.transactions.world import World, new_world


async def test_a_transaction_comes_back_as_it_was_made(world: World) -> None:
    made = await world.create(
        description="Lunch", payee="Café", notes="two", tags=("Team",), external_id="x-1",
        parts=(NewPart(Amount("60.00"), world.food, "soup"), NewPart(Amount("40.00"))),
        foreign=Amount("1.20", "EUR"), occurred_at=world.clock.now(), excluded=True,
    )  # fmt: skip
    assert await world.get(made.transaction.id) == made
    assert await world.listed() == [made.transaction]
    assert await world.balance(world.bank) == 90_000
    assert await world.recounted() == []


async def test_nothing_readable_is_stored(world: World) -> None:
    await world.create("12345.67", description="canary", payee="canary", tags=("canary",))
    (document,) = await world.documents()
    assert len(document["sealed"]) % 64 == 0
    assert b"canary" not in str(document).encode()
    assert not any("1234567" in str(value) for value in document.values())


async def test_what_is_not_the_user_s_is_not_found(world: World) -> None:
    other = await new_world(world.database, world.ring)
    theirs = (await other.create()).transaction
    with pytest.raises(AccountNotFound):
        await world.create(account_id=other.bank)
    with pytest.raises(CategoryNotFound):
        await world.create(category_id=other.food)
    with pytest.raises(TransactionNotFound):
        await world.create(kind="refund", refund_of=theirs.id)
    with pytest.raises(TransactionNotFound):
        await world.get(theirs.id)
    with pytest.raises(TransactionNotFound):
        await world.update(theirs.id, notes="mine")
    with pytest.raises(TransactionNotFound):
        await world.delete(theirs.id)
    with pytest.raises(TransactionNotFound):
        await world.worker.deletion.restore(world.owner, theirs.id)
    with pytest.raises(TransactionNotFound):
        await world.worker.matching.match(world.owner, theirs.id, theirs.id)
    assert await world.listed() == []
    assert await world.listed(account_ids=[other.bank]) == []
    assert await other.listed() == [theirs]


async def test_both_legs_of_a_transfer(world: World) -> None:
    made = await world.create("40.00", "transfer", to_account_id=world.card)
    leg, other = made.transaction, made.other
    assert other is not None
    assert (await world.balance(world.bank), await world.balance(world.card)) == (96_000, 4_000)
    changed = await world.update(other.id, amount=Amount("50.00"))
    assert changed.other is not None
    assert (changed.other.units, changed.other.rev) == (5_000, changed.transaction.rev)
    assert (await world.balance(world.bank), await world.balance(world.card)) == (95_000, 5_000)
    await world.delete(leg.id)
    assert await world.listed() == []
    assert (await world.balance(world.bank), await world.balance(world.card)) == (100_000, 0)
    back = await world.worker.deletion.restore(world.owner, other.id)
    assert back.other is not None
    assert (back.transaction.id, back.other.id, back.other.counterpart_id) == (
        other.id,
        leg.id,
        other.id,
    )
    assert await world.balance(world.card) == 5_000
    assert await world.recounted() == []


async def test_a_leg_is_restored_beside_one_that_has_changed(world: World) -> None:
    made = await world.create("40.00", "transfer", to_account_id=world.card)
    assert made.other is not None
    await world.delete(made.transaction.id)
    await world.worker.deletion.restore(world.owner, made.other.id)
    apart = await world.update(made.other.id, kind="income")
    assert apart.other is None
    assert (await world.get(made.transaction.id)).other is None
    assert await world.recounted() == []


async def test_external_ids_are_unique_in_an_account(world: World) -> None:
    first = (await world.create(external_id="a")).transaction
    with pytest.raises(TransactionExists) as raised:
        await world.create(external_id="a")
    assert raised.value.metadata == {"transactionId": first.id}
    second = (await world.create(external_id="a", account_id=world.card)).transaction
    with pytest.raises(TransactionExists):
        await world.update(second.id, account_id=world.bank)
    third = (await world.create(external_id="b")).transaction
    with pytest.raises(TransactionExists):
        await world.update(third.id, external_id="a")
    assert (await world.update(third.id, external_id="b", notes="same")).transaction.notes == "same"
    await world.delete(first.id)
    await world.update(third.id, external_id="a")
    with pytest.raises(TransactionExists):
        await world.worker.deletion.restore(world.owner, first.id)


async def test_a_deletion_is_remembered_for_30_days(world: World) -> None:
    made = (await world.create(category_id=world.food, tags=("x",), external_id="e")).transaction
    await world.delete(made.id)
    with pytest.raises(TransactionNotFound):
        await world.get(made.id)
    with pytest.raises(TransactionNotFound):
        await world.delete(made.id)
    world.clock.at += timedelta(days=29, hours=23)
    back = (await world.worker.deletion.restore(world.owner, made.id)).transaction
    assert (back.category_id, back.tags, back.external_id) == (world.food, ("x",), "e")
    assert (await world.worker.deletion.restore(world.owner, made.id)).transaction.id == made.id
    assert await world.balance(world.bank) == 90_000
    await world.delete(made.id)
    world.clock.at += timedelta(days=30)
    with pytest.raises(TransactionNotFound):
        await world.worker.deletion.restore(world.owner, made.id)


async def test_an_archived_account_takes_nothing_new(world: World) -> None:
    made = (await world.create()).transaction
    await world.delete(made.id)
    await world.archive(world.bank)
    with pytest.raises(AccountArchived):
        await world.worker.deletion.restore(world.owner, made.id)
    with pytest.raises(AccountArchived):
        await world.create()


async def test_a_revision_that_is_not_current_is_refused(world: World) -> None:
    made = (await world.create()).transaction
    changed = (await world.update(made.id, notes="a", etag=str(made.rev))).transaction
    assert changed.rev > made.rev
    for etag in (str(made.rev), "0", "x"):
        with pytest.raises(EtagMismatch) as raised:
            await world.update(made.id, notes="b", etag=etag)
        assert raised.value.metadata == {"etag": str(changed.rev)}
    with pytest.raises(EtagMismatch):
        await world.delete(made.id, etag=str(made.rev))
    await world.delete(made.id, etag=str(changed.rev))


async def test_many_at_once_are_one_change(world: World) -> None:
    before = (await world.view()).rev
    new = [world.new(f"{number}.00", category_id=world.food) for number in range(1, 501)]
    result = await world.worker.service.create_many(world.owner, new)
    ids = [each.transaction.id for each in result.transactions]
    assert [each.transaction.units for each in result.transactions][:3] == [100, 200, 300]
    view = await world.view()
    assert (view.rev, len(ids)) == (before + 1, 500)
    assert view.balances[world.bank].balance == 100_000 - 100 * 500 * 501 // 2
    updates = [_update(each, notes="n") for each in ids]
    await world.worker.service.update_many(world.owner, updates, "ids")
    await world.delete(*ids, place="ids")
    assert (await world.view()).rev == before + 3
    assert await world.balance(world.bank) == 100_000
    assert await world.recounted() == []


def _id(item: Shown | Gone) -> str:
    return item.id if isinstance(item, Gone) else item.transaction.id


def _update(identifier: str, **changes: Any) -> Update:
    return Update(id=identifier, changes=TransactionChanges(**changes))


async def test_all_or_none_names_every_wrong_field(world: World) -> None:
    new = [world.new(), world.new("0.00"), world.new(category_id=world.wage)]
    with pytest.raises(InvalidRequest) as raised:
        await world.worker.service.create_many(world.owner, new)
    assert [each.field for each in raised.value.fields] == [
        "transactions[1].amount.value",
        "transactions[2].categoryId",
    ]
    new = [world.new(), world.new(account_id="f" * 24)]
    with pytest.raises(AccountNotFound) as missing:
        await world.worker.service.create_many(world.owner, new)
    assert missing.value.metadata == {"index": "1"}
    assert await world.listed() == []
    assert await world.balance(world.bank) == 100_000


async def test_each_for_itself(world: World) -> None:
    there = (await world.create(external_id="a")).transaction
    new = [
        world.new(),
        world.new("0.00"),
        world.new(external_id="a"),
        world.new(external_id="b"),
        world.new(external_id="b"),
    ]
    result = await world.worker.service.create_many(world.owner, new, atomic=False)
    assert result.ids is not None
    assert (sorted(result.ids), result.made) == ([0, 3], 2)
    assert [(each.index, each.error.code) for each in result.failures] == [
        (1, "VALIDATION_ERROR"),
        (2, "TRANSACTION_EXISTS"),
        (4, "TRANSACTION_EXISTS"),
    ]
    skipped = await world.worker.service.create_many(world.owner, new[2:], on_duplicate="skip")
    shown = [each.transaction.id for each in skipped.transactions]
    assert (shown, skipped.made) == ([there.id, result.ids[3], result.ids[3]], 0)
    assert len(await world.listed()) == 3
    assert await world.recounted() == []


async def test_a_reconciled_one_fails_all(world: World) -> None:
    plain = (await world.create()).transaction
    found = (await world.create(status="reconciled")).transaction
    with pytest.raises(TransactionReconciled) as raised:
        await world.delete(plain.id, found.id, place="ids")
    assert raised.value.metadata == {"index": "1"}
    updates = [_update(each.id, day=date(2026, 1, 1)) for each in (plain, found)]
    with pytest.raises(TransactionReconciled):
        await world.worker.service.update_many(world.owner, updates, "ids")
    assert len(await world.listed()) == 2
    await world.delete(plain.id, found.id, unlock=True, place="ids")
    assert await world.listed() == []


async def test_both_legs_in_one_request(world: World) -> None:
    made = await world.create("40.00", "transfer", to_account_id=world.card)
    assert made.other is not None
    ids = [made.transaction.id, made.other.id]
    updates = [_update(each, amount=Amount("70.00")) for each in ids]
    result = await world.worker.service.update_many(world.owner, updates, "ids")
    assert [each.transaction.units for each in result.transactions] == [7_000, 7_000]
    await world.delete(*ids, place="ids")
    assert await world.listed() == []
    assert await world.recounted() == []


async def test_a_list_of_changes_has_each_once_and_what_was_deleted(world: World) -> None:
    first = (await world.create()).transaction
    second = (await world.create()).transaction
    page = await world.changed_since(0)
    assert [_id(each) for each in page.items] == [first.id, second.id]
    since = page.rev
    await world.update(first.id, notes="x")
    await world.delete(second.id)
    page = await world.changed_since(since)
    assert _id(page.items[0]) == first.id
    assert page.items[1] == Gone(second.id)
    assert (await world.changed_since(page.rev)).items == []
    one = await world.changed_since(0, limit=1)
    two = await world.changed_since(0, limit=1, token=one.next_page_token)
    assert (*one.items, *two.items) == tuple(page.items)
    assert two.next_page_token is None


async def test_changes_before_a_forgotten_deletion_are_refused(world: World) -> None:
    from server.core.errors import ResumeTokenExpired  # noqa: PLC0415

    made = (await world.create()).transaction
    before = (await world.view()).rev
    await world.delete(made.id)
    world.clock.at += timedelta(days=31)
    await world.create()
    with pytest.raises(ResumeTokenExpired):
        await world.changed_since(before)
    assert len((await world.changed_since(before + 1)).items) == 1
