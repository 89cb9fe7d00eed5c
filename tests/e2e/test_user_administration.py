"""What staff do about users, over REST: whole users, roles, users who come back."""

from __future__ import annotations

import httpx

from tests.e2e.connector_steps import Documents, Json
from tests.e2e.identity_steps import (
    PASSWORD,
    bearer,
    login,
    refused,
    register,
    signed_in,
    with_role,
)
from tests.e2e.mails import mail, token_of
from tests.stack import Stack

NEW = "an even better battery"


async def user(rest: httpx.AsyncClient, user_id: str) -> Json:
    """The user as everybody sees it."""
    reply = await rest.get(f"/users/{user_id}")
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


def named(error: Json) -> set[str]:
    return {each["field"] for each in error["details"]}


async def actions(rest: httpx.AsyncClient, chief: dict[str, str], user_id: str) -> list[str]:
    """Of the audit trail, the newest first."""
    reply = await rest.get("/audit-events", params={"userId": user_id}, headers=chief)
    return [event["action"] for event in reply.json()["data"]["events"]]


# --- creating -----------------------------------------------------------------------------------


async def test_a_user_is_created_with_a_password(rest: httpx.AsyncClient, new_id: str) -> None:
    body = {"username": new_id, "email": f"{new_id}@example.com", "password": PASSWORD}
    made = await rest.post("/users", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["data"]["userId"] == new_id
    assert PASSWORD not in made.text
    assert (await login(rest, new_id))["user"]["role"] == "user"
    again = await rest.post("/users", json=body)
    assert named(refused(again, 409, "USER_EXISTS")) == {"userId", "email"}


async def test_a_new_user_has_one_name(rest: httpx.AsyncClient, new_id: str) -> None:
    both = {"userId": new_id, "username": new_id}
    for names, wrong in (({}, {"userId", "email"}), (both, {"userId", "username", "email"})):
        error = refused(await rest.post("/users", json=names), 400, "VALIDATION_ERROR")
        assert named(error) == wrong


async def test_a_password_that_is_refused_creates_nobody(
    rest: httpx.AsyncClient, new_id: str
) -> None:
    body = {"userId": new_id, "email": f"{new_id}@example.com", "password": "password"}
    error = refused(await rest.post("/users", json=body), 400, "VALIDATION_ERROR")
    assert named(error) == {"password"}
    assert (await rest.get(f"/users/{new_id}")).status_code == 404


async def test_a_role_is_given_by_admins(
    rest: httpx.AsyncClient, chief: dict[str, str], new_id: str
) -> None:
    body = {"userId": new_id, "email": f"{new_id}@example.com", "role": "moderator"}
    # Without a credential, which other calls do not need here.
    error = refused(await rest.post("/users", json=body), 403, "PERMISSION_DENIED")
    assert named(error) == {"role"}
    made = await rest.post("/users", json=body, headers=chief)
    assert made.json()["data"]["role"] == "moderator"


# --- changing -----------------------------------------------------------------------------------


async def test_users_change_what_is_theirs(rest: httpx.AsyncClient, new_id: str) -> None:
    own = bearer(await signed_in(rest, new_id))
    body = {"city": "Pune", "income": 5.5, "preferences": {"notifications": {"sms": True}}}
    changed = await rest.patch(f"/users/{new_id}", json=body, headers=own)
    assert (changed.status_code, changed.json()["message"]) == (200, "User updated successfully")
    data = changed.json()["data"]
    assert data["profile"] == {"city": "Pune", "income": 5.5}
    assert data["preferences"]["notifications"]["sms"] is True
    mask = {"updateMask": "income,preferences.notifications.sms"}
    data = (await rest.patch(f"/users/{new_id}", json=mask, headers=own)).json()["data"]
    assert data["profile"] == {"city": "Pune"}
    assert data["preferences"]["notifications"]["sms"] is False
    refused(await rest.patch(f"/users/{new_id}", json={}, headers=own), 400, "VALIDATION_ERROR")
    kept = await rest.patch(f"/users/{new_id}", json={"updateMask": "email"}, headers=own)
    assert named(refused(kept, 400, "VALIDATION_ERROR")) == {"updateMask"}


async def test_what_is_past_the_caller_s_right_is_named_and_nothing_changes(
    rest: httpx.AsyncClient, chief: dict[str, str], helper: dict[str, str], new_id: str
) -> None:
    own = bearer(await signed_in(rest, new_id))
    before = await user(rest, new_id)
    body = {
        "city": "Goa",
        "metadata": {"tags": ["vip"]},
        "email": f"{new_id}_b@example.com",
        "status": "inactive",
        "role": "admin",
    }
    place = f"/users/{new_id}"
    error = refused(await rest.patch(place, json=body, headers=own), 403, "PERMISSION_DENIED")
    assert named(error) == set(body) - {"city"}
    error = refused(await rest.patch(place, json=body, headers=helper), 403, "PERMISSION_DENIED")
    assert named(error) == set(body) - {"status"}
    assert await user(rest, new_id) == before
    other = bearer(await signed_in(rest, f"{new_id}_b"))
    for about in (new_id, f"{new_id}_nobody"):
        reply = await rest.patch(f"/users/{about}", json={"city": "Goa"}, headers=other)
        assert named(refused(reply, 403, "PERMISSION_DENIED")) == set()
    replaced = await rest.put(place, json={"email": before["email"]}, headers=helper)
    refused(replaced, 403, "PERMISSION_DENIED")
    refused(await rest.patch(place, json={"city": "Goa"}), 401, "UNAUTHENTICATED")
    suspended = await rest.patch(place, json={"status": "suspended"}, headers=helper)
    assert suspended.json()["data"]["status"] == "suspended"
    refused(await rest.get("/auth/me", headers=own), 401, "SESSION_ENDED")
    assert (await actions(rest, chief, new_id))[:1] == ["user.status_changed"]


async def test_an_admin_changes_everything_at_once(
    rest: httpx.AsyncClient, chief: dict[str, str], new_id: str
) -> None:
    await register(rest, new_id)
    body = {"city": "Goa", "metadata": {"tags": ["vip"]}, "role": "moderator", "status": "inactive"}
    changed = await rest.patch(f"/users/{new_id}", json=body, headers=chief)
    data = changed.json()["data"]
    assert (data["role"], data["status"], data["isActive"]) == ("moderator", "inactive", False)
    assert (data["profile"]["city"], data["metadata"]["tags"]) == ("Goa", ["vip"])
    assert set((await actions(rest, chief, new_id))[:3]) == {
        "user.updated",
        "user.status_changed",
        "user.role_changed",
    }
    cleared = await rest.patch(f"/users/{new_id}", json={"metadata": {"tags": []}}, headers=chief)
    assert cleared.json()["data"]["metadata"]["tags"] == []
    nobody = await rest.patch(f"/users/{new_id}_nobody", json=body, headers=chief)
    refused(nobody, 404, "USER_NOT_FOUND")


async def test_another_email_is_not_verified_and_the_old_address_hears_of_it(
    rest: httpx.AsyncClient, stack: Stack, chief: dict[str, str], new_id: str
) -> None:
    old, new = f"{new_id}@example.com", f"{new_id}_new@example.com"
    await register(rest, new_id)
    await rest.put(f"/users/{new_id}/email-verified", json={"emailVerified": True})
    await rest.post("/auth/forgot-password", json={"email": old})
    token = token_of(await mail(stack, old, "Set a new password"))
    changed = await rest.patch(f"/users/{new_id}", json={"email": new.upper()}, headers=chief)
    data = changed.json()["data"]
    assert (data["email"], data["emailVerified"]) == (new, False)
    message = await mail(stack, old, "Your email address was changed")
    assert new not in message["text"]
    reset = await rest.post("/auth/reset-password", json={"token": token, "password": NEW})
    refused(reset, 400, "CODE_INVALID")
    assert (await actions(rest, chief, new_id))[0] == "user.email_changed"
    taken = f"{new_id}_chief@example.com"
    reply = await rest.patch(f"/users/{new_id}", json={"email": taken}, headers=chief)
    assert named(refused(reply, 409, "USER_EXISTS")) == {"email"}
    own = await rest.patch(f"/users/{new_id}_chief", json={"email": old}, headers=chief)
    assert named(refused(own, 403, "PERMISSION_DENIED")) == {"email"}


async def test_a_replaced_user_has_what_was_sent(
    rest: httpx.AsyncClient, chief: dict[str, str], new_id: str
) -> None:
    own = bearer(await signed_in(rest, new_id))
    email, place = f"{new_id}@example.com", f"/users/{new_id}"
    first = {"city": "Pune", "metadata": {"source": "web", "tags": ["a"]}, "status": "active"}
    await rest.patch(place, json={**first, "preferences": {"language": "hi"}}, headers=chief)
    lost = await rest.put(f"/users/{new_id}", json={"city": "Goa"}, headers=own)
    assert named(refused(lost, 400, "VALIDATION_ERROR")) == {"email"}
    reply = await rest.put(place, json={"email": email, "country": "India"}, headers=own)
    data = reply.json()["data"]
    assert data["profile"] == {"country": "India"}
    assert data["preferences"]["language"] == "en"
    assert data["metadata"] == {"source": "web", "tags": ["a"]}, "which users cannot change"
    denied = {"email": f"{new_id}_b@example.com", "metadata": {}, "role": "admin"}
    error = refused(await rest.put(place, json=denied, headers=own), 403, "PERMISSION_DENIED")
    assert named(error) == set(denied)
    data = (await rest.put(place, json={"email": email}, headers=chief)).json()["data"]
    assert (data["profile"], data["metadata"]) == ({}, {"tags": []})
    assert (data["status"], data["role"], data["email"]) == ("active", "user", email)


# --- coming back --------------------------------------------------------------------------------


async def test_a_deleted_user_comes_back_without_logins(
    rest: httpx.AsyncClient, documents: Documents, chief: dict[str, str], new_id: str
) -> None:
    session = await with_role(rest, documents, new_id, "moderator")
    before = await user(rest, new_id)
    place = f"/users/{new_id}/restore"
    there = await rest.post(f"/users/{new_id}/restore", json={}, headers=chief)
    refused(there, 404, "USER_NOT_FOUND")
    assert (await rest.delete(f"/users/{new_id}")).status_code == 200
    refused(await rest.post(place, json={}), 401, "UNAUTHENTICATED")
    back = await rest.post(place, json={}, headers=chief)
    assert (back.status_code, back.json()["message"]) == (200, "User restored successfully")
    data = back.json()["data"]
    assert (data["id"], data["role"]) == (before["id"], "user")
    assert data["email"] == before["email"]
    assert data == await user(rest, new_id)
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")
    reply = await rest.post("/auth/login", json={"username": new_id, "password": PASSWORD})
    refused(reply, 401, "LOGIN_FAILED")
    assert (await actions(rest, chief, new_id))[0] == "user.restored"
    refused(await rest.post(place, json={}, headers=chief), 404, "USER_NOT_FOUND")


async def test_what_was_taken_meanwhile_keeps_a_user_away(
    rest: httpx.AsyncClient, chief: dict[str, str], new_id: str
) -> None:
    await register(rest, new_id)
    await rest.delete(f"/users/{new_id}")
    body = {"userId": f"{new_id}_b", "email": f"{new_id}@example.com"}
    assert (await rest.post("/users", json=body)).status_code == 201
    place = f"/users/{new_id}/restore"
    error = refused(await rest.post(place, json={}, headers=chief), 409, "USER_EXISTS")
    assert named(error) == {"email"}
    await register(rest, new_id, email=f"{new_id}_c@example.com")
    error = refused(await rest.post(place, json={}, headers=chief), 409, "USER_EXISTS")
    assert named(error) == {"userId", "email"}
