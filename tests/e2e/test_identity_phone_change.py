"""Changing the number that signs in to one's own account; the SMS come to the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc
import httpx
import pytest
from finlink.identity.v1 import me_service_pb2_grpc, phone_change_pb2

from tests.e2e.connector_steps import Documents, Json, database
from tests.e2e.identity_steps import PASSWORD, bearer, refused, signed_in
from tests.e2e.mails import mail
from tests.e2e.phones import (
    a_minute_later,
    calling,
    code_of,
    new_number,
    otp,
    signed_in_by_phone,
    texts,
)
from tests.e2e.users_errors import grpc_error
from tests.stack import Stack

CHANGED, LOST = "Your phone number was changed", "A phone number was removed from your account"


@pytest.fixture
async def caller(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(stack) as client:
        yield client


@pytest.fixture
async def documents(stack: Stack) -> AsyncIterator[Documents]:
    async with database(stack) as opened:
        yield opened


async def asked(
    stack: Stack, rest: httpx.AsyncClient, session: Json, number: str, count: int = 1
) -> Json:
    """The challenge of a change, and the code that came for it."""
    body = {"phoneNumber": number}
    reply = await rest.put("/auth/me/phone", json=body, headers=bearer(session))
    assert (reply.status_code, reply.json()["message"]) == (200, "A code is on its way"), reply.text
    challenge_id = reply.json()["data"]["challengeId"]
    return {"challengeId": challenge_id, "code": await code_of(stack, number, count)}


async def confirm(rest: httpx.AsyncClient, session: Json, body: Json) -> httpx.Response:
    return await rest.post("/auth/me/phone/confirm", json=body, headers=bearer(session))


async def has_phone(rest: httpx.AsyncClient, session: Json) -> bool:
    me = (await rest.get("/auth/me", headers=bearer(session))).json()["data"]
    assert me["phoneVerified"] == me["loginMethods"]["phone"]
    return bool(me["phoneVerified"])


async def test_a_number_is_added_and_replaced(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents, new_id: str
) -> None:
    session = await signed_in(caller, new_id)
    first, second = new_number(), new_number()
    assert not await has_phone(caller, session)
    for number in (first, second):
        body = await asked(stack, caller, session, number)
        replies = await asyncio.gather(*(confirm(caller, session, body) for _ in range(3)))
        (done,) = [reply for reply in replies if reply.status_code == 200]
        assert done.json()["message"] == "Phone number changed successfully"
        for reply in replies:
            if reply is not done:
                refused(reply, 400, "CODE_INVALID")
        assert await has_phone(caller, session)
    await mail(stack, f"{new_id}@example.com", CHANGED, 2)
    user = (await caller.get(f"/users/{new_id}", headers=bearer(session))).json()["data"]
    assert (user["profile"]["phoneNumber"], user["phoneVerified"]) == (second, True)
    events = await documents["audit_events"].find({"userId": new_id}).to_list()
    actions = [each["action"] for each in events]
    assert (actions.count("otp.sent"), actions.count("user.phone_changed")) == (2, 2)
    assert not [each for each in events if first in str(each) or second in str(each)]

    await a_minute_later(documents)
    assert (await signed_in_by_phone(stack, caller, second, 2))["user"]["userId"] == new_id
    assert (await signed_in_by_phone(stack, caller, first, 2))["created"] is True


async def test_a_code_is_for_its_user_session_and_purpose(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents, new_id: str
) -> None:
    session = await signed_in(caller, new_id)
    other = await signed_in(caller, f"{new_id}_b")
    body = {"username": new_id, "password": PASSWORD}
    elsewhere = (await caller.post("/auth/login", json=body)).json()["data"]
    number = new_number()
    own = await asked(stack, caller, session, number)
    login = await otp(stack, caller, new_number())
    wrong = [
        await confirm(caller, other, own),
        await confirm(caller, elsewhere, own),
        await confirm(caller, session, login),
        await confirm(caller, session, {**own, "code": f"{(int(own['code']) + 1) % 10**6:06}"}),
    ]
    assert len({refused(reply, 400, "CODE_INVALID")["message"] for reply in wrong}) == 1
    signing_in = await caller.post("/auth/verify-otp", json={**own, "session": "token"})
    refused(signing_in, 401, "LOGIN_FAILED")
    assert (await confirm(caller, session, own)).status_code == 200


async def test_a_number_moves_to_who_proves_it_now(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents, new_id: str
) -> None:
    number = new_number()
    old = await signed_in(caller, f"{new_id}_old")
    new = await signed_in(caller, f"{new_id}_new")
    for count, session in enumerate((old, new), 1):
        await a_minute_later(documents)
        body = await asked(stack, caller, session, number, count)
        assert (await confirm(caller, session, body)).status_code == 200
    assert (await has_phone(caller, old), await has_phone(caller, new)) == (False, True)
    await mail(stack, f"{new_id}_old@example.com", LOST)
    found = {"action": "user.phone_changed", "userId": f"{new_id}_old"}
    assert await documents["audit_events"].count_documents(found) == 2
    await a_minute_later(documents)
    again = await signed_in_by_phone(stack, caller, number, 3)
    assert again["user"]["userId"] == f"{new_id}_new"


async def test_a_number_that_is_all_that_another_has_stays(
    caller: httpx.AsyncClient, stack: Stack, documents: Documents, new_id: str
) -> None:
    number = new_number()
    owner = await signed_in_by_phone(stack, caller, number)
    session = await signed_in(caller, new_id)
    await a_minute_later(documents)
    body = await asked(stack, caller, session, number, 2)
    refused(await confirm(caller, session, body), 409, "LAST_CREDENTIAL")
    assert (await has_phone(caller, owner), await has_phone(caller, session)) == (True, False)
    # The code was not used up: once the owner can sign in another way, the number moves.
    password = {"newPassword": PASSWORD}
    await caller.put("/auth/me/password", json=password, headers=bearer(owner))
    assert (await confirm(caller, session, body)).status_code == 200
    assert (await has_phone(caller, owner), await has_phone(caller, session)) == (False, True)


async def test_a_change_needs_a_recent_login_and_a_mobile_number(
    caller: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    session = await signed_in(caller, new_id)
    for number in ("+912222222222", "9876543210"):
        reply = await caller.put(
            "/auth/me/phone", json={"phoneNumber": number}, headers=bearer(session)
        )
        error = refused(reply, 400, "VALIDATION_ERROR")
        assert [each["field"] for each in error["details"]] == ["phoneNumber"]
    nobody = await caller.put("/auth/me/phone", json={"phoneNumber": new_number()})
    refused(nobody, 401, "UNAUTHENTICATED")


async def test_a_cookie_s_login_is_recent_for_ten_minutes(
    stack: Stack, documents: Documents
) -> None:
    async with calling(stack, headers={"sec-fetch-site": "same-origin"}) as browser:
        number = new_number()
        body = await otp(stack, browser, number)
        session = (await browser.post("/auth/verify-otp", json=body)).json()["data"]
        await documents["login_sessions"].update_many(
            {"userId": session["user"]["userId"]},
            {"$set": {"authTime": datetime.now(UTC) - timedelta(minutes=11)}},
        )
        other = new_number()
        reply = await browser.put("/auth/me/phone", json={"phoneNumber": other})
        refused(reply, 401, "RECENT_LOGIN_REQUIRED")
        assert await texts(stack, other) == []


async def test_a_reset_ends_a_change_that_has_begun(
    caller: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    session = await signed_in(caller, new_id)
    body = await asked(stack, caller, session, new_number())
    address = f"{new_id}@example.com"
    await caller.post("/auth/forgot-password", json={"email": address})
    text = (await mail(stack, address, "Set a new password"))["text"]
    token = text.partition("#token=")[2].split()[0]
    new = {"token": token, "password": "an even better battery"}
    assert (await caller.post("/auth/reset-password", json=new)).status_code == 200
    login = {"username": new_id, "password": new["password"]}
    fresh = (await caller.post("/auth/login", json=login)).json()["data"]
    refused(await confirm(caller, fresh, body), 400, "CODE_INVALID")


async def test_over_grpc(
    caller: httpx.AsyncClient, channel: grpc.aio.Channel, stack: Stack, new_id: str
) -> None:
    session, number = await signed_in(caller, new_id), new_number()
    metadata = tuple(bearer(session).items())
    me = me_service_pb2_grpc.MeServiceStub(channel)
    change = phone_change_pb2.ChangePhoneRequest(phone_number=number)
    sent = await me.ChangePhone(change, metadata=metadata)
    code = await code_of(stack, number)
    request = phone_change_pb2.ConfirmPhoneRequest(challenge_id=sent.data.challenge_id, code=code)
    done = await me.ConfirmPhone(request, metadata=metadata)
    assert done.message == "Phone number changed successfully"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await me.ConfirmPhone(request, metadata=metadata)
    assert grpc_error(caught.value).code == "CODE_INVALID"
    assert await has_phone(caller, session)
