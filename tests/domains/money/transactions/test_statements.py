"""Accounts that are compared with statements."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from server.core.clock import Clock
from server.core.errors import InvalidRequest
from server.domains.money.accounts.errors import AccountArchived, AccountNotFound
from server.domains.money.accounts.store import AccountStore
from server.domains.money.categories.store import CategoryStore
from server.domains.money.transactions.errors import ReconcileDifference, TransactionReconciled
from server.domains.money.transactions.lookups import Lookups
from server.domains.money.transactions.model import Amount
from server.domains.money.transactions.reconciling import Reconciliation, Reconciling, Statement
from tests.domains.money.transactions.world import World, new_world

DAY = date(2026, 11, 10)


async def reconcile(
    world: World, balance: str, currency: str | None = None, **others: Any
) -> Reconciliation:
    lookups = Lookups(AccountStore(world.database), CategoryStore(world.database))
    clock: Clock = world.clock  # type: ignore[assignment]
    reconciling = Reconciling(world.worker.money, world.worker.store, lookups, clock)
    given = {"account_id": world.bank, "day": DAY, **others}
    statement = Statement(balance=Amount(balance, currency), **given)
    return await reconciling.reconcile(world.owner, statement)


async def test_what_agrees_becomes_reconciled_up_to_the_day(world: World) -> None:
    first = (await world.create("100.00", day=DAY)).transaction
    await world.create("30.00", status="pending", day=DAY)
    later = (await world.create("50.00", day=date(2026, 11, 11))).transaction
    await world.create("7.00", account_id=world.card, day=DAY)
    made = await reconcile(world, "900.00")
    assert (made.reconciled_count, made.adjustment_id, made.balance.units) == (1, None, 90_000)
    assert [each.id for each in await world.listed(statuses=["reconciled"])] == [first.id]
    assert (await world.get(later.id)).transaction.status == "posted"
    balance = (await world.view()).balances[world.bank]
    assert (balance.balance, balance.reconciled, balance.pending) == (85_000, 90_000, -3_000)
    assert await world.recounted() == []
    with pytest.raises(TransactionReconciled):
        await world.delete(first.id)
    assert (await reconcile(world, "900.00")).reconciled_count == 0
    assert (await world.view()).balances[world.bank].rev > balance.rev


async def test_a_difference_is_named_and_booked_only_if_asked_for(world: World) -> None:
    await world.create("100.00", day=DAY)
    before = await world.view()
    with pytest.raises(ReconcileDifference) as caught:
        await reconcile(world, "899.75")
    assert caught.value.metadata == {"difference": "-0.25"}
    assert (await world.view()).balances == before.balances
    made = await reconcile(world, "899.75", adjust=True)
    assert made.adjustment_id is not None
    booked = (await world.get(made.adjustment_id)).transaction
    assert (booked.kind, booked.signed, booked.status, booked.day) == (
        "adjustment",
        -25,
        "reconciled",
        DAY,
    )
    assert (await world.view()).balances[world.bank].reconciled == 89_975
    assert (await reconcile(world, "899.75", adjust=True)).adjustment_id is None
    assert await world.recounted() == []


async def test_a_difference_is_not_booked_into_an_archived_account(world: World) -> None:
    await world.create("100.00", day=DAY)
    await world.archive(world.bank)
    with pytest.raises(AccountArchived):
        await reconcile(world, "899.75", adjust=True)
    assert (await reconcile(world, "900.00", adjust=True)).reconciled_count == 1
    largest = "9" * 15
    debt = await world.add_account("CLF", opening=-int(largest + "9999"))
    with pytest.raises(InvalidRequest) as caught:
        await reconcile(world, f"{largest}.9999", account_id=debt, adjust=True)
    assert [each.field for each in caught.value.fields] == ["statementBalance.value"]


async def test_wrong_statements_are_refused(world: World) -> None:
    other = await new_world(world.database, world.ring)
    with pytest.raises(AccountNotFound):
        await reconcile(world, "0", account_id=other.bank)
    for wrong, field in ((("1.005",), "value"), (("1", "EUR"), "currency")):
        with pytest.raises(InvalidRequest) as caught:
            await reconcile(world, *wrong)
        assert [each.field for each in caught.value.fields] == [f"statementBalance.{field}"]

    async def opened_later(change: Any) -> bool:
        change.set_opening(world.bank, 100_000, date(2026, 11, 11))
        return True

    await world.change(opened_later)
    with pytest.raises(InvalidRequest) as early:
        await reconcile(world, "1000.00")
    assert [each.field for each in early.value.fields] == ["statementDate"]
