"""Refreshes, each branch of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from bson import ObjectId
from prometheus_client import REGISTRY

from server.core.errors import SessionEnded, Unauthenticated, Unavailable
from server.core.principals import Role
from server.domains.identity.sessions.model import Caller, LoginSession
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from server.domains.identity.sessions.store import LOGIN_SESSIONS
from server.storage.repository import new_id
from tests.domains.identity.sessions.world import PHONE, SECRET, World

ELSEWHERE = Caller("203.0.113.7", "curl/8.5.0")


async def ends(world: World, token: str, key: str | None = None) -> None:
    with pytest.raises(SessionEnded):
        await world.refresh(token, key)


async def test_the_newest_token_gets_the_next(world: World, user: str) -> None:
    begun = await world.begin(user)
    world.clock.turn(hours=1)
    refreshed = await world.refresh(begun.secret)
    assert refreshed.refresh_token == world.tokens.make(begun.session.id, 2)
    assert (refreshed.repeated, refreshed.at) == (False, world.clock.at)
    assert refreshed.session.id == begun.session.id
    assert refreshed.session.counter == 2
    assert refreshed.session.rotated_at == world.clock.at
    assert refreshed.session.expires_at == world.clock.at + timedelta(days=7)
    assert refreshed.session == await world.store.get(begun.session.id)
    assert await world.events() == []


async def test_nothing_of_a_token_is_stored(world: World, user: str) -> None:
    begun = await world.begin(user)
    refreshed = await world.refresh(begun.secret, "key of the call")
    stored = repr(await world.document(begun.session.id))
    for secret in (begun.secret, refreshed.refresh_token, "key of the call"):
        assert secret not in stored
        assert secret[4:20] not in stored
        assert secret not in repr((begun, refreshed))


@pytest.mark.parametrize("seconds", [0, 1, 60])
async def test_the_one_before_gets_the_same_for_a_minute(
    world: World, user: str, seconds: int
) -> None:
    begun = await world.begin(user)
    first = await world.refresh(begun.secret)
    world.clock.turn(seconds=seconds)
    again = await world.refresh(begun.secret)
    assert again.refresh_token == first.refresh_token
    assert (again.repeated, again.at) == (True, world.clock.at)
    assert again.session == first.session, "nothing is written"
    # The window is of the rotation; it does not begin again.
    world.clock.turn(seconds=61 - seconds)
    await ends(world, begun.secret)
    await ends(world, first.refresh_token)


def reused() -> float:
    return REGISTRY.get_sample_value("finlink_sessions_reused_total") or 0


async def test_after_a_minute_it_is_reuse(world: World, user: str) -> None:
    before = reused()
    begun = await world.begin(user)
    newest = (await world.refresh(begun.secret)).refresh_token
    world.clock.turn(seconds=60, milliseconds=1)
    await ends(world, begun.secret)
    ended = await world.store.get(begun.session.id)
    assert (ended.ended_by, ended.ended_at) == ("reused", world.clock.at)
    assert await world.written.revoked() == [begun.session.id]
    assert await world.written.notices() == [begun.session.id]
    assert await world.events() == [("session.reused", "u_1")]
    # Both copies are dead, and it is reported once.
    await ends(world, newest)
    await ends(world, begun.secret)
    assert await world.events() == [("session.reused", "u_1")]
    assert await world.written.notices() == [begun.session.id]
    assert reused() == before + 1


async def test_two_behind_is_reuse_within_the_minute_as_well(world: World, user: str) -> None:
    begun = await world.begin(user)
    second = (await world.refresh(begun.secret)).refresh_token
    third = (await world.refresh(second)).refresh_token
    assert await world.refreshed(second) == third
    await ends(world, begun.secret)
    await ends(world, third)
    assert await world.events() == [("session.reused", "u_1")]


async def test_the_call_that_rotated_may_come_again_at_any_time(world: World, user: str) -> None:
    begun = await world.begin(user)
    second = (await world.refresh(begun.secret, "key")).refresh_token
    world.clock.turn(hours=1)
    assert await world.refreshed(begun.secret, "key") == second
    world.clock.turn(days=6)
    assert await world.refreshed(begun.secret, "key") == second
    assert await world.events() == []
    await ends(world, begun.secret)  # without it
    assert await world.events() == [("session.reused", "u_1")]


@pytest.mark.parametrize(("sent", "again"), [("key", "other"), ("key", ""), ("", "key"), ("", "")])
async def test_another_key_is_none(world: World, user: str, sent: str, again: str) -> None:
    begun = await world.begin(user)
    await world.refresh(begun.secret, sent)
    world.clock.turn(hours=1)
    await ends(world, begun.secret, again)


async def test_a_key_is_good_for_its_own_rotation_only(world: World, user: str) -> None:
    begun = await world.begin(user)
    second = (await world.refresh(begun.secret, "key")).refresh_token
    third = (
        await world.refresh(second)
    ).refresh_token  # without a key: the one before is forgotten
    assert "rotationKey" not in await world.document(begun.session.id)
    world.clock.turn(hours=1)
    await ends(world, second, "key")
    assert third is not None


async def test_one_key_for_each_refresh_still_moves_on(world: World, user: str) -> None:
    token = (await world.begin(user)).secret
    seen = {token}
    for _ in range(5):
        token = (await world.refresh(token, "same")).refresh_token
        seen.add(token)
    assert len(seen) == 6


async def test_without_a_window_the_key_alone_repeats(world: World, user: str) -> None:
    strict = World(
        world.database, world.settings.model_copy(update={"refresh_reuse_seconds": 0}), world.clock
    )
    begun = await strict.begin(user)
    second = (await strict.refresh(begun.secret, "key")).refresh_token
    strict.clock.turn(milliseconds=1)
    assert await strict.refreshed(begun.secret, "key") == second
    await ends(strict, begun.secret)


async def test_a_token_from_the_future_of_a_restored_database(world: World, user: str) -> None:
    begun = await world.begin(user)
    second = (await world.refresh(begun.secret)).refresh_token
    sessions = world.database.collection(LOGIN_SESSIONS)
    await sessions.update_one({"_id": ObjectId(begun.session.id)}, {"$set": {"counter": 1}})
    await ends(world, second)
    assert (await world.store.get(begun.session.id)).ended_at is None
    assert await world.events() == []
    assert await world.written.revoked() == []


async def test_a_token_that_comes_to_be_the_newest_is_asked_for_again(
    world: World, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a primary was lost that had the rotation, and the next one has it after all."""
    begun = await world.begin(user)
    second = (await world.refresh(begun.secret)).refresh_token
    sessions, read = world.database.collection(LOGIN_SESSIONS), world.store.get
    query = {"_id": ObjectId(begun.session.id)}
    await sessions.update_one(query, {"$set": {"counter": 1}})

    async def recovered(session_id: str) -> LoginSession:
        await sessions.update_one(query, {"$set": {"counter": 2}})
        return await read(session_id)

    monkeypatch.setattr(world.store, "get", recovered)
    with pytest.raises(Unavailable):
        await world.refresh(second)
    assert await world.refreshed(second) == world.tokens.make(begun.session.id, 3)


