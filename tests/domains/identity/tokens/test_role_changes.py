"""A change of role: tokens that were made of the old one expire, whenever it was read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from server.core.errors import TokenExpired
from server.core.principals import Role
from server.core.users import User
from server.domains.identity.sessions.store import SessionStore
from server.domains.identity.signin.dependents import RoleDependents
from server.domains.identity.tokens.model import CookieBearer
from server.storage.driver import ClientSession, Database
from tests.domains.identity.tokens.workers import ASHA, TurnableClock, Worker, worker

MOMENT = timedelta(seconds=1)


def dependents(here: Worker, database: Database, clock: TurnableClock) -> RoleDependents:
    return RoleDependents(database, SessionStore(database), here.revoke, clock)


def demoted(now: datetime) -> User:
    return User(id=ASHA.user, user_id=ASHA.user_id, role="user", created_at=now, updated_at=now)


async def test_a_refresh_between_the_write_and_the_commit_gives_nothing_that_lasts(
    database: Database, clock: TurnableClock
) -> None:
    here, user = worker(database, clock), demoted(clock.now())
    follow = dependents(here, database, clock)
    before, between = await here.issue(), ""

    async def work(session: ClientSession) -> bool:
        nonlocal between
        await follow.role_changed(user, session)
        clock.turn(MOMENT)  # a refresh reads what is committed: the role that there was
        between = await here.issue()
        return True

    await database.transact(work)
    follow.committed(user)
    with pytest.raises(TokenExpired):
        await here.tokens.by_token(before)
    assert (await here.tokens.by_token(between)).role is Role.MODERATOR
    await follow.after_role_change(user)
    follow.committed(user)
    with pytest.raises(TokenExpired):
        await here.tokens.by_token(between)
    clock.turn(2 * MOMENT)
    after = await here.issue(replace(ASHA, role=Role.USER))
    assert (await here.tokens.by_token(after)).role is Role.USER


async def test_a_stream_with_a_cookie_ends_as_well(
    database: Database, clock: TurnableClock
) -> None:
    here, user = worker(database, clock), demoted(clock.now())

    def bearer() -> CookieBearer:
        now = clock.now()
        return CookieBearer(
            ASHA.user, ASHA.user_id, "s", ASHA.role, "cookie", ("pwd",), now, now + 60 * MOMENT, now
        )

    open_since, other = bearer(), replace(bearer(), user="665f1f77bcf86cd799439012")
    here.tokens.check(open_since)
    await dependents(here, database, clock).after_role_change(user)
    await here.tokens.read()
    here.tokens.check(other)
    with pytest.raises(TokenExpired, match="role"):
        here.tokens.check(open_since)
    clock.turn(MOMENT)
    here.tokens.check(bearer())  # the next call has read the new role
