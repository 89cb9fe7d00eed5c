"""Users who come by an outside provider: two of them, real ends over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import httpx
import pytest
from aiohttp import web
from finlink.identity.v1 import (
    auth_service_pb2_grpc,
    external_pb2,
    me_pb2,
    me_service_pb2_grpc,
)

from server.core.clock import utc_now
from tests.domains.identity.external.scripted import new_key, scripted
from tests.e2e.connector_steps import Documents, database
from tests.e2e.external_steps import began, browser_of, came_by, completed
from tests.e2e.identity_steps import PASSWORD, Json, bearer, login, refused, register, signed_in
from tests.e2e.mails import mail, token_of
from tests.e2e.users_errors import grpc_error
from tests.providers import CLIENT_SECRET, REDIRECT, OutsideProvider
from tests.stack import Stack

NEW = "an even better battery"
KEY = new_key("first")  # of the scripted provider, which workers remember for a minute


@pytest.fixture
def one(outside_providers: list[OutsideProvider]) -> OutsideProvider:
    return outside_providers[0]


@pytest.fixture
def two(outside_providers: list[OutsideProvider]) -> OutsideProvider:
    return outside_providers[1]


@pytest.fixture
async def documents(stack: Stack) -> AsyncIterator[Documents]:
    async with database(stack) as opened:
        yield opened


def asha(new_id: str, **changes: Any) -> Json:
    return {
        "email": f"{new_id}@Example.com", "email_verified": True, "given_name": "Asha",
        "family_name": "Rao", **changes,
    }  # fmt: skip


async def me(rest: httpx.AsyncClient, session: Json) -> Json:
    reply = await rest.get("/auth/me", headers=bearer(session))
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def events(rest: httpx.AsyncClient, user_id: str) -> list[str]:
    reply = await rest.get("/audit-events", params={"userId": user_id, "limit": 50})
    return [each["action"] for each in reversed(reply.json()["data"]["events"])]


async def test_a_stranger_becomes_a_user_who_comes_again(
    rest: httpx.AsyncClient, stack: Stack, one: OutsideProvider, new_id: str
) -> None:
    listed = (await rest.get("/auth/providers")).json()["data"]["providers"]
    assert [each["name"] for each in listed] == ["one", "two", "scripted"]
    assert listed[0] == {"name": "one", "displayName": "One"}

    reply = await came_by(rest, "one", one, new_id, asha(new_id))
    assert (reply.status_code, reply.json()["message"]) == (200, "Signed in")
    session = reply.json()["data"]
    found = await me(rest, session)
    assert found["userId"].startswith("u_")
    assert (found["email"], found["emailVerified"], found["name"]) == (
        f"{new_id}@example.com", True, "Asha Rao",
    )  # fmt: skip
    assert found["loginMethods"] == {"password": False, "phone": False, "external": ["one"]}
    assert found["session"]["amr"] == ["external"]

    # Only issuer and `sub` say who it is.
    again = await came_by(rest, "one", one, new_id, {"email": f"{new_id}.other@example.com"})
    assert (await me(rest, again.json()["data"]))["userId"] == found["userId"]
    assert await events(rest, found["userId"]) == [
        "user.registered", "user.external_linked", "user.logged_in", "user.logged_in",
    ]  # fmt: skip
    assert CLIENT_SECRET not in stack.log.read_text()


async def test_a_login_is_completed_once_and_by_who_began_it(
    rest: httpx.AsyncClient, stack: Stack, documents: Documents, one: OutsideProvider, new_id: str
) -> None:
    begun = await began(rest, "one")
    answer = await one.sign_in(begun["authorizationUrl"], new_id, **asha(new_id))
    assert answer["state"] == begun["state"]
    assert begun["loginSecret"] not in begun["authorizationUrl"]
    stored = str(await documents["challenges"].find_one({"_id": begun["state"]}))
    (nonce,) = parse_qs(urlsplit(begun["authorizationUrl"]).query)["nonce"]
    assert begun["loginSecret"] not in stored
    assert nonce not in stored
    wrongs: list[Json] = [
        {"loginSecret": "x" * 43},
        {"state": "x" * 43},
        {"iss": "https://evil.example"},
    ]
    for wrong in wrongs:
        reply = await completed(rest, "one", begun, answer, **wrong)
        refused(reply, 401, "EXTERNAL_LOGIN_FAILED")
        assert set(wrong.values()).isdisjoint(reply.text.split('"'))
    # The state of a login at one provider is none at another.
    refused(await completed(rest, "two", begun, answer), 401, "EXTERNAL_LOGIN_FAILED")

    replies = await asyncio.gather(*(completed(rest, "one", begun, answer) for _ in range(4)))
    assert sorted(reply.status_code for reply in replies) == [200, 401, 401, 401]
    session = next(reply for reply in replies if reply.is_success).json()["data"]
    sessions = await rest.get("/auth/sessions", headers=bearer(session))
    assert len(sessions.json()["data"]["sessions"]) == 1
    # The code alone, in a login of somebody else's, is good for nothing.
    other = await began(rest, "one")
    stolen = {"code": answer["code"], "state": other["state"]}
    refused(await completed(rest, "one", other, stolen), 401, "EXTERNAL_LOGIN_FAILED")

    late = await began(rest, "one")
    answer = await one.sign_in(late["authorizationUrl"], new_id)
    await documents["challenges"].update_one(
        {"_id": late["state"]}, {"$set": {"expiresAt": utc_now()}}
    )
    refused(await completed(rest, "one", late, answer), 401, "EXTERNAL_LOGIN_FAILED")
    log = stack.log.read_text()
    for secret in (begun["loginSecret"], begun["state"], stolen["code"], answer["code"]):
        assert secret not in log
    assert "the login secret is wrong" in log


async def test_two_logins_of_a_stranger_at_once_make_one_user(
    rest: httpx.AsyncClient, one: OutsideProvider, new_id: str
) -> None:
    replies = await asyncio.gather(
        *(came_by(rest, "one", one, new_id, asha(new_id)) for _ in range(4))
    )
    sessions = [reply.json()["data"] for reply in replies]
    assert len({each["user"]["userId"] for each in sessions}) == 1
    assert len({each["sessionId"] for each in sessions}) == 4


async def test_an_injected_code_does_not_fit_the_login(
    rest: httpx.AsyncClient, one: OutsideProvider, new_id: str
) -> None:
    """An attacker's code, put into the login of a victim: the nonce of its ID token is another."""
    victim, attacker = await began(rest, "one"), await began(rest, "one")
    theirs = await one.sign_in(attacker["authorizationUrl"], f"{new_id}_a")
    injected = {"code": theirs["code"], "state": victim["state"]}
    refused(await completed(rest, "one", victim, injected), 401, "EXTERNAL_LOGIN_FAILED")


