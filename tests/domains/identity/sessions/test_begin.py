"""Login sessions begin, with a token or a cookie, and are not too many or too large."""

from __future__ import annotations

from datetime import timedelta

import bson
import pytest
from bson import ObjectId

from server.core.errors import SessionEnded, Unauthenticated
from server.core.principals import Role
from server.domains.identity.sessions import store
from server.domains.identity.sessions.model import (
    MOST_SESSIONS,
    Caller,
    LoginSession,
    NewSession,
)
from server.domains.identity.sessions.store import LOGIN_SESSIONS
from server.storage.driver import ClientSession
from server.storage.repository import new_id
from tests.domains.identity.sessions.world import PHONE, World


async def test_a_session_with_a_token(world: World) -> None:
    user = await world.users.create("someone", Role.MODERATOR)
    begun = await world.begin(user, device="Phone")
    now = world.clock.at
    assert begun.session == LoginSession(
        id=begun.session.id,
        user=user,
        user_id="someone",
        role=Role.MODERATOR,
        kind="token",
        amr=("pwd",),
        created_at=now,
        auth_time=now,
        last_seen_at=now,
        expires_at=now + timedelta(days=7),
        max_at=now + timedelta(days=30),
        counter=1,
        address=PHONE.address,
        user_agent=PHONE.user_agent,
        device_name="Phone",
    )
    assert await world.store.get(begun.session.id) == begun.session
    assert begun.secret == world.tokens.make(begun.session.id, 1)
    assert begun.ended == []


async def test_a_session_with_a_cookie(world: World, user: str) -> None:
    begun = await world.begin(user, "cookie")
    session, day = begun.session, world.clock.at + timedelta(hours=24)
    assert (session.kind, session.counter, session.expires_at) == ("cookie", None, day)
    assert session.max_at == day
    assert begun.secret.partition(".")[2] not in repr(await world.document(session.id))
    assert await world.sessions.by_cookie(begun.secret) == session
    world.clock.turn(hours=24, milliseconds=-1)
    assert await world.sessions.by_cookie(begun.secret) == session
    world.clock.turn(milliseconds=1)
    with pytest.raises(SessionEnded):
        await world.sessions.by_cookie(begun.secret)


async def test_the_shorter_life_counts(world: World, user: str) -> None:
    changed = world.settings.model_copy(
        update={"session_max_days": 3, "cookie_session_hours": 1, "refresh_token_expire_minutes": 9}
    )
    short = World(world.database, changed, world.clock)
    assert (await short.begin(user)).session.expires_at == world.clock.at + timedelta(minutes=9)
    session = (await short.begin(user, "cookie")).session
    assert session.expires_at == world.clock.at + timedelta(hours=1)
    long = World(
        world.database, world.settings.model_copy(update={"session_max_days": 3}), world.clock
    )
    assert (await long.begin(user)).session.expires_at == world.clock.at + timedelta(days=3)


async def test_a_cookie_that_was_not_made_here(world: World, user: str) -> None:
    begun, token = await world.begin(user, "cookie"), await world.begin(user)
    secret = begun.secret.partition(".")[2]
    other = secret[:-2] + ("AA" if secret[-2:] != "AA" else "BA")
    for value in (f"{begun.session.id}.{other}", f"{token.session.id}.{secret}", "", token.secret):
        with pytest.raises(Unauthenticated):
            await world.sessions.by_cookie(value)
    with pytest.raises(SessionEnded):
        await world.sessions.by_cookie(f"{new_id()}.{secret}")


async def test_an_ended_sessions_cookie_with_a_wrong_secret_is_none(
    world: World, user: str
) -> None:
    begun = await world.begin(user, "cookie")
    await world.sessions.log_out(begun.session.id)
    with pytest.raises(SessionEnded):
        await world.sessions.by_cookie(begun.secret)
    with pytest.raises(Unauthenticated):
        await world.sessions.by_cookie(f"{begun.session.id}.{'A' * 43}")


