"""Changes and reads of one user at the same moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

from server.core.errors import EtagMismatch
from server.domains.money.transactions.errors import TransactionNotFound
from server.domains.money.transactions.model import Amount, Wanted
from server.domains.money.transactions.shown import Shown
from server.domains.money.transactions.views import ListRequest
from tests.domains.money.transactions.world import Worker, World


def elsewhere(world: World) -> World:
    """The same user, served by another process."""
    return replace(world, worker=Worker(world.database, world.ring, world.clock))


async def test_of_several_changes_of_one_revision_one_is_made(world: World) -> None:
    made, other = (await world.create()).transaction, elsewhere(world)
    results = await asyncio.gather(
        *(
            (world, other)[number % 2].update(made.id, notes=str(number), etag=str(made.rev))
            for number in range(6)
        ),
        return_exceptions=True,
    )
    (winner,) = [each for each in results if isinstance(each, Shown)]
    assert sum(isinstance(each, EtagMismatch) for each in results) == 5
    assert await world.get(made.id) == winner


async def test_of_a_change_and_a_deletion_one_is_made(world: World) -> None:
    other = elsewhere(world)
    for _ in range(4):
        made = (await world.create()).transaction
        etag = str(made.rev)
        changed, deleted = await asyncio.gather(
            world.update(made.id, amount=Amount("7.00"), etag=etag),
            other.delete(made.id, etag=etag),
            return_exceptions=True,
        )
        if isinstance(changed, Shown):
            assert isinstance(deleted, EtagMismatch)
            assert (await world.get(made.id)).transaction.units == 700
            await world.delete(made.id)
        else:
            assert deleted is None
            assert isinstance(changed, TransactionNotFound)
        assert await world.balance(world.bank) == 100_000
    assert await world.recounted() == []


async def test_rows_agree_with_the_balances_after_them_while_they_change(world: World) -> None:
    made = [(await world.create(f"{number}.00")).transaction.id for number in range(1, 7)]
    done = asyncio.Event()

    async def write() -> None:
        for number, identifier in enumerate(made):
            if number % 2:
                await world.delete(identifier)
            else:
                await world.update(identifier, amount=Amount("70.00"))
            await world.create("3.00", day=date(2026, 11, number % 4 + 1))
        done.set()

    writing = asyncio.create_task(write())
    request = ListRequest(Wanted(account_ids=[world.bank]), limit=100)
    while not done.is_set():
        page = await world.worker.views.list_of_account(world.owner, world.bank, request)
        balance = 100_000
        for each in reversed(page.items):
            assert isinstance(each, Shown)
            balance += each.transaction.signed
            assert each.balance_after == balance
    await writing
