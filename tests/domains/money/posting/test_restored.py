"""Transactions that are restored: their rows are there once, whatever has become of them meanwhile."""

from __future__ import annotations

import pytest

from server.domains.money.transactions.errors import TransactionExists
from server.domains.money.transactions.model import Origin, Transaction
from tests.domains.money.posting.test_same_rows import SINCE
from tests.domains.money.posting.test_streams import STREAM
from tests.domains.money.posting.world import PostingWorld, row


async def of_text(world: PostingWorld, text: str) -> Transaction:
    (found,) = [each for each in await world.all() if each.bank_text == text]
    return found


async def refused(world: PostingWorld, identifier: str, there: str) -> None:
    with pytest.raises(TransactionExists) as raised:
        await world.restore(identifier)
    assert raised.value.metadata == {"transactionId": there}


async def test_a_row_that_was_forgotten_is_there_once(world: PostingWorld) -> None:
    await world.sync([row("a"), row("b", "7.00")])
    first = await of_text(world, "a")
    await world.delete(first.id, forget=True)
    await world.restore(first.id)
    await world.worker.post()  # it was restored before its row could come back
    assert sorted(await world.signed()) == [-45_000, -700]
    await world.delete(first.id, forget=True)
    await world.worker.post()
    second = await of_text(world, "a")
    assert second.id != first.id
    await refused(world, first.id, second.id)
    await world.delete(second.id)
    assert (await world.restore(first.id)).origins == first.origins
    await refused(world, second.id, first.id)
    await world.sync([row("a"), row("b", "7.00")])
    await world.post_again()
    assert (await of_text(world, "a")).id == first.id
    assert len(await world.all()) == await world.origins() == 2
    await world.delete(first.id, forget=True)
    await world.worker.post()
    third = await of_text(world, "a")
    for earlier in (first, second):
        await refused(world, earlier.id, third.id)
    assert await world.recounted() == []


async def test_a_row_that_the_bank_took_back_for_a_while_is_there_once(world: PostingWorld) -> None:
    world.connectors.platform.periods = [SINCE]
    rows = [row("a"), row("b", "7.00")]
    await world.sync(rows)
    first = await of_text(world, "a")
    await world.sync(rows[1:])
    await world.sync(rows)
    second = await of_text(world, "a")
    await refused(world, first.id, second.id)
    await world.delete(second.id)
    assert (await world.restore(first.id)).origins == (Origin("connector", world.connector.id),)
    await world.sync(rows[1:])
    assert await world.signed() == [-700], "it goes with its row, as it did before"
    await world.restore(second.id)
    await world.sync(rows)
    assert (await of_text(world, "a")).id == second.id, "which has found what was restored"
    assert await world.recounted() == []


async def test_a_row_that_moved_into_what_was_typed_is_there_once(world: PostingWorld) -> None:
    purse = await world.make_account()
    typed = await world.type(purse.id, "450.00")
    await world.sync([row("a")])
    moved = await of_text(world, "a")
    other = await world.type((await world.account()).id, "9.00")  # it keeps the account from going
    await world.worker.streams.attach(world.owner, purse.id, world.connector.id, STREAM)
    await world.worker.post()
    assert {each.id for each in await world.all()} == {typed.id, other.id}
    await refused(world, moved.id, typed.id)
