"""Users who come by an outside provider: real ends over HTTP."""

from __future__ import annotations

import asyncio
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
from tests.domains.identity.external.scripted import scripted
from tests.e2e.connector_steps import Documents
from tests.e2e.external_steps import KEY, asha, began, came_by, completed, events, me
from tests.e2e.identity_steps import Json, bearer, refused
from tests.e2e.users_errors import grpc_error
from tests.providers import CLIENT_SECRET, REDIRECT, OutsideProvider
from tests.stack import Stack


async def test_a_stranger_becomes_a_user_who_comes_again(
    rest: httpx.AsyncClient, stack: Stack, one: OutsideProvider, new_id: str
) -> None:
    listed = (await rest.get("/auth/providers")).json()["data"]["providers"]
    assert [each["name"] for each in listed] == ["one", "two", "scripted", "busy", "gone"]
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
    gone = await rest.post("/auth/external/gone/start", json=body)
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
