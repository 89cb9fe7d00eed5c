"""What is done with the token of a mail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.e2e.external_steps import came_by
from tests.e2e.identity_steps import PASSWORD, bearer, login, refused, register, signed_in
from tests.e2e.mails import mail, mails, token_of
from tests.providers import OutsideProvider, settings
from tests.stack import Stack, running

NEW = "an even better battery"
RESET, VERIFY = "Set a new password", "Verify your email address"
KNOWN = "You have an account"


async def test_a_forgotten_password_is_set_once(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    address = f"{new_id}@example.com"
    session = await signed_in(rest, new_id)
    asked = await rest.post("/auth/forgot-password", json={"email": address.upper()})
    unknown = await rest.post("/auth/forgot-password", json={"email": f"no-{address}"})
    assert asked.json()["message"] == unknown.json()["message"]
    token = token_of(await mail(stack, address, RESET))
    weak = await rest.post("/auth/reset-password", json={"token": token, "password": "password"})
    assert [each["field"] for each in refused(weak, 400, "VALIDATION_ERROR")["details"]] == [
        "password"
    ]
    done = await rest.post("/auth/reset-password", json={"token": token, "password": NEW})
    assert (done.status_code, done.json()["message"]) == (200, "Password reset successfully")
    again = await rest.post("/auth/reset-password", json={"token": token, "password": PASSWORD})
    refused(again, 400, "CODE_INVALID")
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")
    await login(rest, new_id, password=NEW)
    await mail(stack, address, "Your password was changed")
    assert await mails(stack, f"no-{address}") == []
    assert (await rest.get(f"/users/{new_id}")).json()["data"]["emailVerified"] is True


async def test_the_other_form_asks_for_the_mail(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    address = f"{new_id}@example.com"
    await register(rest, new_id)
    asked = await rest.post("/auth/reset-password", json={"email": address})
    assert asked.status_code == 200
    assert token_of(await mail(stack, address, RESET))
    for body in ({}, {"token": "x"}, {"email": address, "token": "x", "password": NEW}):
        wrong = refused(await rest.post("/auth/reset-password", json=body), 400, "VALIDATION_ERROR")
        assert {each["field"] for each in wrong["details"]} == {"token", "password", "email"}


async def test_an_address_gets_three_mails_an_hour(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    address = f"{new_id}@example.com"
    await register(rest, new_id)
    for _ in range(5):
        reply = await rest.post("/auth/forgot-password", json={"email": address})
        assert reply.status_code == 200
    await mail(stack, address, RESET, 3)
    other = f"{new_id}_b@example.com"
    await register(rest, f"{new_id}_b")
    await rest.post("/auth/forgot-password", json={"email": other})
    await mail(stack, other, RESET)
    assert len([each for each in await mails(stack, address) if each["subject"] == RESET]) == 3


async def test_an_address_is_verified(rest: httpx.AsyncClient, stack: Stack, new_id: str) -> None:
    address = f"{new_id}@example.com"
    session = await signed_in(rest, new_id)
    message = await mail(stack, address, VERIFY)
    assert f"{new_id}" not in message["text"]
    token = token_of(message)
    done = await rest.post("/auth/verify-email", json={"token": token})
    assert done.json()["data"] == {"userId": new_id, "email": address}
    refused(await rest.post("/auth/verify-email", json={"token": token}), 400, "CODE_INVALID")
    assert (await rest.get(f"/users/{new_id}")).json()["data"]["emailVerified"] is True
    # What there was before the address was anybody's has ended, but not the registration's password.
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")
    again = await login(rest, new_id)
    sent = await rest.post("/auth/send-verification", json={}, headers=bearer(again))
    assert sent.status_code == 200
    refused(await rest.post("/auth/send-verification", json={}), 400, "VALIDATION_ERROR")


async def test_a_second_verification_keeps_no_password_of_a_stranger(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    address = f"{new_id}@example.com"
    await register(rest, new_id)  # by somebody else
    await mail(stack, address, VERIFY)
    await rest.post("/auth/send-verification", json={"email": address})
    token = token_of(await mail(stack, address, VERIFY, 2))
    assert (await rest.post("/auth/verify-email", json={"token": token})).status_code == 200
    reply = await rest.post("/auth/login", json={"username": new_id, "password": PASSWORD})
    refused(reply, 401, "LOGIN_FAILED")


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, provider_ports: dict[str, int]
) -> Iterator[Stack]:
    folder, providers = tmp_path_factory.mktemp("strict"), settings(provider_ports)
    with running(folder, WORKERS="1", EMAIL_VERIFICATION="required", **providers) as stack:
        yield stack


@pytest.fixture
async def strictly(strict: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{strict.rest}/api/v1", timeout=30) as client:
        yield client


async def test_two_who_register_one_address_do_not_meet(
    strictly: httpx.AsyncClient, strict: Stack, new_id: str
) -> None:
    """An attacker registers the victim's address; the victim registers too, and opens their own mail."""
    address = f"{new_id}@example.com"
    attacker = await register(strictly, f"{new_id}_a", email=address, password=NEW)
    await mail(strict, address, VERIFY)
    victim = await register(strictly, f"{new_id}_v", email=address)
    assert (attacker["verificationRequired"], victim["verificationRequired"]) == (True, True)
    refused(await strictly.get(f"/users/{new_id}_a"), 404, "USER_NOT_FOUND")
    token = token_of(await mail(strict, address, VERIFY, 2))
    done = await strictly.post("/auth/verify-email", json={"token": token})
    assert done.json()["data"] == {"userId": f"{new_id}_v", "email": address}
    await login(strictly, f"{new_id}_v")
    for name in (f"{new_id}_a", f"{new_id}_v"):
        reply = await strictly.post("/auth/login", json={"username": name, "password": NEW})
        refused(reply, 401, "LOGIN_FAILED")

    # Two registrations were mailed within the hour: of the others, one more mail is sent.
    for number in range(3):
        again = await register(strictly, f"{new_id}_{number}", email=address)
        assert again["verificationRequired"] is True
    await mail(strict, address, KNOWN)
    fresh = f"{new_id}_fresh"
    await register(strictly, fresh)
    await mail(strict, f"{fresh}@example.com", VERIFY)
    assert len([each for each in await mails(strict, address) if each["subject"] == KNOWN]) == 1
    taken = await strictly.post(
        "/auth/register",
        json={"email": f"x{address}", "password": PASSWORD, "userId": f"{new_id}_v"},
    )
    refused(taken, 409, "USER_EXISTS")


