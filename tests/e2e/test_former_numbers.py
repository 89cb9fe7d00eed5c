"""Numbers are given to new people, who must not find what the old ones had; nor may those be shut out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import httpx
import pyotp
import pytest
from finlink.identity.v1 import auth_service_pb2_grpc, factors_pb2, phone_pb2

from tests.e2e.connector_steps import Documents, database
from tests.e2e.identity_steps import Json, bearer, login, refused, register
from tests.e2e.mails import mail
from tests.e2e.phones import (
    a_minute_later,
    calling,
    code_of,
    has_number,
    new_number,
    otp,
    sent,
    signed_in_by_phone,
)
from tests.stack import Stack

BORN, NOT_BORN = "1990-04-23", "1990-04-24"


@pytest.fixture
async def caller(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(stack) as client:
        yield client


@pytest.fixture
async def documents(stack: Stack) -> AsyncIterator[Documents]:
    async with database(stack) as opened:
        yield opened


async def test_a_number_that_was_not_proved_for_long_opens_no_account_with_another_way_in(
    caller: httpx.AsyncClient,
    rest: httpx.AsyncClient,
    stack: Stack,
    documents: Documents,
    new_id: str,
) -> None:
    """Numbers are given to new people, who must not find what the old ones had."""
    number = new_number()
    await register(rest, new_id)
    await has_number(documents, new_id, number, days=179)
    own = await signed_in_by_phone(stack, caller, number)
    assert own["user"]["userId"] == new_id

    await has_number(documents, new_id, number, days=181)
    await a_minute_later(documents)
    new = await signed_in_by_phone(stack, caller, number, 2)
    assert (new["created"], new["user"]["phoneVerified"]) == (True, True)
    assert new["user"]["userId"] != new_id
    await mail(stack, f"{new_id}@example.com", "A phone number was removed from your account")
    old = await login(rest, new_id)
    assert old["user"]["phoneVerified"] is False
    me = (await rest.get("/auth/me", headers=bearer(old))).json()["data"]
    assert me["loginMethods"]["phone"] is False


async def owned(
    stack: Stack, rest: httpx.AsyncClient, documents: Documents, number: str, born: str | None
) -> Json:
    """The session of a user with nothing but a number, which was last proved 181 days ago."""
    session = await signed_in_by_phone(stack, rest, number)
    if born is not None:
        changed = await rest.put("/auth/me", json={"dateOfBirth": born}, headers=bearer(session))
        assert changed.status_code == 200, changed.text
    await has_number(documents, session["user"]["userId"], number, days=181)
    await a_minute_later(documents)
    return session


async def challenged(stack: Stack, rest: httpx.AsyncClient, number: str, count: int = 2) -> Json:
    """The challenge that a right code gets."""
    body = {**await otp(stack, rest, number, count), "session": "token"}
    reply = await rest.post("/auth/verify-otp", json=body)
    assert (reply.status_code, reply.json()["message"]) == (200, "Second factor required")
    data = reply.json()["data"]
    assert data.keys() == {"challenge"}
    assert data["challenge"]["methods"] == ["date_of_birth"]
    refused(await rest.post("/auth/verify-otp", json=body), 401, "LOGIN_FAILED")
    return dict(data["challenge"])


async def solve(rest: httpx.AsyncClient, challenge: Json, **solution: str) -> httpx.Response:
    body = {"challengeId": challenge["challengeId"], **solution}
    return await rest.post("/auth/second-factor", json=body)


async def test_the_owner_of_a_number_alone_names_the_date_of_birth(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    old = await owned(stack, caller, documents, number, BORN)
    challenge = await challenged(stack, caller, number)
    for solution in ({"dateOfBirth": NOT_BORN}, {"totp": "123456"}):
        refused(await solve(caller, challenge, **solution), 401, "LOGIN_FAILED")
    none = await solve(caller, challenge)
    assert {each["field"] for each in refused(none, 400, "VALIDATION_ERROR")["details"]} == {
        "totp", "recoveryCode", "dateOfBirth",
    }  # fmt: skip
    reply = await solve(caller, challenge, dateOfBirth=BORN)
    session = reply.json()["data"]
    assert session["user"]["id"] == old["user"]["id"], reply.text
    assert "created" not in session
    me = (await caller.get("/auth/me", headers=bearer(session))).json()["data"]
    assert me["session"]["amr"] == ["otp"]
    refused(await solve(caller, challenge, dateOfBirth=BORN), 401, "LOGIN_FAILED")
    # The number is proved again, and what was tried before is forgotten.
    await a_minute_later(documents)
    await signed_in_by_phone(stack, caller, number, 3)
    account = await documents["credentials"].find_one({"phone.number": number})
    assert account is not None
    assert "birthTries" not in account["phone"]


@pytest.mark.parametrize("born", [BORN, None], ids=["another date", "none stored"])
async def test_after_three_wrong_dates_the_number_is_another_s(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents, born: str | None
) -> None:
    number = new_number()
    old = await owned(stack, caller, documents, number, born)
    challenge = await challenged(stack, caller, number)
    for _ in range(2):
        refused(await solve(caller, challenge, dateOfBirth=NOT_BORN), 401, "LOGIN_FAILED")
    reply = await solve(caller, challenge, dateOfBirth=NOT_BORN)
    new = reply.json()["data"]
    assert new["created"] is True, reply.text
    assert new["user"]["id"] != old["user"]["id"]
    assert new["user"]["profile"] == {"phoneNumber": number}
    # The old user is there, and waits for staff to let the owner in.
    left = (await caller.get(f"/users/{old['user']['userId']}")).json()["data"]
    assert (left["status"], left["phoneVerified"]) == ("active", False)
    events = await documents["audit_events"].find({"userId": left["userId"]}).to_list()
    assert "user.phone_changed" in [each["action"] for each in events]
    await a_minute_later(documents)
    again = await signed_in_by_phone(stack, caller, number, 3)
    assert again["user"]["id"] == new["user"]["id"]


async def test_another_code_gives_no_other_tries(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    old = await owned(stack, caller, documents, number, BORN)
    first = await challenged(stack, caller, number)
    await a_minute_later(documents)
    second = await challenged(stack, caller, number, 3)
    for challenge in (first, second):
        refused(await solve(caller, challenge, dateOfBirth=NOT_BORN), 401, "LOGIN_FAILED")
    replies = await asyncio.gather(
        *(solve(caller, each, dateOfBirth=NOT_BORN) for each in (first, second, first, second))
    )
    (made,) = [reply.json()["data"] for reply in replies if reply.status_code == 200]
    assert made["created"] is True
    for challenge in (first, second):
        refused(await solve(caller, challenge, dateOfBirth=BORN), 401, "LOGIN_FAILED")
    owner = await documents["credentials"].find_one({"phone.number": number})
    assert owner is not None
    assert owner["userId"] == made["user"]["userId"] != old["user"]["userId"]


async def test_a_second_factor_is_needed_after_the_date_of_birth(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    session = await signed_in_by_phone(stack, caller, number)
    started = await caller.post("/auth/me/totp", json={}, headers=bearer(session))
    app = pyotp.TOTP(started.json()["data"]["secret"])
    body = {"code": app.now()}
    done = await caller.post("/auth/me/totp/confirm", json=body, headers=bearer(session))
    recovery_codes = done.json()["data"]["recoveryCodes"]
    await caller.put("/auth/me", json={"dateOfBirth": BORN}, headers=bearer(session))
    await has_number(documents, session["user"]["userId"], number, days=181)
    await a_minute_later(documents)
    challenge = await challenged(stack, caller, number)
    reply = await solve(caller, challenge, dateOfBirth=BORN)
    assert reply.json()["message"] == "Second factor required", reply.text
    second = reply.json()["data"]["challenge"]
    assert second["methods"] == ["totp", "recovery_code"]
    opened = await solve(caller, second, recoveryCode=recovery_codes[0])
    assert opened.json()["data"]["user"]["id"] == session["user"]["id"], opened.text


async def test_a_suspended_owner_is_recognised_by_the_right_date_only(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    old = await owned(stack, caller, documents, number, BORN)
    suspended = {"status": "suspended"}
    await caller.put(f"/users/{old['user']['userId']}/status", json=suspended)
    challenge = await challenged(stack, caller, number)
    refused(await solve(caller, challenge, dateOfBirth=NOT_BORN), 401, "LOGIN_FAILED")
    refused(await solve(caller, challenge, dateOfBirth=BORN), 403, "USER_NOT_ACTIVE")


async def test_over_grpc(
    caller: httpx.AsyncClient, channel: grpc.aio.Channel, stack: Stack, documents: Documents
) -> None:
    number = new_number()
    old = await owned(stack, caller, documents, number, BORN)
    auth = auth_service_pb2_grpc.AuthServiceStub(channel)
    challenge_id = (await sent(caller, number))["challengeId"]
    code = await code_of(stack, number, 2)
    request = phone_pb2.VerifyOtpRequest(challenge_id=challenge_id, code=code)
    challenge = (await auth.VerifyOtp(request)).data.challenge
    assert list(challenge.methods) == ["date_of_birth"]
    solution = factors_pb2.VerifySecondFactorRequest(
        challenge_id=challenge.challenge_id, date_of_birth=BORN
    )
    assert (await auth.VerifySecondFactor(solution)).data.user.id == old["user"]["id"]
