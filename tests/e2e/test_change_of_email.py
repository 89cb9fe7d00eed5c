"""Changing one's email address."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
from finlink.identity.v1 import me_pb2, me_service_pb2_grpc

from tests.e2e.identity_steps import PASSWORD, bearer, refused, register, signed_in
from tests.e2e.mails import mail, mails, token_of
from tests.stack import Stack

NEW, NOTICE = "Verify your new email address", "Your email address is to be changed"


async def asked(rest: httpx.AsyncClient, session: dict[str, Any], address: str) -> httpx.Response:
    return await rest.put("/auth/me/email", json={"email": address}, headers=bearer(session))


async def test_it_is_changed_once_the_token_has_come_back(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    old, new = f"{new_id}@example.com", f"{new_id}.new@example.com"
    session = await signed_in(rest, new_id)
    await rest.post("/auth/forgot-password", json={"email": old})
    reset = token_of(await mail(stack, old, "Set a new password"))
    assert (await asked(rest, session, new.upper())).status_code == 200
    notice = await mail(stack, old, NOTICE)
    assert new not in notice["text"]
    token = token_of(await mail(stack, new, NEW))
    me = (await rest.get("/auth/me", headers=bearer(session))).json()["data"]
    assert me["email"] == old

    done = await rest.post("/auth/verify-email", json={"token": token})
    assert done.json()["data"] == {"userId": new_id, "email": new}
    me = (await rest.get("/auth/me", headers=bearer(session))).json()["data"]
    assert (me["email"], me["emailVerified"]) == (new, True)
    refused(await rest.post("/auth/verify-email", json={"token": token}), 400, "CODE_INVALID")
    late = await rest.post("/auth/reset-password", json={"token": reset, "password": "another one"})
    refused(late, 400, "CODE_INVALID")
    login = {"email": new, "password": PASSWORD}
    assert (await rest.post("/auth/login", json=login)).status_code == 200
    same = refused(await asked(rest, session, new), 400, "VALIDATION_ERROR")
    assert [each["field"] for each in same["details"]] == ["email"]
    refused(await rest.put("/auth/me/email", json={"email": old}), 401, "UNAUTHENTICATED")


async def test_an_address_that_is_taken_is_found_by_its_owner_alone(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    taken, free = f"{new_id}_b@example.com", f"{new_id}.free@example.com"
    session = await signed_in(rest, new_id)
    await register(rest, f"{new_id}_b")
    replies = [await asked(rest, session, address) for address in (taken, free)]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert len({reply.json()["message"] for reply in replies}) == 1
    body = {"token": token_of(await mail(stack, taken, NEW))}
    error = refused(await rest.post("/auth/verify-email", json=body), 409, "USER_EXISTS")
    assert [each["field"] for each in error["details"]] == ["email"]

    body = {"token": token_of(await mail(stack, free, NEW))}
    await register(rest, f"{new_id}_c", email=free)
    refused(await rest.post("/auth/verify-email", json=body), 409, "USER_EXISTS")


async def test_a_new_password_ends_it(rest: httpx.AsyncClient, stack: Stack, new_id: str) -> None:
    """Of two changes the first that is verified holds; and the owner, who gets the notice, ends both."""
    session = await signed_in(rest, new_id)
    addresses = [f"{new_id}.{number}@example.com" for number in range(3)]
    for address in addresses:
        await asked(rest, session, address)
    first, second, _ = [token_of(await mail(stack, address, NEW)) for address in addresses]
    assert (await rest.post("/auth/verify-email", json={"token": first})).status_code == 200
    refused(await rest.post("/auth/verify-email", json={"token": second}), 400, "CODE_INVALID")

    await asked(rest, session, f"x{addresses[0]}")
    token = token_of(await mail(stack, f"x{addresses[0]}", NEW))
    change = {"currentPassword": PASSWORD, "newPassword": "an even better battery"}
    changed = await rest.put("/auth/me/password", json=change, headers=bearer(session))
    assert changed.status_code == 200, changed.text
    refused(await rest.post("/auth/verify-email", json={"token": token}), 400, "CODE_INVALID")


async def test_an_address_gets_three_mails_an_hour(
    rest: httpx.AsyncClient, stack: Stack, channel: grpc.aio.Channel, new_id: str
) -> None:
    session = await signed_in(rest, new_id)
    me: Any = me_service_pb2_grpc.MeServiceStub(channel)
    request = me_pb2.ChangeEmailRequest(email=f"{new_id}.new@example.com")
    for _ in range(4):
        reply = await me.ChangeEmail(request, metadata=tuple(bearer(session).items()))
        assert reply.message == "Open the mail that was sent to the new address"
    other = f"{new_id}.other@example.com"
    await asked(rest, session, other)
    await mail(stack, other, NEW)
    assert len(await mails(stack, request.email)) == 3
