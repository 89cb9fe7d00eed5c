"""The user of a session shows again who it is, for what needs a recent login."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.e2e.connector_steps import database
from tests.e2e.factor_steps import (
    App,
    actions,
    confirmed,
    protected,
    started,
    turn_on,
    verified,
)
from tests.e2e.identity_steps import PASSWORD, Json, bearer, login, refused, signed_in
from tests.e2e.mails import mail, mails
from tests.stack import Stack

CODE = re.compile(r"\b(\d{6})\b")
WRONG = {"password": "wrong"}
SUBJECT = "Your code"


async def start(rest: httpx.AsyncClient, session: Json, **fields: str) -> httpx.Response:
    return await rest.post("/auth/reauthenticate/start", json=fields, headers=bearer(session))


async def prove(rest: httpx.AsyncClient, session: Json, **shown: str) -> httpx.Response:
    return await rest.post("/auth/reauthenticate", json=shown, headers=bearer(session))


async def refreshed(rest: httpx.AsyncClient, session: Json) -> Json:
    reply = await rest.post("/auth/refresh", json={"refreshToken": session["refreshToken"]})
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def add_factor(rest: httpx.AsyncClient, session: Json) -> httpx.Response:
    """A call that needs a recent login."""
    return await rest.post("/auth/me/totp", json={}, headers=bearer(session))


async def sent_code(
    rest: httpx.AsyncClient, stack: Stack, session: Json, to: str, count: int = 1
) -> dict[str, str]:
    """A challenge and the code of the mail that was sent for it."""
    reply = await start(rest, session)
    assert reply.status_code == 200, reply.text
    found = CODE.search((await mail(stack, to, SUBJECT, count))["text"])
    assert found is not None
    return {"challengeId": reply.json()["data"]["challengeId"], "code": found[1]}


async def aged(rest: httpx.AsyncClient, stack: Stack, session: Json) -> Json:
    """The same session once its login is not recent any more."""
    turn_on(stack, minutes=11)
    return await refreshed(rest, session)


async def test_a_login_that_is_not_recent_becomes_so(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session = await aged(later, late, await signed_in(later, new_id))
    for verb, path in (
        ("post", "/auth/me/totp"),
        ("post", "/auth/me/totp/confirm"),
        ("post", "/auth/me/totp/remove"),
        ("post", "/auth/me/recovery-codes"),
        ("delete", f"/users/{new_id}"),
    ):
        denied = await later.request(verb, path, headers=bearer(session))
        assert refused(denied, 401, "RECENT_LOGIN_REQUIRED")["metadata"] == {"maxAge": "600"}
        challenge = 'Bearer error="insufficient_user_authentication", max_age="600"'
        assert denied.headers["www-authenticate"] == challenge
    reply = await prove(later, session, password=PASSWORD)
    assert (reply.status_code, reply.json()["message"]) == (200, "Reauthenticated")
    # The access token says what was true when it was made.
    refused(await add_factor(later, session), 401, "RECENT_LOGIN_REQUIRED")
    session = await refreshed(later, session)
    assert (await add_factor(later, session)).status_code == 200


async def test_with_a_cookie_it_is_recent_at_once(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    await signed_in(later, new_id)
    body = {"username": new_id, "password": PASSWORD, "session": "cookie"}
    own = {"sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=later.base_url, headers=own) as browser:
        assert (await browser.post("/auth/login", json=body)).status_code == 200
        turn_on(late, minutes=11)
        refused(await browser.post("/auth/me/totp", json={}), 401, "RECENT_LOGIN_REQUIRED")
        shown = {"password": PASSWORD}
        stranger = {"sec-fetch-site": "cross-site"}
        denied = await browser.post("/auth/reauthenticate", json=shown, headers=stranger)
        refused(denied, 403, "CSRF_REFUSED")
        assert (await browser.post("/auth/reauthenticate", json=shown)).status_code == 200
        assert (await browser.post("/auth/me/totp", json={})).status_code == 200


async def test_the_app_shows_who_it_is(later: httpx.AsyncClient, late: Stack, new_id: str) -> None:
    session = await signed_in(later, new_id)
    unprotected = App(late, "A" * 32)
    refused(await prove(later, session, totp=unprotected.code()), 401, "LOGIN_FAILED")
    app = await started(later, late, session)
    refused(await prove(later, session, totp=app.code()), 401, "LOGIN_FAILED")  # not confirmed
    await confirmed(later, app, session)
    session = await aged(later, late, session)
    refused(await prove(later, session, totp=app.wrong()), 401, "LOGIN_FAILED")
    code = app.code()
    assert (await prove(later, session, totp=code)).status_code == 200
    refused(await prove(later, session, totp=code), 401, "LOGIN_FAILED")
    session = await refreshed(later, session)
    renewed = await later.post("/auth/me/recovery-codes", json={}, headers=bearer(session))
    assert renewed.status_code == 200, renewed.text


async def test_a_code_by_mail_is_good_for_its_session_once(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    to = f"{new_id}@example.com"
    session = await signed_in(later, new_id)
    for fields in ({}, {"channel": "email"}, {"channel": "phone"}):
        error = refused(await start(later, session, **fields), 400, "VALIDATION_ERROR")
        assert [each["field"] for each in error["details"]] == ["channel"]
    await verified(later, new_id)
    refused(await start(later, session, channel="phone"), 400, "VALIDATION_ERROR")
    other = await login(later, new_id)
    sent = await sent_code(later, late, session, to)
    assert new_id not in (await mail(late, to, SUBJECT))["subject"]
    wrong = f"{(int(sent['code']) + 1) % 1_000_000:06}"
    refused(await prove(later, session, **{**sent, "code": wrong}), 401, "LOGIN_FAILED")
    refused(await prove(later, other, **sent), 401, "LOGIN_FAILED")
    stranger = await signed_in(later, f"{new_id}_b")
    refused(await prove(later, stranger, **sent), 401, "LOGIN_FAILED")
    session = await aged(later, late, session)
    refused(await prove(later, session, **sent), 401, "LOGIN_FAILED")  # of 5 minutes

    turn_on(late, hours=1)
    session = await refreshed(later, session)
    sent = await sent_code(later, late, session, to, 2)
    assert (await prove(later, session, **sent)).status_code == 200
    refused(await prove(later, session, **sent), 401, "LOGIN_FAILED")
    assert (await add_factor(later, await refreshed(later, session))).status_code == 200
    assert (await actions(later, new_id)).count("otp.sent") == 2


async def test_an_address_gets_three_codes_an_hour(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    to = f"{new_id}@example.com"
    session = await signed_in(later, new_id)
    await verified(later, new_id)
    waits = [(await start(later, session)).json()["data"]["retryAfter"] for _ in range(3)]
    assert waits[:2] == [0, 0]
    assert 3_500 < waits[2] <= 3_600
    for _ in range(2):
        limited = await start(later, session)
        refused(limited, 429, "RATE_LIMITED")
        assert 3_500 < int(limited.headers["retry-after"]) <= 3_600
    await mail(late, to, SUBJECT, 3)
    turn_on(late, hours=1)
    session = await refreshed(later, session)
    assert (await start(later, session)).status_code == 200
    await mail(late, to, SUBJECT, 4)


async def test_a_code_goes_to_the_phone_that_was_verified(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    number = f"+9198765{int(new_id[-5:], 16) % 100_000:05}"
    session = await signed_in(later, new_id)
    await verified(later, new_id)
    async with database(late) as documents:
        await documents["credentials"].update_one(
            {"userId": new_id},
            {"$set": {"phone": {"number": number, "provedAt": (await _now(documents))}}},
        )
    reply = await start(later, session)
    assert reply.status_code == 200, reply.text
    text = (await mail(late, number, ""))["text"]
    found = CODE.search(text)
    assert found is not None
    sent = {"challengeId": reply.json()["data"]["challengeId"], "code": found[1]}
    # The limits are those of all codes to this number, whoever asks for them.
    refused(await start(later, session), 429, "RATE_LIMITED")
    limited = await later.post("/auth/send-otp", json={"phoneNumber": number})
    refused(limited, 429, "RATE_LIMITED")
    signing_in = await later.post("/auth/verify-otp", json={**sent, "session": "token"})
    refused(signing_in, 401, "LOGIN_FAILED")
    assert (await prove(later, session, **sent)).status_code == 200
    assert SUBJECT not in [each["subject"] for each in await mails(late, f"{new_id}@example.com")]


async def _now(documents: Any) -> Any:
    return (await documents.command("hello"))["localTime"]


@pytest.mark.parametrize(
    ("shown", "named"),
    [
        ({}, {"password", "totp", "challengeId", "code"}),
        ({"password": "x", "totp": "123456"}, {"password", "totp"}),
        ({"code": "123456"}, {"code"}),
        ({"challengeId": "x"}, {"challengeId"}),
        ({"challengeId": "x", "code": "123456", "totp": "123456"}, {"challengeId", "code", "totp"}),
    ],
    ids=["nothing", "two", "code", "challenge", "three"],
)
async def test_one_thing_is_shown(
    later: httpx.AsyncClient, new_id: str, shown: dict[str, str], named: set[str]
) -> None:
    session = await signed_in(later, new_id)
    error = refused(await prove(later, session, **shown), 400, "VALIDATION_ERROR")
    assert {each["field"] for each in error["details"]} == named


async def test_failures_lock_the_session_alone(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session = await signed_in(later, new_id)
    other = await login(later, new_id)
    for number in range(5):
        shown = WRONG if number % 2 else {"challengeId": "x", "code": "123456"}
        refused(await prove(later, session, **shown), 401, "LOGIN_FAILED")
    locked = await prove(later, session, password=PASSWORD)
    refused(locked, 429, "ACCOUNT_LOCKED")
    assert 0 < int(locked.headers["retry-after"]) <= 60
    assert "login.failed" in await actions(later, new_id)
    assert (await prove(later, other, password=PASSWORD)).status_code == 200
    await login(later, new_id)
    turn_on(late, minutes=1)
    assert (await prove(later, session, password=PASSWORD)).status_code == 200


async def test_challenges_of_one_kind_never_serve_another(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session, app, _ = await protected(later, late, new_id)
    await verified(later, new_id)
    sent = await sent_code(later, late, session, f"{new_id}@example.com")
    body = {"challengeId": sent["challengeId"], "totp": app.code()}
    refused(await later.post("/auth/second-factor", json=body), 401, "LOGIN_FAILED")
    login_challenge = (await login(later, new_id))["challenge"]["challengeId"]
    shown = {**sent, "challengeId": login_challenge}
    refused(await prove(later, session, **shown), 401, "LOGIN_FAILED")
    assert (await prove(later, session, **sent)).status_code == 200


async def test_a_new_password_ends_the_codes_that_were_sent(
    later: httpx.AsyncClient, late: Stack, new_id: str
) -> None:
    session = await signed_in(later, new_id)
    await verified(later, new_id)
    sent = await sent_code(later, late, session, f"{new_id}@example.com")
    body = {"currentPassword": PASSWORD, "newPassword": "an even better battery"}
    changed = await later.put("/auth/me/password", json=body, headers=bearer(session))
    assert changed.status_code == 200, changed.text
    refused(await prove(later, session, **sent), 401, "LOGIN_FAILED")


async def test_nobody_calls_on_a_users_behalf(later: httpx.AsyncClient, new_id: str) -> None:
    await signed_in(later, new_id)
    behalf = {"x-on-behalf-of": new_id}
    for path in ("reauthenticate", "reauthenticate/start", "me/totp"):
        denied = await later.post(f"/auth/{path}", json={}, headers=behalf)
        refused(denied, 403, "PERMISSION_DENIED")
        refused(await later.post(f"/auth/{path}", json={}), 401, "UNAUTHENTICATED")
