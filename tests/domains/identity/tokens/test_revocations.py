"""What ends before its time: on this host at once, on others once they read."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from server.core.errors import SessionEnded, TokenExpired
from server.core.principals import Role, SignedIn
from server.domains.identity.tokens import revocations
from server.storage.driver import ClientSession
from tests.domains.identity.tokens.endings import (
    ENDINGS,
    LONG,
    RAVI,
    Ending,
    end_session,
    end_user,
    expire_tokens,
    made,
)
from tests.domains.identity.tokens.workers import ASHA, TurnableClock, Worker

every_ending = pytest.mark.parametrize(("ending", "error"), ENDINGS)


@every_ending
async def test_on_this_host_it_ends_at_once(
    hosts: tuple[Worker, Worker, Worker], ending: Ending, error: type[Exception]
) -> None:
    one, beside, _ = hosts
    known, unseen, of_another = await one.issue(), await one.issue(), await one.issue(RAVI)
    bearers = [await each.tokens.by_token(known) for each in (one, beside)]
    await beside.tokens.by_token(of_another)
    await made(one, ending)
    for each, bearer in zip((one, beside), bearers, strict=True):
        for token in (known, unseen):
            with pytest.raises(error):
                await each.tokens.by_token(token)
        with pytest.raises(error):
            each.tokens.check(bearer)
        await each.tokens.by_token(of_another)


@every_ending
async def test_elsewhere_it_ends_when_it_is_read(
    hosts: tuple[Worker, Worker, Worker],
    ending: Ending,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, _, elsewhere = hosts
    monkeypatch.setattr(revocations, "FRESH_SECONDS", LONG)
    token, of_another = await one.issue(), await one.issue(RAVI)
    bearer = await elsewhere.tokens.by_token(token)
    await made(one, ending)
    assert elsewhere.tokens.are_fresh
    assert await elsewhere.tokens.by_token(token) is bearer, "it has not read since"
    monkeypatch.setattr(revocations, "FRESH_SECONDS", 0.0)
    await elsewhere.tokens.read()
    with pytest.raises(error):
        elsewhere.tokens.check(bearer)
    with pytest.raises(error):
        await elsewhere.tokens.by_token(token)
    await elsewhere.tokens.by_token(of_another)


@pytest.mark.parametrize("ending", [end_user, expire_tokens])
async def test_what_is_issued_afterwards_is_accepted(
    hosts: tuple[Worker, Worker, Worker], clock: TurnableClock, ending: Ending
) -> None:
    one, beside, _ = hosts
    await made(one, ending)
    clock.turn(timedelta(milliseconds=1))
    later = await beside.issue(replace(ASHA, session_id="s-3", role=Role.USER))
    for each in hosts:
        assert (await each.tokens.by_token(later)).role is Role.USER


async def test_a_token_of_the_same_moment_is_from_before(
    hosts: tuple[Worker, Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, beside, _ = hosts
    moment = one.kernel.clock.now()
    monkeypatch.setattr(one.kernel.clock, "now", lambda: moment)
    token = await one.issue()
    await made(one, expire_tokens)
    with pytest.raises(TokenExpired):
        await beside.tokens.by_token(token)


async def test_a_token_is_of_the_moment_as_of_which_its_facts_were_read(
    hosts: tuple[Worker, Worker, Worker],
) -> None:
    """The role was read, then changed, and only then the token was issued."""
    one, beside, _ = hosts
    read_at = one.kernel.clock.now()
    await made(one, expire_tokens)
    token, _ = await beside.tokens.issue(ASHA, as_of=read_at)
    with pytest.raises(TokenExpired):
        await beside.tokens.by_token(token)


async def test_the_latest_moment_counts_in_whatever_order_they_are_read(
    hosts: tuple[Worker, Worker, Worker], clock: TurnableClock
) -> None:
    one, beside, elsewhere = hosts
    await made(one, expire_tokens)
    clock.turn(timedelta(minutes=1))
    token = await one.issue()
    clock.turn(timedelta(minutes=2))
    await made(one, expire_tokens)
    clock.turn(timedelta(0))
    await made(one, expire_tokens)
    clock.turn(timedelta(minutes=2))
    for each in (beside, elsewhere):
        with pytest.raises(TokenExpired):
            await each.tokens.by_token(token)


async def test_a_session_that_ended_is_said_to_have(hosts: tuple[Worker, Worker, Worker]) -> None:
    """A client that refreshes its token would otherwise try that first."""
    one, beside, _ = hosts
    token = await one.issue()
    await made(one, expire_tokens)
    await made(one, end_session)
    with pytest.raises(SessionEnded):
        await beside.tokens.by_token(token)


async def test_a_transaction_that_fails_ends_nothing(hosts: tuple[Worker, Worker, Worker]) -> None:
    one, beside, _ = hosts
    token = await one.issue()

    async def failing(session: ClientSession) -> None:
        await end_session(one, session)
        raise LookupError

    with one.revoke.announced(ASHA.user), suppress(LookupError):
        await one.kernel.database.transact(failing)
    await beside.tokens.by_token(token)


async def test_a_cookie_ends_with_its_session_and_its_user(
    hosts: tuple[Worker, Worker, Worker], clock: TurnableClock
) -> None:
    one, beside, _ = hosts
    now = clock.now()
    later = now + timedelta(hours=24)
    cookie = SignedIn(ASHA.user, "asha", "c-1", Role.USER, "cookie", ("otp",), now, later)
    newer = replace(cookie, session_id="c-2", auth_time=now + timedelta(hours=1))
    await made(one, expire_tokens)
    await beside.tokens._revocations.read_again()
    beside.tokens.check(cookie)
    await made(one, end_user)
    await beside.tokens._revocations.read_again()
    with pytest.raises(SessionEnded):
        beside.tokens.check(cookie)
    beside.tokens.check(newer)
    clock.turn(timedelta(hours=25))
    with pytest.raises(SessionEnded):
        beside.tokens.check(newer)
