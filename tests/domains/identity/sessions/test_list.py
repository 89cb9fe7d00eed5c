"""Login sessions are listed, and have what changes while they last."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bson import ObjectId

from server.core.errors import InvalidRequest, SessionEnded
from server.core.pages import Page, PageRequest
from server.core.principals import Role
from server.domains.identity.sessions.model import Caller, LoginSession
from server.domains.identity.sessions.store import LOGIN_SESSIONS
from server.storage.repository import new_id
from tests.domains.identity.sessions.world import PHONE, World


def ids(sessions: Page[LoginSession]) -> list[str]:
    return [each.id for each in sessions.items]


async def test_the_list_has_the_newest_use_first(world: World, user: str) -> None:
    begun: list[str] = []
    for _ in range(5):
        world.clock.turn(minutes=1)
        begun.append((await world.begin(user, device=f"{len(begun)}")).session.id)
    await world.begin(await world.users.create("u_2"))
    ended, expired = await world.begin(user), await world.begin(user)
    await world.sessions.log_out(ended.session.id)
    sessions = world.database.collection(LOGIN_SESSIONS)
    past = {"$set": {"expiresAt": world.clock.at}}
    await sessions.update_one({"_id": ObjectId(expired.session.id)}, past)
    world.clock.turn(minutes=1)
    await world.use(begun[1], PHONE)
    expected = [begun[1], begun[4], begun[3], begun[2], begun[0]]
    assert await world.listed(user) == expected

    seen, token = [], None
    while True:
        page = await world.sessions.list(user, PageRequest(limit=2, page_token=token))
        seen.append(ids(page))
        token = page.next_page_token
        if token is None:
            break
    assert seen == [expected[:2], expected[2:4], expected[4:]]


async def test_sessions_of_one_moment_are_walked_once(world: World, user: str) -> None:
    begun = {(await world.begin(user)).session.id for _ in range(7)}
    seen, token = [], None
    while True:
        page = await world.sessions.list(user, PageRequest(limit=3, page_token=token))
        seen += ids(page)
        token = page.next_page_token
        if token is None:
            break
    assert len(seen) == 7
    assert set(seen) == begun


async def test_a_page_token_is_of_its_user(world: World, user: str) -> None:
    for _ in range(2):
        await world.begin(user)
    page = await world.sessions.list(user, PageRequest(limit=1))
    other = await world.users.create("u_2")
    for token in (page.next_page_token, "x"):
        with pytest.raises(InvalidRequest):
            await world.sessions.list(other, PageRequest(page_token=token))


async def test_the_list_has_no_digest(world: World, user: str) -> None:
    token, cookie = await world.begin(user), await world.begin(user, "cookie")
    await world.refresh(token.secret, "key")
    found = (await world.sessions.list(user, PageRequest())).items
    assert {each.id for each in found} == {token.session.id, cookie.session.id}
    assert all((each.cookie_digest, each.rotation_key) == (None, None) for each in found)
    assert all(each.address == PHONE.address for each in found)


async def test_use_is_noted_once_a_minute(world: World, user: str) -> None:
    begun = await world.begin(user, caller=Caller())
    began = world.clock.at
    world.clock.turn(seconds=59)
    await world.use(begun.session.id, PHONE)
    assert (await world.store.get(begun.session.id)).last_seen_at == began
    elsewhere = World(world.database, world.settings, world.clock)
    world.clock.turn(seconds=1)
    await elsewhere.use(begun.session.id, PHONE)
    session = await world.store.get(begun.session.id)
    assert (session.last_seen_at, session.address) == (world.clock.at, PHONE.address)
    await world.sessions.log_out(begun.session.id)
    world.clock.turn(minutes=2)
    await elsewhere.use(begun.session.id, PHONE)
    assert (await world.store.get(begun.session.id)).last_seen_at == session.last_seen_at


async def test_a_worker_remembers_what_it_touched(
    world: World, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call within a minute of the last sends nothing, and what is remembered has an end."""
    monkeypatch.setattr("server.domains.identity.sessions.use._REMEMBERED", 2)
    first, second, third = [(await world.begin(user)).session.id for _ in range(3)]
    world.clock.turn(minutes=1)
    sessions = world.database.collection(LOGIN_SESSIONS)

    async def is_sent(session_id: str) -> bool:
        """Whether a touch reaches MongoDB, in which the session was last seen long ago."""
        past = {"lastSeenAt": world.clock.at - timedelta(hours=1)}
        await sessions.update_one({"_id": ObjectId(session_id)}, {"$set": past})
        await world.use(session_id, PHONE)
        return (await world.store.get(session_id)).last_seen_at == world.clock.at

    assert [await is_sent(first), await is_sent(first)] == [True, False]
    assert [await is_sent(second), await is_sent(first)] == [True, False]
    assert [await is_sent(third), await is_sent(second)] == [True, False]
    assert await is_sent(first), "it was the oldest of more than two"
    world.clock.turn(minutes=1)
    assert await is_sent(third)  # and is the newest from then on
    assert await is_sent(second)
    assert not await is_sent(third)


async def test_proving_again_who_one_is(world: World, user: str) -> None:
    begun = await world.begin(user)
    world.clock.turn(hours=1)
    session = await world.sessions.prove(begun.session.id)
    assert session.auth_time == world.clock.at
    assert (await world.refresh(begun.secret)).session.auth_time == world.clock.at
    await world.sessions.log_out(begun.session.id)
    for session_id in (begun.session.id, new_id()):
        with pytest.raises(SessionEnded):
            await world.sessions.prove(session_id)


async def test_a_new_role_is_of_live_sessions_of_one_user(world: World, user: str) -> None:
    live, ended = await world.begin(user), await world.begin(user)
    other = await world.begin(await world.users.create("u_2"))
    await world.sessions.log_out(ended.session.id)
    await world.transact(lambda transaction: world.sessions.set_role(user, Role.ADMIN, transaction))
    roles = [(await world.store.get(each.session.id)).role for each in (live, ended, other)]
    assert roles == [Role.ADMIN, Role.USER, Role.USER]