async def test_a_forged_token_harms_nobody(world: World, user: str) -> None:
    begun = await world.begin(user)
    await world.refresh(begun.secret)
    before = await world.document(begun.session.id)
    forger = RefreshTokens(SECRET[::-1])
    for counter in (0, 1, 2, 3):
        for key in (None, "key"):
            with pytest.raises(Unauthenticated):
                await world.refresh(forger.make(begun.session.id, counter), key)
    assert await world.document(begun.session.id) == before
    assert await world.events() == []
    assert await world.written.revoked() == []


async def test_a_session_that_is_not_there_has_ended(world: World, user: str) -> None:
    await world.begin(user)
    await ends(world, world.tokens.make(new_id(), 1))


async def test_a_cookies_session_has_no_refresh_token(world: World, user: str) -> None:
    begun = await world.begin(user, "cookie")
    before = await world.document(begun.session.id)
    for counter in (0, 1, 2):
        await ends(world, world.tokens.make(begun.session.id, counter))
    assert await world.document(begun.session.id) == before
    assert await world.events() == []


async def test_it_expires_a_week_after_its_last_refresh(world: World, user: str) -> None:
    begun = await world.begin(user)
    world.clock.turn(days=7, milliseconds=-1)
    token = (await world.refresh(begun.secret, "key")).refresh_token
    world.clock.turn(days=7)
    await ends(world, token)
    await ends(world, begun.secret, "key")
    await ends(world, begun.secret)
    assert await world.events() == [], "an expired session is not reused"