async def test_equal_subs_of_two_providers_are_two_users(
    rest: httpx.AsyncClient, one: OutsideProvider, two: OutsideProvider, new_id: str
) -> None:
    first = await came_by(rest, "one", one, new_id, asha(new_id))
    second = await came_by(rest, "two", two, new_id, asha(f"{new_id}_b"))
    users = {(await me(rest, reply.json()["data"]))["userId"] for reply in (first, second)}
    assert len(users) == 2
    # An address that is known links nobody.
    third = await came_by(rest, "two", two, f"{new_id}_c", asha(new_id))
    error = refused(third, 409, "USER_EXISTS")
    assert [each["field"] for each in error["details"]] == ["email"]


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
    token = token_of(await mail(stack, claims["email"], "Verify your email address"))
    assert (await rest.post("/auth/verify-email", json={"token": token})).status_code == 200
    again = await came_by(rest, "one", one, new_id, {})
    found = await me(rest, again.json()["data"])
    assert (found["userId"], found["emailVerified"]) == (user_id, True)


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


async def test_a_second_factor_is_asked_for(
    rest: httpx.AsyncClient, documents: Documents, one: OutsideProvider, new_id: str
) -> None:
    await came_by(rest, "one", one, new_id, asha(new_id))
    user = await documents["users"].find_one({"email": f"{new_id}@example.com"})
    assert user is not None
    totp = {"sealed": "x", "confirmedAt": utc_now(), "lastStep": 0}
    await documents["credentials"].update_one({"_id": user["_id"]}, {"$set": {"totp": totp}})
    reply = await came_by(rest, "one", one, new_id, {})
    data = reply.json()["data"]
    assert (reply.json()["message"], data.keys()) == ("Second factor required", {"challenge"})
    await rest.put(f"/users/{user['userId']}/status", json={"status": "suspended"})
    refused(await came_by(rest, "one", one, new_id, {}), 403, "USER_NOT_ACTIVE")


async def test_requests_that_are_wrong(rest: httpx.AsyncClient, new_id: str) -> None:
    for uri in (f"{REDIRECT}/", f"{REDIRECT}?x=1", REDIRECT.upper(), "https://evil.example"):
        reply = await rest.post("/auth/external/one/start", json={"redirectUri": uri})
        error = refused(reply, 400, "VALIDATION_ERROR")
        assert [each["field"] for each in error["details"]] == ["redirectUri"]
    unknown = await rest.post("/auth/external/none/start", json={"redirectUri": REDIRECT})
    refused(unknown, 404, "PROVIDER_NOT_FOUND")
    body = {"code": "x", "state": "x", "loginSecret": "x"}
    refused(await rest.post("/auth/external/none/complete", json=body), 404, "PROVIDER_NOT_FOUND")


