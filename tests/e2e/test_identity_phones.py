"""Signing in with a code by SMS, over REST; the SMS come to the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.e2e.connector_steps import Documents, database
from tests.e2e.identity_steps import PASSWORD, bearer, refused, register
from tests.e2e.mails import mail, token_of
from tests.e2e.phones import (
    a_minute_later,
    calling,
    code_of,
    has_number,
    new_number,
    otp,
    sent,
    signed_in_by_phone,
    texts,
)
from tests.stack import Stack

OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def caller(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(stack) as client:
        yield client


@pytest.fixture
async def documents(stack: Stack) -> AsyncIterator[Documents]:
    async with database(stack) as opened:
        yield opened


async def test_a_number_that_nobody_has_makes_a_user_once(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    asked = await caller.post("/auth/send-otp", json={"phoneNumber": number})
    assert asked.headers["cache-control"] == "no-store"
    data = asked.json()["data"]
    assert (asked.json()["message"], data["retryAfter"]) == ("A code is on its way", 60)
    left = datetime.fromisoformat(data["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    code = await code_of(stack, number)
    body = {"challengeId": data["challengeId"], "code": code, "session": "token"}
    replies = await asyncio.gather(
        *(caller.post("/auth/verify-otp", json={**body, "deviceName": "phone"}) for _ in range(8))
    )
    (signed_in,) = [reply for reply in replies if reply.status_code == 200]
    for reply in replies:
        if reply is not signed_in:
            refused(reply, 401, "LOGIN_FAILED")
    session = signed_in.json()["data"]
    assert (signed_in.json()["message"], session["created"]) == ("Signed in", True)
    user = session["user"]
    assert "email" not in user
    assert user["userId"].startswith("u_")
    assert (user["isActive"], user["phoneVerified"]) == (True, True)
    assert user["profile"] == {"phoneNumber": number}
    me = (await caller.get("/auth/me", headers=bearer(session))).json()["data"]
    assert me["loginMethods"] == {"password": False, "phone": True, "external": []}
    assert (me["session"]["amr"], me["session"]["deviceName"]) == (["otp"], "phone")

    await a_minute_later(documents)
    again = await signed_in_by_phone(stack, caller, number, 2)
    assert "created" not in again
    assert again["user"]["id"] == user["id"]


async def test_two_codes_at_once_make_one_user(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    bodies = []
    for count in (1, 2, 3):
        await a_minute_later(documents)
        bodies.append({**await otp(stack, caller, number, count), "session": "token"})
    replies = await asyncio.gather(*(caller.post("/auth/verify-otp", json=body) for body in bodies))
    assert {reply.status_code for reply in replies} == {200}, [reply.text for reply in replies]
    data = [reply.json()["data"] for reply in replies]
    assert len({each["user"]["id"] for each in data}) == 1
    assert [each.get("created") for each in data].count(True) == 1


async def test_what_is_wrong_with_a_code_gets_one_reply(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number, other = new_number(), new_number()
    first = {**await otp(stack, caller, number), "session": "token"}
    second = {**await otp(stack, caller, other), "session": "token"}
    wrong = {**first, "code": f"{(int(first['code']) + 1) % 10**6:06}"}
    bodies = [
        wrong,
        {**first, "challengeId": second["challengeId"]},
        {**first, "challengeId": "x" * 43},
    ]
    replies = [await caller.post("/auth/verify-otp", json=body) for body in bodies]
    await documents["challenges"].update_one(
        {"_id": second["challengeId"]}, {"$set": {"expiresAt": datetime.now(UTC)}}
    )
    replies.append(await caller.post("/auth/verify-otp", json=second))  # expired
    assert (await caller.post("/auth/verify-otp", json=first)).status_code == 200
    replies.append(await caller.post("/auth/verify-otp", json=first))  # used
    assert len({refused(reply, 401, "LOGIN_FAILED")["message"] for reply in replies}) == 1
    malformed = await caller.post("/auth/verify-otp", json={**first, "code": "12345"})
    (detail,) = refused(malformed, 400, "VALIDATION_ERROR")["details"]
    assert detail == {"field": "code", "message": "must be 6 digits"}


async def test_a_code_is_tried_five_times(caller: httpx.AsyncClient, stack: Stack) -> None:
    body = {**await otp(stack, caller, new_number()), "session": "token"}
    wrong = {**body, "code": f"{(int(body['code']) + 1) % 10**6:06}"}
    for _ in range(5):
        refused(await caller.post("/auth/verify-otp", json=wrong), 401, "LOGIN_FAILED")
    refused(await caller.post("/auth/verify-otp", json=body), 401, "LOGIN_FAILED")


async def test_a_number_has_three_codes_at_a_time(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    """A fourth would have to end the one that its owner is about to type."""
    number = new_number()
    first = {**await otp(stack, caller, number), "session": "token"}
    at_once = await caller.post("/auth/send-otp", json={"phoneNumber": number})
    refused(at_once, 429, "RATE_LIMITED")
    assert 0 < int(at_once.headers["retry-after"]) <= 60
    for _ in range(2):
        await a_minute_later(documents)
        last = await sent(caller, number)
    assert 240 < last["retryAfter"] <= 300
    await a_minute_later(documents)
    fourth = await caller.post("/auth/send-otp", json={"phoneNumber": number})
    refused(fourth, 429, "RATE_LIMITED")
    assert 240 < int(fourth.headers["retry-after"]) <= 300
    # Those before it stay good, and one that was used makes room.
    assert (await caller.post("/auth/verify-otp", json=first)).status_code == 200
    await sent(caller, number)


async def test_a_number_s_limits_are_those_of_a_number_that_nobody_has(
    caller: httpx.AsyncClient, stack: Stack
) -> None:
    known, unknown = new_number(), new_number()
    await signed_in_by_phone(stack, caller, known)
    await sent(caller, unknown)
    errors = []
    for number in (known, unknown):
        reply = await caller.post("/auth/send-otp", json={"phoneNumber": number})
        errors.append(refused(reply, 429, "RATE_LIMITED")["message"])
    assert errors[0] == errors[1]
    assert len(await texts(stack, known)) == 1


async def test_an_address_reaches_twenty_numbers(caller: httpx.AsyncClient, stack: Stack) -> None:
    numbers = [new_number() for _ in range(21)]
    for number in numbers[:20]:
        await sent(caller, number)
    reply = await caller.post("/auth/send-otp", json={"phoneNumber": numbers[20]})
    refused(reply, 429, "RATE_LIMITED")
    assert int(reply.headers["retry-after"]) > 86_000
    async with calling(stack) as other:
        await sent(other, numbers[20])


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("9876543210", "country code"),
        ("+91-98765", "valid"),
        ("+912222222222", "mobile"),
        ("+6581234567", "IN"),
        ("+91 98765 43210 ext. 5", "valid"),
    ],
    ids=["no country code", "too short", "no mobile", "another country", "extension"],
)
async def test_a_number_that_gets_no_sms_is_named(
    caller: httpx.AsyncClient, number: str, says: str
) -> None:
    reply = await caller.post("/auth/send-otp", json={"phoneNumber": number})
    (detail,) = refused(reply, 400, "VALIDATION_ERROR")["details"]
    assert detail["field"] == "phoneNumber"
    assert says in detail["message"]


async def test_a_number_typed_in_another_way_is_the_same(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    session = await signed_in_by_phone(stack, caller, number)
    await a_minute_later(documents)
    typed = f"+91 0{number[3:8]}-{number[8:]}"
    challenge = await sent(caller, typed)
    body = {"challengeId": challenge["challengeId"], "code": await code_of(stack, number, 2)}
    reply = await caller.post("/auth/verify-otp", json={**body, "session": "token"})
    assert reply.json()["data"]["user"]["id"] == session["user"]["id"]


async def test_over_rest_a_code_gives_a_cookie(stack: Stack) -> None:
    async with calling(stack) as browser:
        body = await otp(stack, browser, new_number())
        refused(await browser.post("/auth/verify-otp", json=body), 403, "CSRF_REFUSED")
        reply = await browser.post("/auth/verify-otp", json=body, headers=OWN)
        assert reply.status_code == 200, reply.text
        assert reply.json()["data"].keys() == {"expiresIn", "sessionId", "user", "created"}
        me = (await browser.get("/auth/me")).json()["data"]
        assert me["session"]["kind"] == "cookie"


async def test_a_suspended_user_is_recognised_by_the_right_code_only(
    caller: httpx.AsyncClient, rest: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    session = await signed_in_by_phone(stack, caller, number)
    user_id = session["user"]["userId"]
    await rest.put(f"/users/{user_id}/status", json={"status": "suspended"})
    await a_minute_later(documents)
    body = {**await otp(stack, caller, number, 2), "session": "token"}
    wrong = {**body, "code": f"{(int(body['code']) + 1) % 10**6:06}"}
    refused(await caller.post("/auth/verify-otp", json=wrong), 401, "LOGIN_FAILED")
    refused(await caller.post("/auth/verify-otp", json=body), 403, "USER_NOT_ACTIVE")


async def test_a_deleted_user_s_number_is_free(
    caller: httpx.AsyncClient, rest: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    first = await signed_in_by_phone(stack, caller, number)
    gone = await caller.delete(f"/users/{first['user']['userId']}", headers=bearer(first))
    assert gone.status_code == 200, gone.text
    await a_minute_later(documents)
    second = await signed_in_by_phone(stack, caller, number, 2)
    assert second["created"] is True
    assert second["user"]["id"] != first["user"]["id"]


async def test_a_verified_number_names_its_user_at_a_login_with_a_password(
    caller: httpx.AsyncClient, stack: Stack
) -> None:
    number = new_number()
    session = await signed_in_by_phone(stack, caller, number)
    password = {"newPassword": PASSWORD}
    changed = await caller.put("/auth/me/password", json=password, headers=bearer(session))
    assert changed.status_code == 200, changed.text
    for typed in (number, f"{number[:3]}-{number[3:]}"):
        body = {"phoneNumber": typed, "password": PASSWORD}
        reply = await caller.post("/auth/login", json=body)
        assert reply.json()["data"]["user"]["id"] == session["user"]["id"], reply.text
    for typed in (new_number(), "nobody"):
        body = {"phoneNumber": typed, "password": PASSWORD}
        refused(await caller.post("/auth/login", json=body), 401, "LOGIN_FAILED")


async def test_whoever_verifies_an_address_ends_the_number_from_before(
    caller: httpx.AsyncClient,
    rest: httpx.AsyncClient,
    stack: Stack,
    documents: Documents,
    new_id: str,
) -> None:
    """Somebody registers another's address, with a phone of their own, and waits."""
    for number, path in ((new_number(), "verify"), (new_number(), "reset")):
        user_id = f"{new_id}_{path}"
        address = f"{user_id}@example.com"
        await register(rest, user_id)
        await has_number(documents, user_id, number, days=1)
        if path == "verify":
            token = token_of(await mail(stack, address, "Verify your email address"))
            await rest.post("/auth/verify-email", json={"token": token})
        else:
            await rest.post("/auth/forgot-password", json={"email": address})
            token = token_of(await mail(stack, address, "Set a new password"))
            body = {"token": token, "password": "an even better battery"}
            await rest.post("/auth/reset-password", json=body)
        stranger = await signed_in_by_phone(stack, caller, number)
        assert stranger["user"]["userId"] != user_id
