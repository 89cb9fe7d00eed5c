"""Streams that a user lets flow into another account, or stops."""

from __future__ import annotations

import pytest

from server.domains.money.accounts.errors import AccountNotFound
from server.domains.money.posting.errors import AccountLinked, StreamNotFound
from server.domains.money.transactions.model import Origin
from tests.domains.money.posting.world import BANK, PostingWorld, row

STREAM = f"bank:{BANK}"


async def test_a_stream_moves_into_an_account_that_its_user_keeps(world: PostingWorld) -> None:
    purse = await world.make_account(opening="1000")
    typed = await world.type(purse.id, "450.00", description="mine")
    rows = [row("a"), row("b", "7.00"), *(row(f"r{number}", "1.00") for number in range(220))]
    await world.sync(rows)
    assert len(await world.accounts()) == 2
    linked = await world.worker.streams.attach(world.owner, purse.id, world.connector.id, STREAM)
    assert (linked.source, linked.stream, linked.provider) == ("connector", STREAM, "fi_money")
    await world.worker.post()
    (account,) = (await world.accounts()).values()
    assert (account.id, account.name) == (purse.id, "Purse")
    found = await world.all()
    assert len(found) == 222, "the typed one and the row are one"
    assert {each.account_id for each in found} == {purse.id}
    one = next(each for each in found if each.id == typed.id)
    assert one.origins == (Origin("manual"), Origin("connector", world.connector.id))
    assert account.balance.units == 100_000 - 45_000 - 700 - 22_000
    await world.sync([*rows, row("new", "2.00")])
    await world.post_again()
    assert len(await world.all()) == 223
    assert (await world.worker.streams.attach(
        world.owner, purse.id, world.connector.id, STREAM
    )).id == purse.id  # fmt: skip
    assert await world.recounted() == []


async def test_a_stream_that_was_detached_goes_nowhere_until_it_is_attached(
    world: PostingWorld,
) -> None:
    await world.sync([row("a")])
    account = await world.account()
    manual = await world.worker.streams.detach(world.owner, account.id)
    assert (manual.source, manual.stream, manual.connector_id) == ("manual", None, None)
    await world.sync([row("a"), row("b", "7.00")])
    assert await world.signed() == [-45_000]
    with pytest.raises(StreamNotFound):
        await world.worker.streams.detach(world.owner, account.id)
    await world.worker.streams.attach(world.owner, account.id, world.connector.id, STREAM)
    await world.worker.post()
    assert sorted(await world.signed()) == [-45_000, -700]
    assert await world.recounted() == []


async def test_a_deleted_account_stops_its_stream(world: PostingWorld) -> None:
    await world.sync([row("a")])
    account = await world.account()
    await world.worker.accounts.delete(world.owner, account.id, with_transactions=True)
    await world.sync([row("a"), row("b", "7.00")])
    assert await world.accounts() == {}
    purse = await world.make_account()
    await world.worker.streams.attach(world.owner, purse.id, world.connector.id, STREAM)
    await world.worker.post()
    assert -700 in [each.signed for each in await world.all() if each.account_id == purse.id]


async def test_what_cannot_be_attached(world: PostingWorld) -> None:
    await world.sync([row("a"), row("b", bank="Other")])
    account, purse = await world.account(), await world.make_account()
    attach = world.worker.streams.attach
    with pytest.raises(StreamNotFound):
        await attach(world.owner, purse.id, world.connector.id, "bank:unknown")
    with pytest.raises(StreamNotFound):
        await attach(world.owner, purse.id, "0" * 24, STREAM)
    with pytest.raises(AccountLinked):
        await attach(world.owner, account.id, world.connector.id, "bank:Other")
    with pytest.raises(AccountNotFound):
        await attach(world.owner, "0" * 24, world.connector.id, STREAM)
    other = await PostingWorld(world.database).start()
    with pytest.raises(AccountNotFound):
        await attach(other.owner, purse.id, world.connector.id, STREAM)
    theirs = await other.make_account()
    with pytest.raises(StreamNotFound):
        await attach(other.owner, theirs.id, world.connector.id, STREAM)