async def test_it_is_the_same_over_grpc(
    channel: grpc.aio.Channel, one: OutsideProvider, new_id: str
) -> None:
    auth: Any = auth_service_pb2_grpc.AuthServiceStub(channel)
    own: Any = me_service_pb2_grpc.MeServiceStub(channel)
    listed = await auth.ListProviders(external_pb2.ListProvidersRequest())
    assert listed.data.providers[0].display_name == "One"
    start = external_pb2.StartExternalRequest(provider="one", redirect_uri=REDIRECT)
    begun = (await auth.StartExternal(start)).data
    answer = await one.sign_in(begun.authorization_url, new_id, **asha(new_id))
    request = external_pb2.CompleteExternalRequest(
        provider="one",
        code=answer["code"],
        state=answer["state"],
        login_secret=begun.login_secret,
        device_name="stub",
    )
    session = (await auth.CompleteExternal(request)).data
    metadata = (("authorization", f"Bearer {session.token}"),)
    found = await own.GetMe(me_pb2.GetMeRequest(), metadata=metadata)
    assert list(found.data.login_methods.external) == ["one"]
    assert found.data.session.device_name == "stub"
    for call, code in (
        (auth.CompleteExternal(request), "EXTERNAL_LOGIN_FAILED"),
        (
            own.UnlinkExternal(
                external_pb2.UnlinkExternalRequest(provider="one"), metadata=metadata
            ),
            "LAST_CREDENTIAL",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert grpc_error(caught.value).code == code
    start.session = "cookie"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth.StartExternal(start)
    assert set(grpc_error(caught.value).fields) == {"session"}


def unavailable(reply: httpx.Response) -> bool:
    return reply.status_code == 503 and reply.json()["error"]["code"] == "UNAVAILABLE"


async def test_a_provider_that_fails_and_one_that_lies(
    rest: httpx.AsyncClient, provider_ports: dict[str, int], new_id: str
) -> None:
    body = {"redirectUri": REDIRECT}
    gone = await rest.post("/auth/external/scripted/start", json=body)
    assert unavailable(gone)
    async with scripted(provider_ports["scripted"]) as provider:
        provider.key = KEY
        provider.said["/user"] = {"sub": new_id}
        provider.metadata = {"authorization_response_iss_parameter_supported": True}

        async def came(*, iss: str | None = provider.issuer, **claims: Any) -> httpx.Response:
            begun = await began(rest, "scripted")
            query = parse_qs(urlsplit(begun["authorizationUrl"]).query)
            provider.signs(query["nonce"][0], sub=new_id, **claims)
            answer = {"code": "x", "state": begun["state"]}
            sent: Json = {} if iss is None else {"iss": iss}
            reply = await completed(rest, "scripted", begun, answer, **sent)
            if reply.is_success:
                assert provider.proves(begun["authorizationUrl"])
            if not reply.is_success and iss == provider.issuer:
                again = await completed(rest, "scripted", begun, answer, **sent)
                refused(again, 401, "EXTERNAL_LOGIN_FAILED")
            return reply

        refused(await came(iss=None), 401, "EXTERNAL_LOGIN_FAILED")
        refused(await came(iss="https://evil.example"), 401, "EXTERNAL_LOGIN_FAILED")
        refused(await came(aud="another"), 401, "EXTERNAL_LOGIN_FAILED")
        provider.said["/token"] = web.Response(status=503)
        assert unavailable(await came())
        del provider.said["/token"]
        reply = await came()
        found = await me(rest, reply.json()["data"])
        assert "email" not in found
        assert found["emailVerified"] is False


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

    async with scripted(provider_ports["scripted"]) as provider:
        provider.key, provider.meanwhile = KEY, reset
        begun = await began(rest, "scripted", bearer(session), purpose="link")
        query = parse_qs(urlsplit(begun["authorizationUrl"]).query)
        provider.signs(query["nonce"][0], sub=new_id)
        answer = {"code": "x", "state": begun["state"]}
        iss = provider.issuer
        reply = await completed(rest, "scripted", begun, answer, bearer(session), iss=iss)
    refused(reply, 401, "EXTERNAL_LOGIN_FAILED")
    assert "the user's password was set meanwhile" in stack.log.read_text()
    again = await login(rest, new_id, password=NEW)
    assert (await me(rest, again))["loginMethods"]["external"] == []