async def test_it_expires_a_month_after_the_login(world: World, user: str) -> None:
    begun = await world.begin(user)
    token = begun.secret
    for _ in range(29):
        world.clock.turn(days=1)
        refreshed = await world.refresh(token)
        token = refreshed.refresh_token
    assert refreshed.session.expires_at == begun.session.created_at + timedelta(days=30)
    world.clock.turn(days=1, milliseconds=-1)
    token = (await world.refresh(token)).refresh_token
    world.clock.turn(milliseconds=1)
    await ends(world, token)


async def test_use_is_noted_once_a_minute(world: World, user: str) -> None:
    begun = await world.begin(user)
    world.clock.turn(seconds=59)
    refreshed = await world.refresh(begun.secret, caller=ELSEWHERE)
    assert refreshed.session.last_seen_at == begun.session.created_at
    assert (refreshed.session.address, refreshed.session.user_agent) == (
        PHONE.address,
        PHONE.user_agent,
    )
    world.clock.turn(seconds=1)
    refreshed = await world.refresh(refreshed.refresh_token, caller=ELSEWHERE)
    assert refreshed.session.last_seen_at == world.clock.at
    assert (refreshed.session.address, refreshed.session.user_agent) == (
        ELSEWHERE.address,
        ELSEWHERE.user_agent,
    )
    world.clock.turn(minutes=1)
    unknown = await world.refresh(refreshed.refresh_token, caller=Caller())
    assert (unknown.session.address, unknown.session.user_agent) == (
        ELSEWHERE.address,
        ELSEWHERE.user_agent,
    )
    assert unknown.session.last_seen_at == world.clock.at


async def test_a_caller_of_whom_nothing_was_known(world: World, user: str) -> None:
    begun = await world.begin(user, caller=Caller())
    early = await world.refresh(begun.secret)
    assert (early.session.address, early.session.user_agent) == (None, None)
    world.clock.turn(minutes=1)
    later = await world.refresh(early.refresh_token, caller=replace(PHONE, user_agent="x$y" * 99))
    assert (later.session.address, later.session.user_agent) == (PHONE.address, "x$y" * 50)


async def test_a_value_from_outside_is_no_expression(world: World, user: str) -> None:
    begun = await world.begin(user)
    world.clock.turn(minutes=1)
    refreshed = await world.refresh(begun.secret, caller=Caller("$userId", "$cookieDigest"))
    assert (refreshed.session.address, refreshed.session.user_agent) == (
        "$userId",
        "$cookieDigest",
    )


async def test_a_refresh_gives_the_role_of_now(world: World) -> None:
    user = await world.users.create(role=Role.ADMIN)
    begun = await world.begin(user)

    async def demote(transaction: object) -> None:
        await world.users.change(user, transaction, role=1)  # type: ignore[arg-type]
        await world.sessions.set_role(user, Role.USER, transaction)  # type: ignore[arg-type]

    assert begun.session.role is Role.ADMIN
    await world.transact(demote)
    refreshed = await world.refresh(begun.secret)
    assert refreshed.session.role is Role.USER
    assert (await world.refresh(begun.secret)).session.role is Role.USER


async def test_the_next_user_of_a_user_id_gets_nothing(world: World, user: str) -> None:
    begun, cookie = await world.begin(user), await world.begin(user, "cookie")
    token = (await world.refresh(begun.secret)).refresh_token
    await world.transact(lambda transaction: world.sessions.delete_all(user, transaction))
    await world.database.collection("users").delete_many({})
    other = await world.begin(await world.users.create())
    assert other.session.user_id == begun.session.user_id
    await ends(world, token)
    await ends(world, begun.secret)
    with pytest.raises(SessionEnded):
        await world.sessions.by_cookie(cookie.secret)
    assert sorted(await world.written.revoked()) == sorted([begun.session.id, cookie.session.id])
    assert await world.refreshed(other.secret) is not None
