"""Outside providers and the accounts that there are: attackers who were there first, links, browsers."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx

from tests.domains.identity.external.scripted import scripted
from tests.e2e.connector_steps import Documents
from tests.e2e.external_steps import (
    KEY,
    NEW,
    asha,
    began,
    browser_of,
    came_by,
    completed,
    events,
    me,
)
from tests.e2e.identity_steps import PASSWORD, bearer, login, refused, register, signed_in
from tests.e2e.mails import mail, token_of
from tests.providers import REDIRECT, OutsideProvider
from tests.stack import Stack

RESET, VERIFY = "Set a new password", "Verify your email address"


async def test_an_attacker_was_there_first(
    rest: httpx.AsyncClient, stack: Stack, one: OutsideProvider, new_id: str
) -> None:
    """The attacker registers the victim's address with a password; the victim comes by the provider."""
    address = f"{new_id}@example.com"
    await register(rest, f"{new_id}_a", email=address)
    refused(await came_by(rest, "one", one, new_id, asha(new_id)), 409, "USER_EXISTS")
    await rest.post("/auth/forgot-password", json={"email": address})
    token = token_of(await mail(stack, address, "Set a new password"))
    body = {"token": token, "password": NEW}
    assert (await rest.post("/auth/reset-password", json=body)).status_code == 200
    victim = await login(rest, f"{new_id}_a", password=NEW)
    linked = await came_by(rest, "one", one, new_id, {}, bearer(victim), purpose="link")
    assert linked.json()["message"] == "Provider linked"
    old = await rest.post("/auth/login", json={"email": address, "password": PASSWORD})
    refused(old, 401, "LOGIN_FAILED")


async def test_an_attacker_came_by_a_provider_first(
    rest: httpx.AsyncClient, stack: Stack, one: OutsideProvider, new_id: str
) -> None:
    """A provider that verifies no address says the attacker has the victim's."""
    address = f"{new_id}@example.com"
    unverified = asha(new_id, email_verified="true")
    attacker = await came_by(rest, "one", one, new_id, unverified)
    session = attacker.json()["data"]
    assert (await me(rest, session))["emailVerified"] is False
    await rest.post("/auth/forgot-password", json={"email": address})
    token = token_of(await mail(stack, address, "Set a new password"))
    body = {"token": token, "password": NEW}
    assert (await rest.post("/auth/reset-password", json=body)).status_code == 200
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")
    again = await came_by(rest, "one", one, new_id, unverified)
    refused(again, 409, "USER_EXISTS")


async def test_an_address_is_verified_without_losing_the_provider(
    rest: httpx.AsyncClient, stack: Stack, one: OutsideProvider, new_id: str
) -> None:
    claims = {"email": f"{new_id}@example.com"}
    first = await came_by(rest, "one", one, new_id, claims)
    user_id = (await me(rest, first.json()["data"]))["userId"]
    token = token_of(await mail(stack, claims["email"], VERIFY))
    headers = bearer(first.json()["data"])  # the page behind the link sends a cookie in its place
    done = await rest.post("/auth/verify-email", json={"token": token}, headers=headers)
    assert done.status_code == 200, done.text
    again = await came_by(rest, "one", one, new_id, {})
    found = await me(rest, again.json()["data"])
    assert (found["userId"], found["emailVerified"]) == (user_id, True)


async def test_a_provider_of_who_was_there_first_ends_with_the_proof(
    rest: httpx.AsyncClient,
    stack: Stack,
    one: OutsideProvider,
    two: OutsideProvider,
    new_id: str,
) -> None:
    """An attacker types the victim's address at a provider; the victim opens the mail of that very login."""
    address = f"{new_id}@example.com"
    first = await came_by(rest, "one", one, new_id, {"email": address})
    attacker = first.json()["data"]
    user_id = (await me(rest, attacker))["userId"]
    linked = await came_by(rest, "two", two, new_id, {}, bearer(attacker), purpose="link")
    assert linked.json()["message"] == "Provider linked"
    body = {"newPassword": PASSWORD}
    set_first = await rest.put("/auth/me/password", json=body, headers=bearer(attacker))
    assert set_first.status_code == 200, set_first.text
    # The new password has ended the mail; it is sent again.
    token = token_of(await mail(stack, address, VERIFY))
    stale = await rest.post("/auth/verify-email", json={"token": token})
    refused(stale, 400, "CODE_INVALID")
    await rest.post("/auth/send-verification", json={"email": address})
    await _proves(rest, stack, address, 2)

    refused(await rest.get("/auth/me", headers=bearer(attacker)), 401, "SESSION_ENDED")
    refused(await came_by(rest, "one", one, new_id, {"email": address}), 409, "USER_EXISTS")
    stranger = await came_by(rest, "two", two, new_id, {})
    assert (await me(rest, stranger.json()["data"]))["userId"] != user_id
    old = await rest.post("/auth/login", json={"email": address, "password": PASSWORD})
    refused(old, 401, "LOGIN_FAILED")