async def test_a_mail_that_is_sent_again_has_no_password_of_a_stranger(
    strictly: httpx.AsyncClient, strict: Stack, new_id: str
) -> None:
    """The owner registers, then a stranger does, and the owner asks for the mail again."""
    address = f"{new_id}@example.com"
    await register(strictly, f"{new_id}_v", email=address)
    await register(strictly, f"{new_id}_a", email=address, password=NEW)
    await mail(strict, address, VERIFY, 2)
    await strictly.post("/auth/send-verification", json={"email": address})
    token = token_of(await mail(strict, address, VERIFY, 3))
    done = await strictly.post("/auth/verify-email", json={"token": token})
    assert done.status_code == 200, done.text
    for password in (NEW, PASSWORD):
        reply = await strictly.post("/auth/login", json={"email": address, "password": password})
        refused(reply, 401, "LOGIN_FAILED")
    await strictly.post("/auth/forgot-password", json={"email": address})
    body = {"token": token_of(await mail(strict, address, RESET)), "password": "a third battery"}
    assert (await strictly.post("/auth/reset-password", json=body)).status_code == 200
    await login(strictly, done.json()["data"]["userId"], password="a third battery")


async def test_who_comes_by_a_provider_does_not_meet_who_registered(
    strictly: httpx.AsyncClient,
    strict: Stack,
    outside_providers: list[OutsideProvider],
    new_id: str,
) -> None:
    """An attacker registers the victim's address; the victim comes by a provider that has verified it."""
    address = f"{new_id}@example.com"
    await register(strictly, f"{new_id}_a", email=address, password=NEW)
    claims = {"email": address, "email_verified": True}
    victim = await came_by(strictly, "one", outside_providers[0], new_id, claims)
    me = await strictly.get("/auth/me", headers=bearer(victim.json()["data"]))
    assert (me.json()["data"]["email"], me.json()["data"]["emailVerified"]) == (address, True)
    body = {"token": token_of(await mail(strict, address, VERIFY))}
    refused(await strictly.post("/auth/verify-email", json=body), 409, "USER_EXISTS")
    for name in ({"email": address}, {"username": f"{new_id}_a"}):
        reply = await strictly.post("/auth/login", json={**name, "password": NEW})
        refused(reply, 401, "LOGIN_FAILED")


async def test_a_registration_s_mail_is_sent_again(
    strictly: httpx.AsyncClient, strict: Stack, new_id: str
) -> None:
    address = f"{new_id}@example.com"
    await register(strictly, new_id)
    await mail(strict, address, VERIFY)
    await strictly.post("/auth/send-verification", json={"email": address})
    first, second = (
        token_of(each)
        for each in [await mail(strict, address, VERIFY, 2), (await mails(strict, address))[1]]
    )
    assert (await strictly.post("/auth/verify-email", json={"token": first})).status_code == 200
    late = await strictly.post("/auth/verify-email", json={"token": second})
    refused(late, 409, "USER_EXISTS")
    await login(strictly, new_id)
