"""Signing in over REST."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.e2e.identity_steps import PASSWORD, bearer, login, refused, register, signed_in


async def test_a_user_registers_and_signs_in(rest: httpx.AsyncClient, new_id: str) -> None:
    made = await register(rest, new_id, firstName="Asha", lastName="Rao")
    email = f"{new_id}@example.com"
    assert made == {"userId": new_id, "email": email, "verificationRequired": False}
    reply = await rest.post("/auth/login", json={"email": email.upper(), "password": PASSWORD})
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert (body["success"], body["message"]) == (True, "Signed in")
    data = body["data"]
    assert data["tokenType"] == "Bearer"
    assert (data["expiresIn"], data["refreshExpiresIn"]) == (900, 604_800)
    assert data["refreshToken"].startswith("flr_")
    assert data["user"]["userId"] == new_id
    assert data["user"]["name"] == "Asha Rao"
    assert (data["user"]["role"], data["user"]["isActive"]) == ("user", True)
    assert "lastLoginAt" in data["user"]
    assert PASSWORD not in reply.text


async def test_a_user_id_is_made_where_none_is_sent(rest: httpx.AsyncClient, new_id: str) -> None:
    body = {"email": f"{new_id}@example.com", "password": PASSWORD}
    made = (await rest.post("/auth/register", json=body)).json()["data"]
    assert made["userId"].startswith("u_")
    assert len(made["userId"]) == 22


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("password", "short", "8"),
        ("password", "password", "guess"),
        ("email", "nobody", "email"),
        ("userId", "a b", "letters"),
    ],
)
async def test_a_registration_that_is_wrong_names_the_field(
    rest: httpx.AsyncClient, new_id: str, field: str, value: str, says: str
) -> None:
    body = {"email": f"{new_id}@example.com", "password": PASSWORD, "userId": new_id, field: value}
    error = refused(await rest.post("/auth/register", json=body), 400, "VALIDATION_ERROR")
    (detail,) = error["details"]
    assert detail["field"] == field
    assert says in detail["message"]
    assert value not in detail["message"] or field != "password"


async def test_what_is_taken_is_refused(rest: httpx.AsyncClient, new_id: str) -> None:
    await register(rest, new_id)
    body = {"email": f"{new_id}@example.com", "password": PASSWORD, "userId": new_id}
    error = refused(await rest.post("/auth/register", json=body), 409, "USER_EXISTS")
    assert {each["field"] for each in error["details"]} == {"userId", "email"}


async def test_wrong_and_unknown_get_the_same_reply(rest: httpx.AsyncClient, new_id: str) -> None:
    await register(rest, new_id)
    await rest.post("/users", json={"userId": f"{new_id}_b", "email": f"{new_id}_b@example.com"})
    replies = [
        await rest.post("/auth/login", json={**name, "password": password})
        for name, password in (
            ({"username": new_id}, "wrong"),
            ({"username": f"{new_id}_none"}, PASSWORD),
            ({"username": f"{new_id}_b"}, PASSWORD),  # has no password
            ({"email": f"{new_id}_none@example.com"}, PASSWORD),
            ({"phoneNumber": "+919876543210"}, PASSWORD),
        )
    ]
    errors = [refused(reply, 401, "LOGIN_FAILED") for reply in replies]
    assert len({error["message"] for error in errors}) == 1
    assert all(reply.headers["www-authenticate"] == "Bearer" for reply in replies)


async def test_a_login_has_one_name(rest: httpx.AsyncClient) -> None:
    for names in ({}, {"username": "a", "email": "a@example.com"}):
        reply = await rest.post("/auth/login", json={**names, "password": PASSWORD})
        error = refused(reply, 400, "VALIDATION_ERROR")
        assert {each["field"] for each in error["details"]} == (
            set(names) or {"email", "username", "phoneNumber"}
        )


async def test_one_s_own_account(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    me = (await rest.get("/auth/me", headers=bearer(session))).json()["data"]
    same = (await rest.get("/auth/profile", headers=bearer(session))).json()["data"]
    assert same == me
    assert me["userId"] == new_id
    assert me["loginMethods"] == {"password": True, "phone": False, "external": []}
    assert me["session"]["sessionId"] == session["sessionId"]
    assert (me["session"]["current"], me["session"]["amr"]) == (True, ["pwd"])
    changed = await rest.put(
        "/auth/me",
        json={"city": "Pune", "preferences": {"language": "hi"}},
        headers=bearer(session),
    )
    assert changed.status_code == 200, changed.text
    data = changed.json()["data"]
    assert (data["profile"]["city"], data["preferences"]["language"]) == ("Pune", "hi")
    removed = await rest.put(
        "/auth/me", json={"updateMask": "city,preferences.language"}, headers=bearer(session)
    )
    data = removed.json()["data"]
    assert "city" not in data["profile"]
    assert data["preferences"]["language"] == "en"
    for change, field in (
        ({"city": "Goa", "role": "admin"}, "role"),
        ({"city": "Goa", "updateMask": "metadata.source"}, "metadata"),
        ({"city": "Goa", "updateMask": "emailVerified"}, "emailVerified"),
    ):
        denied = await rest.put("/auth/me", json=change, headers=bearer(session))
        error = refused(denied, 403, "PERMISSION_DENIED")
        assert [each["field"] for each in error["details"]] == [field]
    nobody = await rest.get("/auth/me")
    refused(nobody, 401, "UNAUTHENTICATED")


async def test_refreshing_gives_the_next_tokens_once(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    replies = await asyncio.gather(
        *(
            rest.post("/auth/refresh", json={"refreshToken": session["refreshToken"]})
            for _ in range(8)
        )
    )
    assert {reply.status_code for reply in replies} == {200}
    data = [reply.json()["data"] for reply in replies]
    assert len({each["refreshToken"] for each in data}) == 1
    assert all(each["sessionId"] == session["sessionId"] for each in data)
    assert all("user" not in each and "deviceToken" not in each for each in data)
    for each in data:
        me = await rest.get("/auth/me", headers=bearer(each))
        assert me.status_code == 200


async def test_an_old_refresh_token_ends_the_session(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    token = session["refreshToken"]
    for _ in range(2):
        reply = await rest.post("/auth/refresh", json={"refreshToken": token})
        token = reply.json()["data"]["refreshToken"]
    old = {"refreshToken": session["refreshToken"]}
    refused(await rest.post("/auth/refresh", json=old), 401, "SESSION_ENDED")
    refused(await rest.post("/auth/refresh", json={"refreshToken": token}), 401, "SESSION_ENDED")
    reply = await rest.get("/auth/me", headers=bearer(session))
    refused(reply, 401, "SESSION_ENDED")
    assert reply.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_forged_refresh_token_ends_nothing(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    token = session["refreshToken"]
    forged = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    reply = await rest.post("/auth/refresh", json={"refreshToken": forged})
    refused(reply, 401, "UNAUTHENTICATED")
    assert (await rest.get("/auth/me", headers=bearer(session))).status_code == 200


async def test_signing_out_always_succeeds(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    for headers, body in (
        ({}, {}),
        ({"authorization": "Bearer none"}, {"refreshToken": "none"}),
        (bearer(session), {}),
        (bearer(session), {}),
        ({}, {"refreshToken": session["refreshToken"]}),
    ):
        reply = await rest.post("/auth/logout", json=body, headers=headers)
        assert (reply.status_code, reply.json()["message"]) == (200, "Signed out")
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")


async def test_a_refresh_token_alone_signs_out(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    body = {"refreshToken": session["refreshToken"]}
    assert (await rest.post("/auth/logout", json=body)).status_code == 200
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")


async def test_sessions_are_listed_and_ended(rest: httpx.AsyncClient, new_id: str) -> None:
    first = await signed_in(rest, new_id)
    others = [await login(rest, new_id, deviceName=f"phone {number}") for number in range(3)]
    reply = await rest.get("/auth/sessions", params={"limit": 3}, headers=bearer(first))
    data = reply.json()["data"]
    rest_of = await rest.get(
        "/auth/sessions",
        params={"limit": 3, "pageToken": data["pagination"]["nextPageToken"]},
        headers=bearer(first),
    )
    listed = [*data["sessions"], *rest_of.json()["data"]["sessions"]]
    assert {each["sessionId"] for each in listed} == {
        each["sessionId"] for each in (first, *others)
    }
    assert [each["current"] for each in listed].count(True) == 1
    assert "flr_" not in reply.text

    one = others[0]["sessionId"]
    for _ in range(2):
        ended = await rest.delete(f"/auth/sessions/{one}", headers=bearer(first))
        assert ended.status_code == 200, ended.text
    refused(await rest.get("/auth/me", headers=bearer(others[0])), 401, "SESSION_ENDED")
    stranger = await signed_in(rest, f"{new_id}_b")
    foreign = await rest.delete(f"/auth/sessions/{stranger['sessionId']}", headers=bearer(first))
    refused(foreign, 404, "SESSION_NOT_FOUND")
    assert (await rest.delete("/auth/sessions", headers=bearer(first))).status_code == 200
    assert (await rest.get("/auth/me", headers=bearer(first))).status_code == 200
    for other in others[1:]:
        refused(await rest.get("/auth/me", headers=bearer(other)), 401, "SESSION_ENDED")
    await rest.delete("/auth/sessions", params={"includeCurrent": "true"}, headers=bearer(first))
    refused(await rest.get("/auth/me", headers=bearer(first)), 401, "SESSION_ENDED")


async def test_a_new_password_ends_the_other_sessions(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    other = await login(rest, new_id)
    new = "an even better battery"
    wrong = {"currentPassword": "wrong", "newPassword": new}
    denied = await rest.put("/auth/me/password", json=wrong, headers=bearer(session))
    refused(denied, 401, "LOGIN_FAILED")
    weak = {"currentPassword": PASSWORD, "newPassword": "password"}
    denied = await rest.put("/auth/me/password", json=weak, headers=bearer(session))
    error = refused(denied, 400, "VALIDATION_ERROR")
    assert [each["field"] for each in error["details"]] == ["newPassword"]
    body = {"currentPassword": PASSWORD, "newPassword": new}
    changed = await rest.put("/auth/me/password", json=body, headers=bearer(session))
    assert changed.status_code == 200, changed.text
    assert (await rest.get("/auth/me", headers=bearer(session))).status_code == 200
    refused(await rest.get("/auth/me", headers=bearer(other)), 401, "SESSION_ENDED")
    old = await rest.post("/auth/login", json={"username": new_id, "password": PASSWORD})
    refused(old, 401, "LOGIN_FAILED")
    await login(rest, new_id, password=new)


async def test_a_token_is_looked_up_by_a_service(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    denied = await rest.post("/auth/introspect", json={"token": session["token"]})
    refused(denied, 401, "UNAUTHENTICATED")


async def test_the_keys_are_published(rest: httpx.AsyncClient, new_id: str) -> None:
    await signed_in(rest, new_id)
    root = str(rest.base_url).removesuffix("/api/v1/")
    reply = await rest.get(f"{root}/.well-known/jwks.json")
    assert reply.headers["cache-control"] == "public, max-age=300"
    keys = reply.json()["keys"]
    assert keys
    assert all(key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"} for key in keys)


async def test_users_see_what_is_theirs(rest: httpx.AsyncClient, new_id: str) -> None:
    ann, bob = f"{new_id}_a", f"{new_id}_b"
    session = await signed_in(rest, ann)
    await register(rest, bob)
    for user_id in (bob, f"{new_id}_none"):
        reply = await rest.get(f"/users/{user_id}", headers=bearer(session))
        refused(reply, 403, "PERMISSION_DENIED")
    assert (await rest.get(f"/users/{ann}", headers=bearer(session))).status_code == 200
    refused(await rest.get("/users", headers=bearer(session)), 403, "PERMISSION_DENIED")


async def test_a_deleted_user_s_sessions_end_and_nobody_inherits_them(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    session = await signed_in(rest, new_id)
    gone = await rest.delete(f"/users/{new_id}", headers=bearer(session))
    assert gone.status_code == 200, gone.text
    await register(rest, new_id)
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")
    body = {"refreshToken": session["refreshToken"]}
    refused(await rest.post("/auth/refresh", json=body), 401, "SESSION_ENDED")


async def test_a_suspended_user_is_out_at_once(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    await rest.put(f"/users/{new_id}/status", json={"status": "suspended"})
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")
    reply = await rest.post("/auth/login", json={"username": new_id, "password": PASSWORD})
    refused(reply, 403, "USER_NOT_ACTIVE")
    await rest.put(f"/users/{new_id}/status", json={"status": "active"})
    await login(rest, new_id)


async def test_two_users_send_one_idempotency_key(rest: httpx.AsyncClient, new_id: str) -> None:
    replies = []
    for name in ("a", "b"):
        session = await signed_in(rest, f"{new_id}_{name}")
        headers = {**bearer(session), "Idempotency-Key": "1"}
        replies.append(await rest.put("/auth/me", json={"city": "Pune"}, headers=headers))
    assert [reply.json()["data"]["userId"] for reply in replies] == [f"{new_id}_a", f"{new_id}_b"]


async def test_a_browser_gets_a_cookie_for_calls_from_its_own_site(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    await register(rest, new_id)
    body = {"username": new_id, "password": PASSWORD, "session": "cookie"}
    refused(await rest.post("/auth/login", json=body), 403, "CSRF_REFUSED")
    own = {"sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=rest.base_url) as browser:
        reply = await browser.post("/auth/login", json=body, headers=own)
        assert reply.status_code == 200, reply.text
        assert reply.json()["data"].keys() == {"expiresIn", "sessionId", "user"}
        cookie = reply.headers.get_list("set-cookie")[0]
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert (await browser.get("/auth/me")).json()["data"]["session"]["kind"] == "cookie"
        change = {"city": "Pune"}
        for headers, status in (
            (own, 200),
            ({"sec-fetch-site": "none"}, 200),
            ({"x-requested-with": "XMLHttpRequest"}, 200),
            ({}, 403),
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"sec-fetch-site": "cross-site", "x-requested-with": "x"}, 403),
            ({"origin": "https://evil.example"}, 403),
        ):
            changed = await browser.put("/auth/me", json=change, headers=headers)
            assert changed.status_code == status, (headers, changed.text)
        left = await browser.post("/auth/logout", json={}, headers=own)
        assert left.status_code == 200
        assert not [name for name in browser.cookies if name.endswith("session")]
        refused(await browser.get("/auth/me"), 401, "UNAUTHENTICATED")


async def test_strangers_lock_strangers_only(rest: httpx.AsyncClient, new_id: str) -> None:
    session = await signed_in(rest, new_id)
    body = {"username": new_id, "password": PASSWORD}
    own = {"sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=rest.base_url) as browser:
        first = await browser.post("/auth/login", json={**body, "session": "cookie"}, headers=own)
        assert first.status_code == 200, first.text
        for _ in range(5):
            wrong = await rest.post("/auth/login", json={**body, "password": "wrong"})
            refused(wrong, 401, "LOGIN_FAILED")
        locked = await rest.post("/auth/login", json=body)
        refused(locked, 429, "ACCOUNT_LOCKED")
        assert 0 < int(locked.headers["retry-after"]) <= 60
        await login(rest, new_id, deviceToken=session["deviceToken"])
    async with httpx.AsyncClient(base_url=rest.base_url, cookies=first.cookies) as browser:
        again = await browser.post("/auth/login", json=body, headers=own)
        assert again.status_code == 200, again.text
