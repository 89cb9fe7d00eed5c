"""Rows that were typed before they were synced, and rows that a bank has changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from server.domains.money.transactions.model import Origin
from server.platforms.records import Period
from tests.domains.money.posting.world import BANK, DAY, PostingWorld, row

SINCE = Period("institution", BANK, datetime.combine(DAY - timedelta(days=30), time(), UTC))


async def test_a_typed_row_is_taken_over_with_its_fields(world: PostingWorld) -> None:
    await world.sync([row("first", "1.00")])
    account, category = await world.account(), await world.category()
    typed = await world.type(
        account.id, "450.00", category_id=category, description="Lunch", tags=("x",)
    )
    await world.sync([row("first", "1.00"), row("a", day=DAY + timedelta(days=2))])
    found = {each.id: each for each in await world.all()}
    assert len(found) == 2
    one = found[typed.id]
    assert (one.day, one.category_id, one.description, one.tags) == (
        DAY, category, "Lunch", ("x",),
    )  # fmt: skip
    assert one.origins == (Origin("manual"), Origin("connector", world.connector.id))
    assert one.bank_text == "a"
    await world.sync([row("first", "1.00"), row("a"), row("b")])
    assert len(await world.all()) == 3, "a second 450.00 is another one"
    assert await world.recounted() == []


async def test_what_is_pending_is_posted_by_the_bank(world: PostingWorld) -> None:
    await world.sync([row("first", "1.00")])
    account = await world.account()
    typed = await world.type(account.id, "450.00", status="pending")
    await world.sync([row("first", "1.00"), row("a")])
    (one,) = [each for each in await world.all() if each.id == typed.id]
    assert one.status == "posted"
    assert (await world.account()).balance.units == -45_100
    assert await world.recounted() == []


async def test_two_typed_ones_and_two_rows_are_matched_by_their_days(world: PostingWorld) -> None:
    await world.sync([row("first", "1.00")])
    account = await world.account()
    early = await world.type(account.id, day=DAY)
    late = await world.type(account.id, day=DAY + timedelta(days=4))
    await world.sync([
        row("first", "1.00"),
        row("x", day=DAY + timedelta(days=5)),
        row("y", day=DAY + timedelta(days=1)),
    ])  # fmt: skip
    found = {each.id: each.bank_text for each in await world.all()}
    assert (found[early.id], found[late.id], len(found)) == ("y", "x", 3)


async def test_a_row_of_another_amount_or_too_far_away_is_its_own(world: PostingWorld) -> None:
    await world.sync([row("first", "1.00")])
    account = await world.account()
    await world.type(account.id, "451.00")
    await world.type(account.id, "450.00", day=DAY - timedelta(days=6))
    await world.type(account.id, "450.00", kind="income")
    await world.sync([row("first", "1.00"), row("a")])
    assert len(await world.all()) == 5


async def test_a_row_that_the_bank_has_changed_keeps_the_user_s_fields(
    world: PostingWorld,
) -> None:
    world.connectors.platform.periods = [SINCE]
    await world.sync([row("a", text="UPI-SHOP-1"), row("b", "7.00")])
    category = await world.category()
    one = next(each for each in await world.all() if each.bank_text == "UPI-SHOP-1")
    await world.update(one.id, category_id=category, notes="mine")
    await world.sync([row("a2", text="UPI-SHOP-ONE-1"), row("b", "7.00")])
    found = await world.all()
    assert len(found) == 2
    changed = next(each for each in found if each.id == one.id)
    assert (changed.notes, changed.category_id) == ("mine", category)
    assert changed.bank_text == "UPI-SHOP-ONE-1"
    assert changed.origins == (Origin("connector", world.connector.id),)
    assert await world.recounted() == []


async def test_a_row_that_the_bank_reports_no_more_goes_and_comes_back_with_it(
    world: PostingWorld,
) -> None:
    world.connectors.platform.periods = [SINCE]
    await world.sync([row("a"), row("b", "7.00")])
    await world.sync([row("b", "7.00")])
    assert await world.signed() == [-700]
    await world.sync([row("a"), row("b", "7.00")])
    assert sorted(await world.signed()) == [-45_000, -700]
    await world.post_again()
    assert sorted(await world.signed()) == [-45_000, -700]
    assert await world.recounted() == []


async def test_a_row_that_the_user_has_deleted_stays_deleted_when_it_is_withdrawn(
    world: PostingWorld,
) -> None:
    world.connectors.platform.periods = [SINCE]
    await world.sync([row("a"), row("b", "7.00")])
    one = next(each for each in await world.all() if each.bank_text == "a")
    await world.delete(one.id)
    await world.sync([row("b", "7.00")])
    await world.sync([row("a"), row("b", "7.00")])
    assert await world.signed() == [-700]


async def test_a_reconciled_row_stays_when_the_bank_reports_it_no_more(
    world: PostingWorld,
) -> None:
    world.connectors.platform.periods = [SINCE]
    await world.sync([row("a"), row("b", "7.00")])
    one = next(each for each in await world.all() if each.bank_text == "a")
    await world.update(one.id, status="reconciled")
    await world.sync([row("b", "7.00")])
    left = next(each for each in await world.all() if each.id == one.id)
    assert left.origins == (Origin("manual"),)
    assert await world.recounted() == []
