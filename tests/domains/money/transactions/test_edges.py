"""Transactions whose surroundings have changed: what they are in, of or beside was deleted or has changed."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from server.core.errors import EtagMismatch, InvalidRequest
from server.domains.money.ledger.change import LedgerChange
from server.domains.money.transactions.errors import TransactionNotFound
from server.domains.money.transactions.model import Amount, NewPart, Origin
from server.domains.money.transactions.shown import Shown
from tests.domains.money.transactions.test_account_deletion import service as accounts
from tests.domains.money.transactions.test_category_moves import service as categories
from tests.domains.money.transactions.world import World


async def link(world: World, identifier: str) -> None:
    """Make a transaction one that a bank reported."""

    async def work(change: LedgerChange) -> bool:
        store, resolved = world.worker.store, change.resolved
        found = await store.get_many(
            change.owner, [identifier], change.box, resolved, change.session
        )
        linked = replace(found[identifier], origins=(Origin("connector", "c" * 24),))
        await store.replace([linked], change.box, change.session)
        return True

    await world.change(work)


async def restore(world: World, identifier: str) -> Shown:
    return await world.worker.deletion.restore(world.owner, identifier)


async def test_without_a_day_it_is_today_where_the_user_is(world: World) -> None:
    assert world.clock.at.date() == date(2026, 11, 29), "20:00 in UTC"
    assert (await world.create(day=None)).transaction.day == date(2026, 11, 30)


async def test_a_refund_changes_without_a_word_about_its_expense(world: World) -> None:
    expense = (await world.create()).transaction
    refund = (await world.create(kind="refund", refund_of=expense.id)).transaction
    assert (await world.update(refund.id, notes="back")).transaction.refund_of == expense.id
    await world.delete(expense.id)
    assert (await world.update(refund.id, notes="again")).transaction.notes == "again"
    with pytest.raises(TransactionNotFound):
        await world.update(refund.id, refund_of=expense.id)
    other = (await world.create()).transaction
    with pytest.raises(InvalidRequest) as itself:
        await world.update(other.id, kind="refund", refund_of=other.id)
    assert [each.field for each in itself.value.fields] == ["refundOf"]


async def test_what_is_restored_has_the_categories_that_still_fit(world: World) -> None:
    parts = (NewPart(Amount("60.00"), world.snacks), NewPart(Amount("40.00"), world.food))
    whole = (await world.create(category_id=world.snacks)).transaction
    split = (await world.create(parts=parts)).transaction
    await world.delete(whole.id, split.id, place="ids")
    await categories(world).delete(world.owner, world.snacks)
    assert (await restore(world, whole.id)).transaction.category_id is None
    restored = (await restore(world, split.id)).transaction
    assert [each.category_id for each in restored.parts] == [None, world.food]
    assert (await world.get(split.id)).transaction == restored

    await world.delete(split.id)
    await categories(world).update(world.owner, world.food, {"type": "income"})
    restored = (await restore(world, split.id)).transaction
    assert [each.category_id for each in restored.parts] == [None, None]
    assert len(await world.listed(category_ids=[None])) == 2
    assert await world.recounted() == []


async def test_a_leg_comes_back_alone_if_the_other_account_is_gone(world: World) -> None:
    made = await world.create("40.00", "transfer", to_account_id=world.card)
    assert made.other is not None
    await world.delete(made.transaction.id)
    await world.remove_account(world.card)
    back = await restore(world, made.transaction.id)
    assert (back.transaction.counterpart_id, back.other) == (None, None)
    assert await world.balance(world.bank) == 96_000
    with pytest.raises(TransactionNotFound):
        await world.get(made.other.id)
    assert await world.recounted() == []


async def test_what_is_there_in_an_account_that_is_not_cannot_be_restored(world: World) -> None:
    made = (await world.create()).transaction
    await world.remove_account(world.bank)
    with pytest.raises(TransactionNotFound):
        await restore(world, made.id)


async def test_a_leg_joins_what_a_bank_reported_unless_both_are_in_one_account(
    world: World,
) -> None:
    made = await world.create("40.00", "transfer", to_account_id=world.card)
    assert made.other is not None
    leg, other = made.transaction.id, made.other.id
    await link(world, other)
    await world.delete(leg)
    alone = await world.get(other)
    assert (alone.transaction.kind, alone.other) == ("transfer", None)
    back = await restore(world, leg)
    assert back.other is not None
    assert (back.other.id, back.other.counterpart_id) == (other, leg)
    await world.delete(leg)
    await world.update(other, account_id=world.bank)
    assert (await restore(world, leg)).other is None
    assert (await world.get(other)).other is None
    assert await world.balance(world.bank) == 100_000
    assert await world.recounted() == []


async def test_a_leg_without_the_other_account_is_a_transfer_of_its_own(world: World) -> None:
    legs = []
    for _ in range(2):
        made = await world.create("40.00", "transfer", to_account_id=world.card)
        assert made.other is not None
        await world.update(made.other.id, status="reconciled")
        legs.append(made.transaction.id)
    await world.remove_account(world.card)
    turned = (await world.update(legs[0], direction="in")).transaction
    assert (turned.counterpart_id, turned.signed) == (None, 4_000)
    await world.delete(*legs, place="ids")
    assert await world.balance(world.bank) == 100_000
    assert await world.recounted() == []


async def test_a_currency_is_fixed_although_the_first_transaction_is_deleted(world: World) -> None:
    account = await world.add_account()
    made = (await world.create(account_id=account)).transaction
    await world.delete(made.id)
    with pytest.raises(InvalidRequest) as fixed:
        await accounts(world).update(world.owner, account, {"currency": "JPY"})
    assert [each.field for each in fixed.value.fields] == ["currency"]
    moved = await accounts(world).update(world.owner, account, {"openingDate": date(2026, 1, 1)})
    assert moved.account.sums.used, "also once it was summed again"
    assert (await restore(world, made.id)).currency == "INR"


async def test_a_category_that_was_merged_is_not_there(world: World) -> None:
    one = (await world.create(category_id=world.snacks)).transaction
    await world.merge(world.snacks, world.food)
    assert await world.listed(category_ids=[world.snacks]) == []
    for wanted in ([world.food], [world.snacks, world.food]):
        assert [each.id for each in await world.listed(category_ids=wanted)] == [one.id]


async def test_an_etag_says_when_something_else_is_shown(world: World) -> None:
    """A change needs its first part alone, which is the transaction's own revision."""
    made = await world.create("40.00", "transfer", to_account_id=world.card)
    assert made.other is not None
    leg, other = made.transaction.id, made.other.id
    tags = [(await world.get(other)).etag]
    await world.update(leg, day=date(2026, 11, 9))
    tags.append((await world.get(other)).etag)
    await world.update(other, notes="a", etag=tags[0])
    with pytest.raises(EtagMismatch):
        await world.update(other, notes="b", etag=tags[1])
    tags.append((await world.get(other)).etag)
    await world.remove_account(world.bank)
    tags.append((await world.get(other)).etag)

    spent = (await world.create(account_id=world.card, category_id=world.snacks)).transaction.id
    whole = [(await world.get(spent)).etag]
    for category, into in ((world.snacks, world.food), (world.food, None)):
        await world.merge(category, into)
        whole.append((await world.get(spent)).etag)
    await world.update(spent, notes="written again", etag=whole[0])
    whole.append((await world.get(spent)).etag)
    for each in (tags, whole):
        assert len(set(each)) == 4, each


async def test_a_duplicate_that_is_a_transfer_is_shown_whole(world: World) -> None:
    await world.create("40.00", "transfer", to_account_id=world.card, external_id="t")
    made = await world.worker.service.create_many(
        world.owner, [world.new(external_id="t")], on_duplicate="skip"
    )
    (shown,) = made.transactions
    assert shown.other is not None
    assert shown.other.account_id == world.card