async def test_only_who_is_signed_in_to_the_account_keeps_the_provider_of_its_mail(
    rest: httpx.AsyncClient, stack: Stack, one: OutsideProvider, new_id: str
) -> None:
    """Neither who is signed in nowhere, nor who is signed in to another account."""
    other = bearer(await signed_in(rest, f"{new_id}_other"))
    for number, headers in enumerate((None, other)):
        sub, address = f"{new_id}_{number}", f"{new_id}.{number}@example.com"
        attacker = (await came_by(rest, "one", one, sub, {"email": address})).json()["data"]
        await _proves(rest, stack, address, headers=headers)
        refused(await rest.get("/auth/me", headers=bearer(attacker)), 401, "SESSION_ENDED")
        refused(await came_by(rest, "one", one, sub, {"email": address}), 409, "USER_EXISTS")
        await rest.post("/auth/forgot-password", json={"email": address})
        body = {"token": token_of(await mail(stack, address, RESET)), "password": NEW}
        assert (await rest.post("/auth/reset-password", json=body)).status_code == 200
        user_id = attacker["user"]["userId"]
        victim = await me(rest, await login(rest, user_id, password=NEW))
        assert victim["loginMethods"] == {"password": True, "phone": False, "external": []}
        assert victim["emailVerified"] is True


async def _proves(
    rest: httpx.AsyncClient,
    stack: Stack,
    address: str,
    count: int = 1,
    headers: dict[str, str] | None = None,
) -> None:
    """The owner of an address opens the newest mail that came there."""
    body = {"token": token_of(await mail(stack, address, VERIFY, count))}
    done = await rest.post("/auth/verify-email", json=body, headers=headers)
    assert done.status_code == 200, done.text


async def test_a_provider_is_linked_and_unlinked(
    rest: httpx.AsyncClient,
    stack: Stack,
    documents: Documents,
    one: OutsideProvider,
    two: OutsideProvider,
    new_id: str,
) -> None:
    session = await signed_in(rest, new_id)
    for _ in range(2):
        linked = await came_by(rest, "one", one, new_id, {}, bearer(session), purpose="link")
        assert linked.json()["data"] == {}, linked.text
    await mail(stack, f"{new_id}@example.com", "A way to sign in was added")
    another = await came_by(rest, "one", one, f"{new_id}_2", {}, bearer(session), purpose="link")
    error = refused(another, 409, "USER_EXISTS")
    assert [each["field"] for each in error["details"]] == ["provider"]
    other = await signed_in(rest, f"{new_id}_b")
    taken = await came_by(rest, "one", one, new_id, {}, bearer(other), purpose="link")
    refused(taken, 409, "USER_EXISTS")

    came = await came_by(rest, "one", one, new_id, {})
    assert (await me(rest, came.json()["data"]))["userId"] == new_id
    await came_by(rest, "two", two, new_id, {}, bearer(session), purpose="link")
    assert (await me(rest, session))["loginMethods"]["external"] == ["one", "two"]
    headers = bearer(session)
    for name, status in (("two", 200), ("two", 404), ("none", 404)):
        reply = await rest.delete(f"/auth/me/external/{name}", headers=headers)
        assert reply.status_code == status, reply.text
    await documents["credentials"].update_one({"userId": new_id}, {"$unset": {"password": 1}})
    last = await rest.delete("/auth/me/external/one", headers=headers)
    refused(last, 409, "LAST_CREDENTIAL")
    assert "user.external_unlinked" in await events(rest, new_id)


async def test_a_link_is_of_who_began_it(
    rest: httpx.AsyncClient, documents: Documents, one: OutsideProvider, new_id: str
) -> None:
    body = {"redirectUri": REDIRECT, "purpose": "link"}
    nobody = await rest.post("/auth/external/one/start", json=body)
    refused(nobody, 401, "UNAUTHENTICATED")
    victim, attacker = [await signed_in(rest, f"{new_id}_{name}") for name in "va"]
    begun = await began(rest, "one", bearer(attacker), purpose="link")
    answer = await one.sign_in(begun["authorizationUrl"], new_id)
    for headers in (bearer(victim), None):
        reply = await completed(rest, "one", begun, answer, headers)
        refused(reply, 401, "EXTERNAL_LOGIN_FAILED")
    # A reset ends a link that has begun.
    await rest.delete(f"/users/{new_id}_a", headers=bearer(attacker))
    refused(await completed(rest, "one", begun, answer), 401, "EXTERNAL_LOGIN_FAILED")

    async with browser_of(rest) as browser:
        sent = {"username": f"{new_id}_v", "password": PASSWORD, "session": "cookie"}
        session = (await browser.post("/auth/login", json=sent)).json()["data"]["sessionId"]
        await documents["login_sessions"].update_many({}, [{"$set": {"authTime": {
            "$cond": [
                {"$eq": [{"$toString": "$_id"}, session]},
                {"$dateSubtract": {"startDate": "$authTime", "unit": "minute", "amount": 11}},
                "$authTime",
            ]
        }}}])  # fmt: skip
        error = refused(
            await browser.post("/auth/external/one/start", json=body), 401, "RECENT_LOGIN_REQUIRED"
        )
        assert error["metadata"] == {"maxAge": "600"}