@pytest.mark.parametrize("status", ["suspended", "inactive", None])
async def test_nobody_signs_in_who_is_not_active(
    world: World, user: str, status: str | None
) -> None:
    users = world.database.collection("users")
    if status is None:
        await users.delete_many({})
    else:
        await users.update_one({"_id": ObjectId(user)}, {"$set": {"status": status}})
    with pytest.raises(SessionEnded):
        await world.begin(user)
    assert await world.listed(user) == []


async def test_the_51st_ends_the_longest_unused(world: World, user: str) -> None:
    begun = []
    for _ in range(MOST_SESSIONS):
        world.clock.turn(minutes=1)
        begun.append(await world.begin(user))
    assert all(each.ended == [] for each in begun)
    await world.use(begun[0].session.id, PHONE)  # the oldest, but in use
    last = await world.begin(user)
    assert [each.id for each in last.ended] == [begun[1].session.id]
    assert len(await world.listed(user)) == MOST_SESSIONS
    assert begun[0].session.id in await world.listed(user)
    assert await world.written.revoked() == [begun[1].session.id]
    assert (await world.store.get(begun[1].session.id)).ended_by == "limit"
    assert await world.refreshed(begun[1].secret) is None
    assert await world.refreshed(begun[0].secret) is not None


@pytest.mark.full_only
async def test_only_live_sessions_of_the_user_count(world: World, user: str) -> None:
    other = await world.users.create("u_2")
    for _ in range(30):
        await world.begin(user, "cookie")
        await world.begin(other)
    world.clock.turn(hours=24)
    for _ in range(30):
        begun = await world.begin(user)
        await world.sessions.log_out(begun.session.id)
    for _ in range(MOST_SESSIONS):
        assert (await world.begin(user)).ended == []
    assert len((await world.begin(user)).ended) == 1
    assert len(await world.listed(other)) == 30


async def test_a_login_that_fails_leaves_all_as_it_was(world: World, user: str) -> None:
    begun = [await world.begin(user) for _ in range(MOST_SESSIONS)]

    async def login(transaction: ClientSession) -> None:
        new = await world.sessions.begin(NewSession(user, "token", ("pwd",)), transaction)
        assert len(new.ended) == 1
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await world.transact(login)
    assert sorted(await world.listed(user)) == sorted(each.session.id for each in begun)
    assert await world.written.revoked() == []


async def test_a_document_is_small(world: World, user: str) -> None:
    """The largest that a phone makes, with all that its session ever has."""
    await world.database.collection("users").update_one(
        {"_id": ObjectId(user)}, {"$set": {"userId": "u_" + "x" * 20}}
    )
    begun = await world.begin(user, device="Somebody's iPhone 15 Pro Max")
    await world.refresh(begun.secret, "0b7d7a5e-5d3c-4a43-9a2f-7b1d1f0c2f11")
    await world.sessions.log_out(begun.session.id)
    size = len(bson.encode(await world.document(begun.session.id)))
    assert size <= 600
    cookie = await world.begin(user, "cookie", device="Somebody's iPhone 15 Pro Max")
    assert len(bson.encode(await world.document(cookie.session.id))) <= 600


async def test_what_is_too_long_is_cut(world: World, user: str) -> None:
    begun = await world.begin(user, caller=Caller("203.0.113.7", "x" * 10_000))
    assert begun.session.user_agent == "x" * 150
    assert (await world.store.get(begun.session.id)).user_agent == "x" * 150


async def test_indexes(world: World, user: str) -> None:
    sessions = world.database.collection(LOGIN_SESSIONS)
    there = await sessions.index_information()
    assert there["expiresAt_1"]["expireAfterSeconds"] == 86_400
    assert there["user_newest_use"]["key"] == [("user", 1), ("lastSeenAt", -1), ("_id", -1)]
    assert len(there) == 1 + len(store.INDEXES[LOGIN_SESSIONS])
    document = await world.document((await world.begin(user)).session.id)
    # A TTL index passes over a document whose field is no date.
    assert document["expiresAt"] == world.clock.at + timedelta(days=7)
