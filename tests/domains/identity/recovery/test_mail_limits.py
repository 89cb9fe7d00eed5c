"""How many mails an address gets, also if they are asked for at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.domains.identity.recovery.world import ANN, NOBODY, World, token_of

AT_ONCE = 12
NEW = "new@example.com"


async def asks_for_a_reset(world: World, _: int) -> None:
    await world.reset.ask(ANN)


async def asks_for_the_verification_again(world: World, _: int) -> None:
    await world.verification.send(ANN)


async def asks_for_another_address(world: World, _: int) -> None:
    user = await world.users.get("ann")
    await world.email_change.ask(await world.sign_in(user), NEW)


async def registers_a_new_address(world: World, number: int) -> None:
    await world.register(f"new_{number}", NEW)


async def registers_an_address_that_has_an_account(world: World, number: int) -> None:
    await world.register(f"new_{number}", ANN)


@pytest.mark.parametrize(
    ("ask", "to"),
    [
        (asks_for_a_reset, ANN),
        (asks_for_the_verification_again, ANN),
        (asks_for_another_address, NEW),
        (registers_a_new_address, NEW),
        (registers_an_address_that_has_an_account, ANN),
    ],
)
async def test_of_those_at_once_three_are_sent(
    world: World, ask: Callable[[World, int], Awaitable[None]], to: str
) -> None:
    await world.user()
    await asyncio.gather(*(ask(world, number) for number in range(AT_ONCE)))
    assert [mail.to for mail in await world.sent() if mail.to == to] == [to] * 3


async def test_an_hour_after_one_was_sent_the_next_may_be(world: World) -> None:
    await world.user()
    began, sent = world.clock.at, []
    for minute in (0, 20, 40, 59, 61, 70, 81):
        world.clock.at = began + timedelta(minutes=minute)
        before = len(await world.sent())
        await world.reset.ask(ANN)
        if len(await world.sent()) > before:
            sent.append(minute)
    assert sent == [0, 20, 40, 61, 81]


async def test_mails_of_one_kind_use_up_those_of_no_other(world: World) -> None:
    await world.user()
    other = await world.user("other", "other@example.com")
    caller = await world.sign_in(other)
    for _ in range(4):
        await world.verification.send(ANN)
        await world.email_change.ask(caller, ANN)
    assert len(await world.sent()) == 3 + 3 * 2, "the notices of a change go to the other address"
    await world.reset.ask(ANN)
    resets = [mail for mail in await world.sent() if mail.subject == "Set a new password"]
    assert [mail.to for mail in resets] == [ANN]


async def test_a_new_user_gets_the_mail_whatever_strangers_have_asked_for(world: World) -> None:
    for _ in range(4):
        await world.verification.send(NEW)
    assert await world.sent() == []
    await world.register("new", NEW, verification="optional")
    assert [mail.to for mail in await world.sent()] == [NEW]
    await world.verification.send(NEW)
    assert len(await world.sent()) == 1, "the address has had enough for this hour"


async def test_the_mail_of_a_new_user_counts(world: World) -> None:
    await world.register("new", NEW, verification="optional")
    for _ in range(4):
        await world.verification.send(NEW)
    assert [mail.to for mail in await world.sent()] == [NEW] * 3


async def test_a_registration_that_got_no_mail_leaves_no_password_of_a_stranger(
    world: World,
) -> None:
    """A stranger has used the mails of the hour up; the owner opens one of those."""
    for number in range(3):
        await world.register(f"stranger_{number}", NEW)
    mails = await world.sent()
    await world.register("owner", NEW)
    assert len(await world.sent()) == len(mails) == 3
    verified = await world.verification.verify(token_of(mails[0]), None)
    assert verified.email == NEW
    assert not await world.has_password(verified.user_id)


async def test_registrations_that_all_got_a_mail_keep_their_passwords(world: World) -> None:
    for number in range(3):
        await world.register(f"new_{number}", NEW)
    verified = await world.verification.verify(token_of((await world.sent())[0]), None)
    assert await world.has_password(verified.user_id)


async def test_a_registration_that_got_no_mail_is_sent_it_later(world: World) -> None:
    for _ in range(3):
        await world.verification.send(NEW)
    await world.register("new", NEW)
    assert await world.sent() == []
    world.clock.turn(minutes=61)
    await world.verification.send(NEW)
    (mail,) = await world.sent()
    assert (await world.verification.verify(token_of(mail), None)).user_id == "new"
    assert await world.has_password("new")


async def test_counts_do_not_say_whose_they_are(world: World) -> None:
    await world.reset.ask(NOBODY)
    (count,) = await world.database.collection("mail_counts").find({}).to_list(None)
    assert "nobody" not in str(count)
    assert (count["expiresAt"] - world.clock.at) / timedelta(minutes=1) == pytest.approx(60)