async def test_a_browser_keeps_the_secret_in_a_cookie(
    rest: httpx.AsyncClient, one: OutsideProvider, new_id: str
) -> None:
    async with browser_of(rest) as browser:
        begun, other = [await began(browser, "one", session="cookie") for _ in range(2)]
        assert begun.keys() == {"authorizationUrl", "state", "expiresAt"}
        assert len(browser.cookies) == 2  # two tabs
        for each in (begun, other):
            answer = await one.sign_in(each["authorizationUrl"], new_id, **asha(new_id))
            foreign = {"sec-fetch-site": "cross-site"}
            reply = await completed(browser, "one", each, answer, foreign, session="cookie")
            refused(reply, 403, "CSRF_REFUSED")
            stranger = await completed(rest, "one", each, answer, {"x-requested-with": "x"})
            error = refused(stranger, 400, "VALIDATION_ERROR")
            assert [detail["field"] for detail in error["details"]] == ["loginSecret"]
            reply = await completed(browser, "one", each, answer, session="cookie")
            assert reply.json()["data"].keys() == {"expiresIn", "sessionId", "user"}, reply.text
        assert set(browser.cookies) == {"finlink_session", "finlink_device"}
        own = (await browser.get("/auth/me")).json()["data"]
        assert own["session"]["kind"] == "cookie"
    refused(
        await rest.post(
            "/auth/external/one/start", json={"redirectUri": REDIRECT, "session": "cookie"}
        ),
        403, "CSRF_REFUSED",
    )  # fmt: skip


async def test_a_password_that_is_reset_meanwhile_ends_a_link(
    rest: httpx.AsyncClient, stack: Stack, provider_ports: dict[str, int], new_id: str
) -> None:
    address = f"{new_id}@example.com"
    session = await signed_in(rest, new_id)
    await rest.post("/auth/forgot-password", json={"email": address})
    token = token_of(await mail(stack, address, "Set a new password"))

    async def reset() -> None:
        body = {"token": token, "password": NEW}
        assert (await rest.post("/auth/reset-password", json=body)).status_code == 200

    async with scripted(provider_ports["busy"]) as provider:
        provider.key, provider.meanwhile = KEY, reset
        begun = await began(rest, "busy", bearer(session), purpose="link")
        query = parse_qs(urlsplit(begun["authorizationUrl"]).query)
        provider.signs(query["nonce"][0], sub=new_id)
        answer = {"code": "x", "state": begun["state"]}
        iss = provider.issuer
        reply = await completed(rest, "busy", begun, answer, bearer(session), iss=iss)
    refused(reply, 401, "EXTERNAL_LOGIN_FAILED")
    assert "the user's password was set meanwhile" in stack.log.read_text()
    again = await login(rest, new_id, password=NEW)
    assert (await me(rest, again))["loginMethods"]["external"] == []


async def test_an_address_that_is_proved_meanwhile_ends_a_link(
    rest: httpx.AsyncClient,
    stack: Stack,
    documents: Documents,
    one: OutsideProvider,
    provider_ports: dict[str, int],
    new_id: str,
) -> None:
    """An attacker without a password links another provider as the victim opens the mail."""
    address = f"{new_id}@example.com"
    attacker = (await came_by(rest, "one", one, new_id, {"email": address})).json()["data"]

    async def prove() -> None:
        await _proves(rest, stack, address)

    async with scripted(provider_ports["busy"]) as provider:
        provider.key, provider.meanwhile = KEY, prove
        begun = await began(rest, "busy", bearer(attacker), purpose="link")
        query = parse_qs(urlsplit(begun["authorizationUrl"]).query)
        provider.signs(query["nonce"][0], sub=new_id)
        answer = {"code": "x", "state": begun["state"]}
        iss = provider.issuer
        reply = await completed(rest, "busy", begun, answer, bearer(attacker), iss=iss)
    refused(reply, 401, "EXTERNAL_LOGIN_FAILED")
    account = await documents["credentials"].find_one({"userId": attacker["user"]["userId"]})
    assert account is not None
    assert account["externals"] == []
