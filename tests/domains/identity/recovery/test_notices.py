"""Mails to owners about what was done to their accounts."""

from __future__ import annotations

from datetime import timedelta

from tests.domains.identity.recovery.world import ANN, World


async def test_a_notice_is_good_for_a_day(world: World) -> None:
    user = await world.user()
    await world.notify(user)
    (delivery,) = await world.deliveries()
    now = delivery["createdAt"]
    assert (delivery["notAfter"] - now, delivery["user"]) == (timedelta(days=1), user.id)
    assert [mail.to for mail in await world.sent()] == [ANN]


async def test_who_has_no_address_gets_none(world: World) -> None:
    await world.notify(await world.user(address=None))
    assert await world.deliveries() == []


async def test_the_address_from_before_gets_it_also_if_there_is_none_now(world: World) -> None:
    await world.notify(await world.user(address=None), former=ANN)
    assert [mail.to for mail in await world.sent()] == [ANN]


async def test_what_it_is_about_needs_no_way_to_send_it(world: World) -> None:
    without = World(world.database, channels=())
    user = await without.user()
    await without.notify(user)
    await without.notify(user, former=ANN)
    assert await without.deliveries() == []
    await without.hashing.stop()
