"""Opening balances of linked accounts, what the bank reports of them, and rows without a direction."""

from __future__ import annotations

from datetime import date, timedelta

from server.platforms.records import Item
from tests.domains.money.posting.world import DAY, PostingWorld, holding, row

NEXT = DAY + timedelta(days=1)


async def test_a_chain_gives_the_opening_balance(world: PostingWorld) -> None:
    await world.sync([
        row("b", "30.00", "credit", NEXT, balance="990.00"),
        row("a", "40.00", balance="960.00"),
    ])  # fmt: skip
    account = await world.account()
    assert (account.opening_balance.units, account.balance.units) == (100_000, 99_000)
    await world.sync([
        row("b", "30.00", "credit", NEXT, balance="990.00"),
        row("a", "40.00", balance="960.00"),
        row("c", "90.00", day=NEXT, balance="900.00"),
    ])  # fmt: skip
    found = await world.balance()
    assert found.reported is not None
    assert found.difference is not None
    assert (found.balance.units, found.reported.units, found.difference.units) == (
        90_000, 90_000, 0,
    )  # fmt: skip
    assert found.reported_date == str(NEXT)
    before = await world.balance(day=DAY)
    assert (before.balance.units, before.reported) == (96_000, None)
    assert await world.recounted() == []


async def test_without_a_chain_what_is_reported_less_all_rows(world: PostingWorld) -> None:
    rows = [row(str(number), "10.00") for number in range(250)]
    await world.sync(rows)
    assert (await world.account()).opening_balance.units == 0, "nothing is reported yet"
    await world.sync(rows, [holding("s", "savings", "1000.00", as_of=DAY)])
    account = await world.account()
    assert (account.opening_balance.units, account.balance.units) == (350_000, 100_000)
    # Once: what differs later is shown and not booked.
    await world.sync([*rows, row("x", "1.00")], [holding("s", "savings", "1100.00", as_of=NEXT)])
    account, found = await world.account(), await world.balance()
    assert (account.opening_balance.units, account.balance.units) == (350_000, 99_900)
    assert found.difference is not None
    assert (found.difference.units, found.reported_date) == (10_100, str(NEXT))
    assert await world.recounted() == []


async def test_a_statement_with_a_gap_has_the_bank_s_newest_balance(world: PostingWorld) -> None:
    rows: list[Item] = []
    balance = 1_000
    for number in range(12):
        balance += 410 if number == 6 else 0  # what the bank does not list
        balance -= number + 1
        day = DAY + timedelta(days=number)
        rows.append(row(str(number), f"{number + 1}.00", day=day, balance=f"{balance}.00"))
    await world.sync(rows)
    found, account = await world.balance(), await world.account()
    assert found.reported is not None
    assert found.balance.units == found.reported.units == balance * 100
    assert account.opening_balance.units == (1_000 + 410) * 100
    assert await world.recounted() == []


async def test_savings_of_a_house_are_added_up(world: PostingWorld) -> None:
    savings = [holding("s", "savings", "1000.00"), holding("t", "savings", "500.50")]
    await world.sync([row("a")], savings)
    assert (await world.account()).balance.units == 150_050


async def test_what_the_bank_reports_comes_before_the_chain(world: PostingWorld) -> None:
    await world.sync(
        [row("a", "40.00", balance="960.00")], [holding("s", "savings", "970.00", as_of=NEXT)]
    )
    found = await world.balance()
    assert (found.balance.units, found.reported and found.reported.units) == (96_000, 97_000)
    before = (await world.account()).etag
    await world.sync(holdings=[holding("s", "savings", "971.00", as_of=NEXT)])
    assert (await world.account()).etag != before, "what is shown with the account has changed"
    assert await world.recounted() == []


async def test_a_row_without_a_direction_waits_unless_balances_prove_it(
    world: PostingWorld,
) -> None:
    await world.sync([
        row("a", "40.00", balance="960.00"),
        row("b", "10.00", "other", NEXT, balance="970.00"),
    ])  # fmt: skip
    assert await world.signed() == [-4_000, 1_000]
    assert [each.kind for each in await world.all()] == ["expense", "income"]
    await world.sync([
        row("a", "40.00", balance="960.00"),
        row("b", "10.00", "other", NEXT, balance="970.00"),
        row("c", "5.00", "other", NEXT),
    ])  # fmt: skip
    waiting = next(each for each in await world.all() if each.bank_text == "c")
    assert (waiting.kind, waiting.status) == ("adjustment", "pending")
    assert (await world.account()).balance.units == 97_000
    confirmed = await world.update(waiting.id, status="posted", direction="in")
    assert confirmed.direction == "in"
    assert (await world.account()).balance.units == 97_500
    assert await world.recounted() == []


async def test_payees_get_the_category_that_the_user_gave_last(world: PostingWorld) -> None:
    shop = "UPI-GREEN SHOP-G@X-0001"
    await world.sync([row("a", text=shop)])
    (one,) = await world.all()
    assert one.payee == "GREEN SHOP"
    category = await world.category()
    await world.update(one.id, category_id=category, payee="My shop")
    await world.sync([
        row("a", text=shop),
        row("b", "8.00", text="UPI-Green Shop-G@X-0002"),
        row("c", "9.00", "credit", text="UPI-GREEN SHOP-G@X-0003"),
        row("d", "10.00", text="UPI-OTHER SHOP-G@X-0004"),
    ])  # fmt: skip
    found = {each.bank_text: each.category_id for each in await world.all()}
    assert found["UPI-Green Shop-G@X-0002"] == category
    assert found["UPI-GREEN SHOP-G@X-0003"] is None, "an income takes no category of spending"
    assert found["UPI-OTHER SHOP-G@X-0004"] is None
    await world.sync([row("e", "11.00", text=shop, day=date(2026, 11, 9))])
    assert (await world.all())[-1].category_id == category
    assert await world.recounted() == []


async def test_rows_are_posted_to_a_category_that_was_merged(world: PostingWorld) -> None:
    await world.sync([row("a", text="UPI-SHOP-1")])
    (one,) = await world.all()
    first, second = [
        each.id
        for each in await world.worker.categories.list(world.owner, None)
        if each.type == "expense" and each.parent_id is None
    ][:2]
    await world.update(one.id, category_id=first)
    await world.worker.categories.delete(world.owner, first, move_to=second)
    await world.sync([row("a", text="UPI-SHOP-1"), row("b", "8.00", text="UPI-SHOP-2")])
    assert {each.category_id for each in await world.all()} == {second}
