"""Transfers between own accounts are found where they are certain."""

from __future__ import annotations

from datetime import timedelta

from tests.domains.money.posting.world import DAY, PostingWorld, row

ONE, TWO, THREE = "Bank One", "Bank Two", "Bank Three"


async def pairs(world: PostingWorld) -> list[tuple[str | None, str | None]]:
    """Bank texts of outflow and inflow."""
    found = {each.id: each for each in await world.all()}
    return sorted(
        (each.bank_text, found[each.counterpart_id].bank_text)
        for each in found.values()
        if each.counterpart_id and each.direction == "out"
    )


async def test_the_only_candidates_of_each_other_are_one_transfer(world: PostingWorld) -> None:
    await world.sync([
        row("out", "100.00", bank=ONE),
        row("in", "100.00", "credit", DAY + timedelta(days=4), bank=TWO),
        row("late", "50.00", bank=ONE),
        row("too late", "50.00", "credit", DAY + timedelta(days=5), bank=TWO),
        row("before", "70.00", "credit", DAY - timedelta(days=1), bank=TWO),
        row("after", "70.00", bank=ONE),
    ])  # fmt: skip
    assert await pairs(world) == [("out", "in")]
    legs = [each for each in await world.all() if each.bank_text in {"out", "in"}]
    assert {each.kind for each in legs} == {"transfer"}
    assert legs[0].transfer_id == legs[1].transfer_id
    assert await world.recounted() == []


async def test_legs_that_come_with_different_syncs(world: PostingWorld) -> None:
    await world.sync([row("out", "100.00", bank=ONE)])
    await world.sync([
        row("out", "100.00", bank=ONE),
        row("in", "100.00", "credit", DAY + timedelta(days=2), bank=TWO),
    ])  # fmt: skip
    assert await pairs(world) == [("out", "in")]


async def test_what_is_not_certain_is_suggested(world: PostingWorld) -> None:
    day = world.worker.transactions.matching._clock.now().date() - timedelta(days=10)
    rows = [
        row("out 1", "100.00", day=day, bank=ONE),
        row("out 2", "100.00", day=day, bank=ONE),
        row("in", "100.00", "credit", day + timedelta(days=2), bank=TWO),
        row("before", "100.00", "credit", day - timedelta(days=1), bank=THREE),
    ]
    await world.sync(rows)
    assert await pairs(world) == []
    found = await world.worker.transactions.matching.suggestions(world.owner)
    assert len(found) == 2


async def test_what_the_user_has_parted_is_not_paired_again(world: PostingWorld) -> None:
    rows = [
        row("out", "100.00", bank=ONE),
        row("in", "100.00", "credit", DAY + timedelta(days=2), bank=TWO),
    ]
    await world.sync(rows)
    one = next(each for each in await world.all() if each.bank_text == "out")
    await world.worker.transactions.matching.unmatch(world.owner, one.id)
    await world.sync([*rows, row("more", "1.00", bank=ONE)])
    assert await pairs(world) == []


async def test_what_has_a_category_is_no_leg(world: PostingWorld) -> None:
    await world.sync([row("out", "100.00", bank=ONE)])
    (one,) = await world.all()
    await world.update(one.id, category_id=await world.category())
    await world.sync([
        row("out", "100.00", bank=ONE),
        row("in", "100.00", "credit", DAY + timedelta(days=2), bank=TWO),
    ])  # fmt: skip
    assert await pairs(world) == []


async def test_what_was_typed_is_paired_with_a_row_and_suggested_with_another(
    world: PostingWorld,
) -> None:
    day = world.worker.transactions.matching._clock.now().date() - timedelta(days=10)
    purse, box = await world.make_account("Purse"), await world.make_account("Box")
    out = await world.type(purse.id, "100.00", day=day)
    inflow = await world.type(box.id, "100.00", kind="income", day=day)
    withdrawn = await world.type(purse.id, "70.00", kind="income", day=day)
    await world.sync([row("atm", "70.00", day=day), row("more", "1.00", day=day)])
    found = {each.id: each for each in await world.all()}
    assert await pairs(world) == [("atm", None)]
    assert found[withdrawn.id].kind == "transfer"
    assert [found[each.id].kind for each in (out, inflow)] == ["expense", "income"]
    suggested = await world.worker.transactions.matching.suggestions(world.owner)
    assert [(one.transaction.id, other.transaction.id) for one, other in suggested] == [
        (out.id, inflow.id)
    ]


async def test_what_a_statement_has_shown_is_not_made_a_transfer(world: PostingWorld) -> None:
    await world.sync([row("out", "100.00", bank=ONE)])
    (one,) = await world.all()
    await world.update(one.id, status="reconciled")
    await world.sync([row("out", "100.00", bank=ONE), row("in", "100.00", "credit", bank=TWO)])
    assert await pairs(world) == []
