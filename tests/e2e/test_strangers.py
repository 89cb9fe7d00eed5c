"""What strangers, and those who had an account before, cannot do to its owner."""

from __future__ import annotations

import httpx
from bson import ObjectId

from server.core.clock import utc_now
from tests.e2e.connector_steps import Documents
from tests.e2e.external_steps import began, completed
from tests.e2e.identity_steps import PASSWORD, bearer, login, refused, register, signed_in
from tests.e2e.mails import mail, mails, token_of
from tests.e2e.phones import calling, code_of, new_number
from tests.providers import OutsideProvider
from tests.stack import Stack

RESET, VERIFY, CHANGE = (
    "Set a new password",
    "Verify your email address",
    "Verify your new email address",
)
OWN = {"sec-fetch-site": "same-origin"}


async def test_mails_that_strangers_ask_for_keep_no_reset_from_its_owner(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    """Each kind of mail has a count of its own, and what is not sent uses up no other's."""
    address = f"{new_id}@example.com"
    await register(rest, new_id)
    token = token_of(await mail(stack, address, VERIFY))
    assert (await rest.post("/auth/verify-email", json={"token": token})).status_code == 200
    session = await login(rest, new_id)
    stranger = bearer(await signed_in(rest, f"{new_id}_stranger"))
    for _ in range(3):
        await rest.post("/auth/send-verification", json={"email": address})
        await rest.put("/auth/me/email", json={"email": address}, headers=stranger)
    await rest.post("/auth/forgot-password", json={"email": address})
    await mail(stack, address, RESET)
    for _ in range(3):
        await rest.post("/auth/forgot-password", json={"email": address})
    body = {"channel": "email"}
    sent = await rest.post("/auth/reauthenticate/start", json=body, headers=bearer(session))
    assert sent.status_code == 200, sent.text
    await mail(stack, address, "Your code")
    assert len([each for each in await mails(stack, address) if each["subject"] == RESET]) == 3


async def test_verifying_ends_a_change_of_the_address_from_before(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    """A stranger registers the owner's address and asks for another one, whose mail the stranger gets."""
    address, other = f"{new_id}@example.com", f"{new_id}.other@example.com"
    session = await signed_in(rest, new_id)
    await rest.put("/auth/me/email", json={"email": other}, headers=bearer(session))
    kept = token_of(await mail(stack, other, CHANGE))
    await rest.post("/auth/send-verification", json={"email": address})
    token = token_of(await mail(stack, address, VERIFY, 2))
    assert (await rest.post("/auth/verify-email", json={"token": token})).status_code == 200
    refused(await rest.post("/auth/verify-email", json={"token": kept}), 400, "CODE_INVALID")
    assert (await rest.get(f"/users/{new_id}")).json()["data"]["email"] == address


async def test_a_session_that_has_ended_leaves_nothing_behind(
    stack: Stack, documents: Documents, one: OutsideProvider, new_id: str
) -> None:
    """A call that has begun before its end, or has come to a host that has not heard of that."""
    number, other = new_number(), f"{new_id}.other@example.com"
    async with calling(stack) as caller:
        session = await signed_in(caller, new_id)
        own = bearer(session)
        sent = await caller.put("/auth/me/phone", json={"phoneNumber": number}, headers=own)
        phone = {"challengeId": sent.json()["data"]["challengeId"]}
        phone["code"] = await code_of(stack, number)
        begun = await began(caller, "one", own, purpose="link")
        reply = await one.sign_in(begun["authorizationUrl"], new_id)
        match = {"_id": ObjectId(session["sessionId"])}
        await documents["login_sessions"].update_one(match, {"$set": {"endedAt": utc_now()}})

        password = {"currentPassword": PASSWORD, "newPassword": "an even better battery"}
        for verb, path, body in (
            ("PUT", "/auth/me/password", password),
            ("PUT", "/auth/me/email", {"email": other}),
            ("POST", "/auth/me/phone/confirm", phone),
            ("POST", "/auth/me/totp", {}),
        ):
            ended = await caller.request(verb, path, json=body, headers=own)
            refused(ended, 401, "SESSION_ENDED")
        refused(await completed(caller, "one", begun, reply, own), 401, "SESSION_ENDED")
        assert await mails(stack, other) == []
        me = await caller.get("/auth/me", headers=bearer(await login(caller, new_id)))
    found = me.json()["data"]
    assert found["loginMethods"] == {"password": True, "phone": False, "external": []}


async def test_a_login_ends_the_session_that_the_browser_had(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    await register(rest, new_id)
    await register(rest, f"{new_id}_b")
    async with httpx.AsyncClient(base_url=rest.base_url) as browser:
        values = []
        for user_id in (new_id, new_id, f"{new_id}_b"):
            body = {"username": user_id, "password": PASSWORD, "session": "cookie"}
            reply = await browser.post("/auth/login", json=body, headers=OWN)
            assert reply.status_code == 200, reply.text
            values.append(browser.cookies["finlink_session"])
        wrong = {"username": new_id, "password": "wrong", "session": "cookie"}
        refused(await browser.post("/auth/login", json=wrong, headers=OWN), 401, "LOGIN_FAILED")
        assert (await browser.get("/auth/me")).json()["data"]["userId"] == f"{new_id}_b"
    for value in values[:2]:
        old = await rest.get("/auth/me", headers={"cookie": f"finlink_session={value}"})
        refused(old, 401, "SESSION_ENDED")


async def test_cookies_of_others_hide_no_session(rest: httpx.AsyncClient, new_id: str) -> None:
    """Other pages of a domain set cookies as they like, also ones that are named like attributes."""
    await register(rest, new_id)
    body = {"username": new_id, "password": PASSWORD, "session": "cookie"}
    reply = await rest.post("/auth/login", json=body, headers=OWN)
    value = rest.cookies["finlink_session"]
    rest.cookies.clear()
    assert reply.status_code == 200, reply.text
    for other in ('seen={"a": "b c"}', "path=/", "version=1", "a b=c", "x=é", "=y", "z", "k[]=1"):
        for header in (f"{other}; finlink_session={value}", f"finlink_session={value}; {other}"):
            sent = [(b"cookie", header.encode())]
            me = await rest.get("/auth/me", headers=httpx.Headers(sent))
            assert me.status_code == 200, (header, me.text)


async def test_a_number_that_is_only_typed_is_not_a_verified_one(stack: Stack, new_id: str) -> None:
    proved, typed = new_number(), new_number()
    async with calling(stack) as caller:
        session = await signed_in(caller, new_id)
        headers = bearer(session)
        sent = await caller.put("/auth/me/phone", json={"phoneNumber": proved}, headers=headers)
        challenge_id = sent.json()["data"]["challengeId"]
        body = {"challengeId": challenge_id, "code": await code_of(stack, proved)}
        done = await caller.post("/auth/me/phone/confirm", json=body, headers=headers)
        assert done.status_code == 200, done.text
        for path, number, is_verified in (
            ("/auth/me", proved, True),
            (f"/users/{new_id}/profile", typed, False),
            ("/auth/me", proved, False),  # whose it is by now has to be shown again
        ):
            reply = await caller.put(path, json={"phoneNumber": number}, headers=headers)
            assert reply.status_code == 200, reply.text
            me = (await caller.get("/auth/me", headers=headers)).json()["data"]
            shown = (me["profile"]["phoneNumber"], me["phoneVerified"])
            assert shown == (number, is_verified), path
            assert me["loginMethods"]["phone"] is True


async def test_who_gets_a_freed_name_inherits_no_lock(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    for _ in range(5):
        await rest.post("/auth/login", json={"username": new_id, "password": "wrong"})
    locked = await rest.post("/auth/login", json={"username": new_id, "password": PASSWORD})
    refused(locked, 429, "ACCOUNT_LOCKED")
    gone = await rest.delete(f"/users/{new_id}", headers=bearer(session))
    assert gone.status_code == 200, gone.text
    await signed_in(rest, new_id)
