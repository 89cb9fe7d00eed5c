"""Challenges of logins: who solves one gets the session, once; who ends the login ends the challenge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx
import pytest

from tests.e2e.connector_steps import database
from tests.e2e.factor_steps import (
    NEW,
    App,
    actions,
    challenged,
    entered,
    protected,
    reset,
    turn_on,
    verified,
    verify,
)
from tests.e2e.identity_steps import PASSWORD, Json, bearer, login, refused, register
from tests.e2e.mails import mail, mails, token_of
from tests.stack import Stack

VERIFY = "Verify your email address"
OWN = {"sec-fetch-site": "same-origin"}

End: TypeAlias = Callable[[httpx.AsyncClient, Stack, str, Json, App], Awaitable[None]]


async def by_reset(rest: httpx.AsyncClient, stack: Stack, user_id: str, _: Json, app: App) -> None:
    await reset(rest, stack, user_id)


async def by_a_new_password(
    rest: httpx.AsyncClient, _: Stack, user_id: str, session: Json, app: App
) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    reply = await rest.put("/auth/me/password", json=body, headers=bearer(session))
    assert reply.status_code == 200, reply.text


async def by_removal(
    rest: httpx.AsyncClient, _: Stack, user_id: str, session: Json, app: App
) -> None:
    body = {"code": app.code()}
    reply = await rest.post("/auth/me/totp/remove", json=body, headers=bearer(session))
    assert reply.status_code == 200, reply.text


async def by_verifying_the_address(
    rest: httpx.AsyncClient, stack: Stack, user_id: str, session: Json, app: App
) -> None:
    token = token_of(await mail(stack, f"{user_id}@example.com", VERIFY))
    reply = await rest.post("/auth/verify-email", json={"token": token})
    assert reply.status_code == 200, reply.text


async def by_deletion(
    rest: httpx.AsyncClient, _: Stack, user_id: str, session: Json, app: App
) -> None:
    reply = await rest.delete(f"/users/{user_id}", headers=bearer(session))
    assert reply.status_code == 200, reply.text
    await register(rest, user_id)  # by somebody else


@pytest.mark.parametrize(
    "end",
    [by_reset, by_a_new_password, by_removal, by_verifying_the_address, by_deletion],
    ids=lambda end: end.__name__,
)
async def test_what_ends_the_login_ends_its_challenge(
    later: httpx.AsyncClient, late: Stack, new_id: str, end: End
) -> None:
    session, app, codes = await protected(later, late, new_id)
    if end is by_reset:
        await verified(later, new_id)  # so that the second factor stays
    challenge_id = await challenged(later, new_id)
    await end(later, late, new_id, session, app)
    refused(await verify(later, challenge_id, totp=app.code()), 401, "LOGIN_FAILED")
    refused(await verify(later, challenge_id, recoveryCode=codes[0]), 401, "LOGIN_FAILED")


async def test_a_challenge_is_tried_five_times_within_ten_minutes(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    _, app, codes = await protected(later, late, new_id)
    tried, last, kept = [await challenged(later, new_id) for _ in range(3)]
    for number in range(5):
        code = {"totp": app.wrong()} if number % 2 else {"recoveryCode": "A" * 24}
        refused(await verify(later, tried, **code), 401, "LOGIN_FAILED")
    refused(await verify(later, tried, totp=app.code()), 401, "LOGIN_FAILED")
    for _ in range(4):
        refused(await verify(later, last, recoveryCode="A" * 24), 401, "LOGIN_FAILED")
    assert (await verify(later, last, totp=app.code())).status_code == 200
    refused(await verify(later, last, recoveryCode=codes[0]), 401, "LOGIN_FAILED")  # is used
    turn_on(late, minutes=10)
    refused(await verify(later, kept, recoveryCode=codes[0]), 401, "LOGIN_FAILED")
    # Nothing of that has used the recovery code.
    await entered(later, new_id, recoveryCode=codes[0])


async def test_one_code_in_two_calls_at_once_is_one_session(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    """Whether both are about one challenge or about two, and of each kind of code."""
    session, app, codes = await protected(later, late, new_id)
    for kind, code in (("totp", app.code), ("recoveryCode", iter(codes).__next__)):
        for count in (1, 2):
            challenges = [await challenged(later, new_id) for _ in range(count)] * (3 - count)
            shown = {kind: code()}
            replies = await asyncio.gather(*(verify(later, each, **shown) for each in challenges))
            assert sorted(reply.status_code for reply in replies) == [200, 401], (kind, count)
            (failure,) = [reply for reply in replies if reply.status_code == 401]
            refused(failure, 401, "LOGIN_FAILED")
    listed = await later.get("/auth/sessions", headers=bearer(session))
    assert len(listed.json()["data"]["sessions"]) == 5


async def test_two_codes_for_one_challenge_at_once_are_one_session(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    """And the one that came too late is not used up."""
    _, app, codes = await protected(later, late, new_id)
    for code in codes[:3]:
        challenge_id = await challenged(later, new_id)
        shown = [{"totp": app.code()}, {"recoveryCode": code}]
        replies = await asyncio.gather(*(verify(later, challenge_id, **each) for each in shown))
        assert sorted(reply.status_code for reply in replies) == [200, 401]
        (left,) = [
            each for each, reply in zip(shown, replies, strict=True) if reply.status_code == 401
        ]
        await entered(later, new_id, **left)


async def test_exactly_one_code_is_sent(later: httpx.AsyncClient, new_id: str) -> None:
    for codes in ({}, {"totp": "123456", "recoveryCode": "A" * 24}):
        error = refused(await verify(later, "x", **codes), 400, "VALIDATION_ERROR")
        named = set(codes) or {"totp", "recoveryCode", "dateOfBirth"}
        assert {each["field"] for each in error["details"]} == named


async def test_who_is_not_active_learns_it_after_the_right_code_only(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    _, app, _ = await protected(later, late, new_id)
    challenge_id = await challenged(later, new_id)
    reply = await later.put(f"/users/{new_id}/status", json={"status": "suspended"})
    assert reply.status_code == 200
    refused(await verify(later, challenge_id, totp=app.wrong()), 401, "LOGIN_FAILED")
    refused(await verify(later, challenge_id, totp=app.code()), 403, "USER_NOT_ACTIVE")


async def test_a_cookie_is_given_to_pages_of_this_site_only(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    _, app, _ = await protected(later, late, new_id)
    body = {"username": new_id, "password": PASSWORD, "session": "cookie", "deviceName": "a laptop"}
    async with httpx.AsyncClient(base_url=later.base_url) as browser:
        asked = await browser.post("/auth/login", json=body, headers=OWN)
        assert "set-cookie" not in asked.headers
        challenge_id = asked.json()["data"]["challenge"]["challengeId"]
        code = app.code()
        for headers in (None, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            refused(await verify(browser, challenge_id, headers, totp=code), 403, "CSRF_REFUSED")
        given = await verify(browser, challenge_id, OWN, totp=code)
        assert given.status_code == 200, given.text
        assert given.json()["data"].keys() == {"expiresIn", "sessionId", "user"}
        assert len(given.headers.get_list("set-cookie")) == 2
        session = (await browser.get("/auth/me")).json()["data"]["session"]
        assert (session["kind"], session["amr"]) == ("cookie", ["pwd", "totp"])
        assert session["deviceName"] == "a laptop"


async def test_wrong_codes_are_locked_and_the_owner_is_notified(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session, app, codes = await protected(later, late, new_id)
    notice = "Somebody tries codes of your second factor"

    async def fail(times: int) -> None:
        challenge_id = await challenged(later, new_id)
        for _ in range(times):
            refused(await verify(later, challenge_id, totp=app.wrong()), 401, "LOGIN_FAILED")

    await fail(4)
    assert notice not in [each["subject"] for each in await mails(late, f"{new_id}@example.com")]
    await fail(3)
    await mail(late, f"{new_id}@example.com", notice)
    await fail(3)
    locked = await verify(later, await challenged(later, new_id), totp=app.code())
    refused(locked, 429, "ACCOUNT_LOCKED")
    assert 0 < int(locked.headers["retry-after"]) <= 900
    body = {"code": app.code()}
    denied = await later.post("/auth/me/totp/remove", json=body, headers=bearer(session))
    refused(denied, 429, "ACCOUNT_LOCKED")
    found = await actions(later, new_id)
    assert (found.count("login.locked"), found.count("login.failed")) == (1, 2)
    subjects = [each["subject"] for each in await mails(late, f"{new_id}@example.com")]
    assert subjects.count(notice) == 1
    # The lock ends by itself, and a recovery code ends it at once.
    turn_on(late, minutes=15)
    await fail(1)
    await entered(later, new_id, totp=app.code())
    await fail(5)
    await fail(5)
    await entered(later, new_id, recoveryCode=codes[0])
    await entered(later, new_id, totp=app.code())


async def test_a_second_factor_from_before_the_address_was_anybodys_ends(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    """Somebody registers an address that is not theirs, and adds a second factor."""
    for number, (way, password) in enumerate(
        ((by_verifying_the_address, PASSWORD), (by_reset, NEW))
    ):
        user_id = f"{new_id}_{number}"
        session, app, _ = await protected(later, late, user_id)
        await way(later, late, user_id, session, app)
        data = await login(later, user_id, password=password)
        assert (data["user"]["mfaEnabled"], data["user"]["emailVerified"]) == (False, True)
        assert (await actions(later, user_id)).count("user.totp_removed") == 1


async def test_a_user_who_is_deleted_leaves_no_failures_behind(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session, app, _ = await protected(later, late, new_id)
    challenge_id = await challenged(later, new_id)
    async with database(late) as documents:
        failures = documents["login_failures"]
        before = await failures.count_documents({"tries": {"$exists": True}})
        refused(await verify(later, challenge_id, totp=app.wrong()), 401, "LOGIN_FAILED")
        assert await failures.count_documents({"tries": {"$exists": True}}) == before + 1
        await by_deletion(later, late, new_id, session, app)
        assert await failures.count_documents({"tries": {"$exists": True}}) == before
