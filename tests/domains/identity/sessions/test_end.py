"""Login sessions are ended, by whom and with what follows."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from bson import ObjectId

from server.core.errors import SessionEnded, Unauthenticated
from server.domains.identity.errors import SessionNotFound
from server.domains.identity.sessions.store import LOGIN_SESSIONS
from server.storage.driver import ClientSession
from server.storage.repository import new_id
from tests.domains.identity.sessions.world import PHONE, World


async def test_logging_out(world: World, user: str) -> None:
    begun, other = await world.begin(user), await world.begin(user)
    world.clock.turn(minutes=5)
    assert [each.id for each in await world.sessions.log_out(begun.session.id)] == [
        begun.session.id
    ]
    document = await world.document(begun.session.id)
    assert (document["endedAt"], document["endedBy"]) == (world.clock.at, "logout")
    assert document["expiresAt"] == world.clock.at
    assert await world.written.revoked() == [begun.session.id]
    assert await world.events() == [("user.logged_out", "u_1")]
    assert await world.refreshed(begun.secret) is None
    # Once more is fine, and nothing.
    world.clock.turn(minutes=5)
    assert await world.sessions.log_out(begun.session.id) == []
    assert await world.sessions.log_out(new_id()) == []
    assert await world.document(begun.session.id) == document
    assert await world.events() == [("user.logged_out", "u_1")]
    assert await world.listed(user) == [other.session.id]


async def test_logging_out_with_any_refresh_token(world: World, user: str) -> None:
    begun = await world.begin(user)
    await world.refresh((await world.refresh(begun.secret)).refresh_token)
    ended = await world.sessions.log_out_by(begun.secret)
    assert [each.id for each in ended] == [begun.session.id]
    assert await world.events() == [("user.logged_out", "u_1")]
    assert await world.sessions.log_out_by(begun.secret) == []
    with pytest.raises(Unauthenticated):
        await world.sessions.log_out_by("flr_" + "A" * 68)


async def test_an_ended_session_has_ended_for_a_host_whose_clock_is_behind(
    world: World, user: str
) -> None:
    token, cookie = await world.begin(user), await world.begin(user, "cookie")
    world.clock.turn(minutes=5)
    await world.sessions.revoke_all(user, "revoked")
    revoked = await world.written.revoked()
    document = await world.document(token.session.id)
    world.clock.turn(seconds=-5)
    assert await world.refreshed(token.secret) is None
    with pytest.raises(SessionEnded):
        await world.sessions.by_cookie(cookie.secret)
    with pytest.raises(SessionEnded):
        await world.sessions.prove(token.session.id)
    assert await world.listed(user) == []
    assert await world.sessions.revoke_all(user, "staff") == []
    await world.use(token.session.id, PHONE)
    assert await world.document(token.session.id) == document
    assert await world.written.revoked() == revoked


async def test_an_expired_session_is_not_ended_again(world: World, user: str) -> None:
    begun = await world.begin(user)
    world.clock.turn(days=7)
    assert await world.sessions.log_out(begun.session.id) == []
    assert await world.written.revoked() == []
    assert "endedAt" not in await world.document(begun.session.id)


async def test_revoking_one(world: World, user: str) -> None:
    begun, other = await world.begin(user), await world.begin(user)
    stranger = await world.users.create("u_2")
    for session_id in (begun.session.id, new_id()):
        with pytest.raises(SessionNotFound):
            await world.sessions.revoke(stranger, session_id, "revoked")
    assert await world.events() == []
    ended = await world.sessions.revoke(user, begun.session.id, "revoked")
    assert [each.id for each in ended] == [begun.session.id]
    assert (await world.store.get(begun.session.id)).ended_by == "revoked"
    assert await world.sessions.revoke(user, begun.session.id, "revoked") == []
    assert await world.events() == [("session.revoked", "u_1")]
    assert await world.written.revoked() == [begun.session.id]
    assert await world.listed(user) == [other.session.id]
    with pytest.raises(SessionNotFound):
        await world.sessions.revoke(stranger, begun.session.id, "revoked")


async def test_revoking_the_others(world: World, user: str) -> None:
    begun = [(await world.begin(user)).session.id for _ in range(3)]
    await world.begin(await world.users.create("u_2"))
    ended = await world.sessions.revoke_all(user, "revoked", except_session=begun[1])
    assert {each.id for each in ended} == {begun[0], begun[2]}
    assert await world.listed(user) == [begun[1]]
    assert await world.events() == [("session.revoked", "u_1")]
    assert await world.sessions.revoke_all(user, "revoked", except_session=begun[1]) == []
    assert await world.events() == [("session.revoked", "u_1")]
    await world.sessions.revoke_all(user, "staff")
    assert await world.listed(user) == []
    assert (await world.store.get(begun[1])).ended_by == "staff"
    assert sorted(await world.written.revoked()) == sorted(begun)
    assert await world.database.collection(LOGIN_SESSIONS).count_documents({"endedAt": None}) == 1


async def test_a_suspended_users_sessions_end(world: World, user: str) -> None:
    begun, cookie = await world.begin(user), await world.begin(user, "cookie")

    async def suspend(transaction: ClientSession) -> None:
        await world.users.change(user, transaction, status="suspended")
        await world.sessions.end_all(user, "status", transaction)

    await world.transact(suspend)
    assert await world.refreshed(begun.secret) is None
    with pytest.raises(SessionEnded):
        await world.sessions.by_cookie(cookie.secret)
    assert len(await world.written.revoked()) == 2


async def test_ending_some(world: World, user: str) -> None:
    begun = [(await world.begin(user)).session.id for _ in range(3)]
    ended = await world.transact(
        lambda transaction: world.sessions.end(begun[:2], "credentials", transaction)
    )
    assert {each.id for each in ended} == set(begun[:2])
    assert await world.listed(user) == [begun[2]]


async def test_deleting_removes_all(world: World, user: str) -> None:
    live, ended = await world.begin(user), await world.begin(user)
    other = await world.begin(await world.users.create("u_2"))
    await world.sessions.log_out(ended.session.id)
    await world.transact(lambda transaction: world.sessions.delete_all(user, transaction))
    assert await world.written.revoked() == [ended.session.id, live.session.id]
    left = await world.database.collection(LOGIN_SESSIONS).find({}).to_list(None)
    assert [str(each["_id"]) for each in left] == [other.session.id]


async def test_a_change_that_outlasts_a_session_needs_it_to_go_on(world: World, user: str) -> None:
    going, ended, expired = [(await world.begin(user)).session for _ in range(3)]
    await world.sessions.log_out(ended.id)
    match = {"_id": ObjectId(expired.id)}
    past = {"$set": {"expiresAt": world.clock.at}}
    await world.database.collection(LOGIN_SESSIONS).update_one(match, past)
    await world.transact(partial(world.sessions.require, going.id))
    for session_id in (ended.id, expired.id, new_id()):
        with pytest.raises(SessionEnded):
            await world.transact(partial(world.sessions.require, session_id))


async def test_nothing_is_left_behind_as_a_session_ends(world: World, user: str) -> None:
    left = world.database.collection("left_behind")

    async def leave(session_id: str, transaction: ClientSession) -> None:
        await world.users.lock(user, transaction)
        await world.sessions.require(session_id, transaction)
        await left.insert_one({"session": session_id}, session=transaction)

    async def end(transaction: ClientSession) -> None:
        await world.sessions.end_all(user, "credentials", transaction)
        await left.delete_many({}, session=transaction)

    for _ in range(10):
        session = (await world.begin(user)).session
        both = world.transact(partial(leave, session.id)), world.transact(end)
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        assert {type(each) for each in outcomes} <= {type(None), SessionEnded}
        assert outcomes[1] is None
        assert await left.count_documents({}) == 0
