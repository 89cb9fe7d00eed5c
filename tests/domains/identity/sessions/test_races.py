"""Sessions that begin, end and are refreshed at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from server.core.errors import SessionEnded
from server.core.pages import PageRequest
from server.core.principals import Role
from server.domains.identity.sessions.model import (
    MOST_SESSIONS,
    Begun,
    LoginSession,
    NewSession,
)
from server.storage.driver import ClientSession
from tests.domains.identity.sessions.world import PASSWORDS, World

ROUNDS = 10


async def live(world: World, user: str) -> list[LoginSession]:
    return (await world.sessions.list(user, PageRequest(limit=100))).items


async def begun(world: World, user: str) -> Begun | None:
    try:
        return await world.begin(user)
    except SessionEnded:
        return None


async def test_a_hundred_at_once_are_one_rotation(world: World, user: str) -> None:
    begun = await world.begin(user)
    results = await asyncio.gather(*(world.refresh(begun.secret) for _ in range(100)))
    assert {result.refresh_token for result in results} == {world.tokens.make(begun.session.id, 2)}
    assert [result.repeated for result in results].count(False) == 1
    assert (await world.store.get(begun.session.id)).counter == 2
    assert await world.events() == []


@pytest.mark.full_only
async def test_a_hundred_old_ones_at_once_are_one_reuse(world: World, user: str) -> None:
    begun = await world.begin(user)
    newest = await world.refreshed((await world.refresh(begun.secret)).refresh_token)
    results = await asyncio.gather(*(world.refreshed(begun.secret) for _ in range(100)))
    assert set(results) == {None}
    assert await world.events() == [("session.reused", "u_1")]
    assert await world.written.revoked() == [begun.session.id]
    assert await world.written.notices() == [begun.session.id]
    assert newest is not None
    assert await world.refreshed(newest) is None


async def test_ends_and_refreshes(world: World, user: str) -> None:
    """Whoever is first: the session ends once, and none of its tokens is good afterwards."""
    for _ in range(ROUNDS):
        session = await world.begin(user)
        calls: list[Awaitable[object]] = [world.refreshed(session.secret) for _ in range(10)]
        calls.insert(5, world.sessions.log_out(session.session.id))
        calls.insert(0, world.sessions.revoke(user, session.session.id, "revoked"))
        results = await asyncio.gather(*calls)
        successor = world.tokens.make(session.session.id, 2)
        assert {each for each in results if isinstance(each, str)} <= {successor}
        assert await world.refreshed(session.secret) is None
        assert await world.refreshed(successor) is None
    assert len(await world.events()) == ROUNDS
    revoked = await world.written.revoked()
    assert len(revoked) == len(set(revoked)) == ROUNDS


async def test_logins_at_once_stay_within_the_limit(world: World, user: str) -> None:
    for _ in range(MOST_SESSIONS - 1):
        world.clock.turn(minutes=1)
        await world.begin(user)
    oldest = {each.id for each in (await live(world, user))[-5:]}
    world.clock.turn(minutes=1)
    made = await asyncio.gather(*(world.begin(user) for _ in range(6)))
    assert len(await live(world, user)) == MOST_SESSIONS
    ended = [each.id for login in made for each in login.ended]
    assert set(ended) == oldest
    assert len(ended) == 5
    assert sorted(await world.written.revoked()) == sorted(ended)


@pytest.mark.full_only
async def test_the_longest_unused_is_refreshed_as_it_ends(world: World, user: str) -> None:
    """It is ended, or else was used and another one is."""
    for _ in range(3):
        await world.transact(lambda transaction: world.sessions.end_all(user, "staff", transaction))
        made = []
        for _ in range(MOST_SESSIONS):
            world.clock.turn(minutes=1)
            made.append(await world.begin(user))
        world.clock.turn(minutes=1)
        login, _ = await asyncio.gather(world.begin(user), world.refreshed(made[0].secret))
        (ended,) = login.ended
        assert ended.id in {made[0].session.id, made[1].session.id}
        assert len(await live(world, user)) == MOST_SESSIONS


Change = Callable[[ClientSession], Awaitable[object]]


async def at_once(world: World, user: str, change: Change) -> list[Begun | None]:
    """Logins around a change of the user."""
    before = [begun(world, user) for _ in range(3)]
    after = [begun(world, user) for _ in range(3)]
    logins, _ = await asyncio.gather(asyncio.gather(*before, *after), world.transact(change))
    return logins


@pytest.mark.parametrize("role", [Role.ADMIN, Role.USER])
async def test_no_login_keeps_a_role_that_was_changed(world: World, role: Role) -> None:
    user = await world.users.create(role=Role.MODERATOR)

    async def change(transaction: ClientSession) -> None:
        await world.users.change(user, transaction, role=int(role))
        await world.sessions.set_role(user, role, transaction)

    for _ in range(ROUNDS):
        await world.transact(
            lambda transaction: world.users.change(user, transaction, role=int(Role.MODERATOR))
        )
        await at_once(world, user, change)
        assert {each.role for each in await live(world, user)} == {role}
        await world.transact(lambda transaction: world.sessions.end_all(user, "staff", transaction))


async def test_no_login_outlives_a_suspension(world: World, user: str) -> None:
    async def suspend(transaction: ClientSession) -> None:
        await world.users.change(user, transaction, status="suspended")
        await world.sessions.end_all(user, "status", transaction)

    for _ in range(ROUNDS):
        logins = await at_once(world, user, suspend)
        assert await live(world, user) == []
        for login in logins:
            assert login is None or await world.refreshed(login.secret) is None
        await world.transact(
            lambda transaction: world.users.change(user, transaction, status="active")
        )


async def test_no_login_with_the_old_password_outlives_its_change(world: World, user: str) -> None:
    """A login that reads in its transaction what the change writes is before it and ends, or sees it."""
    passwords = world.database.collection(PASSWORDS)
    await passwords.insert_one({"version": 0})

    async def login(transaction: ClientSession) -> Begun:
        password = await passwords.find_one({}, session=transaction)
        assert password is not None
        new = NewSession(user, "token", ("pwd",), device_name=str(password["version"]))
        return await world.sessions.begin(new, transaction)

    async def change(transaction: ClientSession) -> None:
        await passwords.update_one({}, {"$inc": {"version": 1}}, session=transaction)
        await world.sessions.end_all(user, "credentials", transaction)

    for version in range(1, ROUNDS + 1):
        works: list[Change] = [login, login, change, login, login]
        await asyncio.gather(*map(world.transact, works))
        assert {each.device_name for each in await live(world, user)} <= {str(version)}


async def test_refreshes_and_new_roles(world: World, user: str) -> None:
    """The session has the new role, and the counter of as many rotations as there were."""
    token = (await world.begin(user)).secret
    for number in range(ROUNDS):
        role = Role.ADMIN if number % 2 else Role.MODERATOR

        async def change(transaction: ClientSession, role: Role = role) -> None:
            await world.users.change(user, transaction, role=int(role))
            await world.sessions.set_role(user, role, transaction)

        refreshed, _ = await asyncio.gather(world.refresh(token), world.transact(change))
        refreshed = await world.refresh(refreshed.refresh_token)
        assert (refreshed.session.role, refreshed.session.counter) == (role, 2 * number + 3)
        token = refreshed.refresh_token
