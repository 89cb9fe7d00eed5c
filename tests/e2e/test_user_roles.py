"""Roles: who gives them, what they end, and what staff may do about the logins of others."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import grpc
import httpx
import pytest
from finlink.connectors.v1 import connector_service_pb2_grpc, watch_pb2
from finlink.identity.v1 import user_admin_pb2, user_admin_service_pb2_grpc
from finlink.users.v1 import user_changes_pb2, user_creation_pb2
from finlink.users.v1.user_service_pb2 import GetUserRequest
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub

from tests.e2e.connector_steps import Documents
from tests.e2e.identity_steps import (
    PASSWORD,
    Json,
    bearer,
    login,
    refused,
    register,
    signed_in,
    with_role,
)
from tests.e2e.mails import mail, token_of
from tests.e2e.users_errors import Failure, grpc_error
from tests.e2e.watch_steps import events_of
from tests.stack import ROOT, Stack


def granted(stack: Stack, user_id: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATA_DIR": str(stack.data_dir)}
    return subprocess.run(
        [sys.executable, "-m", "server", "users", "grant-admin", user_id],
        cwd=ROOT, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip


async def refreshed(rest: httpx.AsyncClient, session: Json) -> Json:
    reply = await rest.post("/auth/refresh", json={"refreshToken": session["refreshToken"]})
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def test_the_first_admin_is_made_on_the_command_line(
    rest: httpx.AsyncClient, stack: Stack, new_id: str
) -> None:
    session = await signed_in(rest, new_id)
    refused(await rest.get("/users", headers=bearer(session)), 403, "PERMISSION_DENIED")
    missing = await asyncio.to_thread(granted, stack, f"{new_id}_nobody")
    assert missing.returncode == 1
    assert missing.stderr.startswith(f"finlink: there is no user {new_id}_nobody")
    for _ in range(2):
        done = await asyncio.to_thread(granted, stack, new_id)
        assert (done.returncode, done.stderr) == (0, "")
    chief = bearer(await refreshed(rest, session))
    assert (await rest.get("/users", headers=chief)).status_code == 200
    params = {"userId": new_id, "action": "user.role_changed"}
    reply = await rest.get("/audit-events", params=params, headers=chief)
    (event,) = reply.json()["data"]["events"]
    assert (event["actor"]["kind"], event["fields"]) == ("command", ["role"])


async def test_a_change_of_role_expires_tokens_and_ends_streams(
    rest: httpx.AsyncClient,
    channel: grpc.aio.Channel,
    documents: Documents,
    chief: dict[str, str],
    new_id: str,
) -> None:
    session = await with_role(rest, documents, new_id, "admin")
    watch: Any = connector_service_pb2_grpc.ConnectorServiceStub(channel).WatchConnectors(
        watch_pb2.WatchConnectorsRequest(),
        metadata=(("authorization", bearer(session)["authorization"]),),
    )
    assert await watch.read() is not grpc.aio.EOF
    cookie = await rest.post(
        "/auth/login",
        json={"username": new_id, "password": PASSWORD, "session": "cookie"},
        headers={"sec-fetch-site": "same-origin"},
    )
    sent = "; ".join(each.partition(";")[0] for each in cookie.headers.get_list("set-cookie"))
    rest.cookies.clear()
    async with rest.stream("GET", "/connectors/watch", headers={"cookie": sent}) as stream:
        events = events_of(stream.aiter_lines())
        assert (await anext(events)).name != "error"
        demoted = await rest.put(f"/users/{new_id}/role", json={"role": "user"}, headers=chief)
        assert (demoted.status_code, demoted.json()["message"]) == (
            200,
            "Role updated successfully",
        )
        assert demoted.json()["data"]["role"] == "user"
        async with asyncio.timeout(10):
            last = [event async for event in events if event.name == "error"]
    assert last[-1].data["error"]["code"] == "TOKEN_EXPIRED"
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "TOKEN_EXPIRED")
    assert (await failed(_all_of(watch))).code == "TOKEN_EXPIRED"
    again = bearer(await refreshed(rest, session))
    assert (await rest.get("/auth/me", headers=again)).json()["data"]["role"] == "user"
    refused(await rest.get("/users", headers=again), 403, "PERMISSION_DENIED")
    # The cookie's session goes on, with the role that there is now.
    assert (await rest.get("/auth/me", headers={"cookie": sent})).json()["data"]["role"] == "user"
    refused(await rest.get("/users", headers={"cookie": sent}), 403, "PERMISSION_DENIED")


async def test_of_two_admins_who_demote_each_other_one_stays(
    rest: httpx.AsyncClient, documents: Documents, new_id: str
) -> None:
    ids = [f"{new_id}_{letter}" for letter in "ab"]
    sessions = [await with_role(rest, documents, each, "admin") for each in ids]
    others = {"role": "admin", "userId": {"$nin": ids}}
    await documents["users"].update_many(others, {"$set": {"role": "user"}})
    replies = await asyncio.gather(
        *(
            rest.put(f"/users/{other}/role", json={"role": "user"}, headers=bearer(session))
            for session, other in zip(sessions, reversed(ids), strict=True)
        )
    )
    # One is demoted. The other call is decided after that, or comes with a token that has expired by then.
    (good,) = [reply for reply in replies if reply.status_code == 200]
    (bad,) = [reply for reply in replies if reply is not good]
    assert bad.json()["error"]["code"] in {"LAST_ADMIN", "TOKEN_EXPIRED"}
    last = next(each for each in ids if each != good.json()["data"]["userId"])
    assert await documents["users"].count_documents({"role": "admin"}) == 1
    own = bearer(sessions[ids.index(last)])
    for body in ({"role": "moderator"}, {"role": "user"}):
        reply = await rest.put(f"/users/{last}/role", json=body, headers=own)
        refused(reply, 409, "LAST_ADMIN")
        patched = await rest.patch(f"/users/{last}", json=body, headers=own)
        refused(patched, 409, "LAST_ADMIN")
    for status in ("suspended", "inactive"):
        body = {"status": status}
        for reply in (
            await rest.put(f"/users/{last}/status", json=body, headers=own),
            await rest.put(f"/users/{last}/status", json=body),
        ):
            refused(reply, 409, "LAST_ADMIN")
    refused(await rest.delete(f"/users/{last}", headers=own), 409, "LAST_ADMIN")
    refused(await rest.delete(f"/users/{last}"), 409, "LAST_ADMIN")
    assert (await rest.get("/auth/me", headers=own)).json()["data"]["status"] == "active"


async def test_roles_are_given_by_admins_only(
    rest: httpx.AsyncClient, helper: dict[str, str], new_id: str
) -> None:
    own = bearer(await signed_in(rest, new_id))
    place = f"/users/{new_id}/role"
    for headers in (own, helper):
        reply = await rest.put(place, json={"role": "admin"}, headers=headers)
        refused(reply, 403, "PERMISSION_DENIED")
    refused(await rest.put(place, json={"role": "admin"}), 401, "UNAUTHENTICATED")
    wrong = await rest.put(place, json={"role": "owner"}, headers=own)
    refused(wrong, 403, "PERMISSION_DENIED")


async def test_a_moderator_acts_on_users_only(
    rest: httpx.AsyncClient, chief: dict[str, str], helper: dict[str, str], new_id: str
) -> None:
    await register(rest, new_id)
    about = {f"{new_id}_chief": 403, new_id: 200}
    for user_id, status in about.items():
        for verb, path, body in (
            ("GET", f"/users/{user_id}/sessions", None),
            ("DELETE", f"/users/{user_id}/sessions", None),
            ("PUT", f"/users/{user_id}/status", {"status": "active"}),
            ("PATCH", f"/users/{user_id}", {"status": "active"}),
        ):
            reply = await rest.request(verb, path, json=body, headers=helper)
            assert reply.status_code == status, (verb, path, reply.text)
    # What is the moderator's own is nobody else's business.
    own = await rest.get(f"/users/{new_id}_helper", headers=helper)
    assert own.status_code == 200
    inactive = {"status": "inactive"}
    reply = await rest.put(f"/users/{new_id}_helper/status", json=inactive, headers=helper)
    refused(reply, 403, "PERMISSION_DENIED")
    reply = await rest.get(f"/users/{new_id}_helper/sessions", headers=chief)
    assert reply.status_code == 200


async def test_a_moderator_reads_of_one_what_a_list_shows(
    rest: httpx.AsyncClient, chief: dict[str, str], helper: dict[str, str], new_id: str
) -> None:
    ids = [new_id, f"{new_id}_chief", f"{new_id}_helper"]
    await register(rest, new_id)
    batch = await rest.get("/users:batchGet", params={"userIds": ids}, headers=helper)
    listed = {each["userId"]: each for each in batch.json()["data"]["users"]}
    assert listed.keys() == set(ids)
    for user_id in ids:
        for _ in range(2):  # the second is a cached one
            read = await rest.get(f"/users/{user_id}", headers=helper)
            assert read.status_code == 200, read.text
            assert read.json()["data"]["email"] == listed[user_id]["email"]
        connectors = await rest.get(f"/connectors/user/{user_id}", headers=helper)
        assert connectors.status_code == 200, connectors.text


async def test_staff_list_and_end_the_sessions_of_a_user(
    rest: httpx.AsyncClient, helper: dict[str, str], new_id: str
) -> None:
    sessions = [await signed_in(rest, new_id), await login(rest, new_id)]
    place = f"/users/{new_id}/sessions"
    page = (await rest.get(place, params={"limit": 1}, headers=helper)).json()["data"]
    token = page["pagination"]["nextPageToken"]
    rest_of = (await rest.get(place, params={"pageToken": token}, headers=helper)).json()["data"]
    found = [each["sessionId"] for each in page["sessions"] + rest_of["sessions"]]
    assert set(found) == {each["sessionId"] for each in sessions}
    assert not any(each["current"] for each in page["sessions"])
    refused(await rest.get(place, headers=bearer(sessions[0])), 403, "PERMISSION_DENIED")
    refused(await rest.get(place), 401, "UNAUTHENTICATED")
    for _ in range(2):
        ended = await rest.delete(f"/users/{new_id}/sessions", headers=helper)
        assert (ended.status_code, ended.json()["message"]) == (200, "Sessions ended")
    for session in sessions:
        refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")
    nobody = await rest.get(f"/users/{new_id}_nobody/sessions", headers=helper)
    refused(nobody, 404, "USER_NOT_FOUND")


async def test_an_admin_unlocks_a_user_and_sends_the_mail_of_a_reset(
    rest: httpx.AsyncClient,
    stack: Stack,
    chief: dict[str, str],
    helper: dict[str, str],
    new_id: str,
) -> None:
    await register(rest, new_id)
    for _ in range(5):
        reply = await rest.post("/auth/login", json={"username": new_id, "password": "wrong"})
        refused(reply, 401, "LOGIN_FAILED")
    locked = await rest.post("/auth/login", json={"username": new_id, "password": PASSWORD})
    refused(locked, 429, "ACCOUNT_LOCKED")
    for path in ("unlock", "send-password-reset"):
        place = f"/users/{new_id}/{path}"
        refused(await rest.post(place, json={}, headers=helper), 403, "PERMISSION_DENIED")
        assert (await rest.post(place, json={}, headers=chief)).status_code == 200
        nobody = await rest.post(f"/users/{new_id}_nobody/{path}", json={}, headers=chief)
        refused(nobody, 404, "USER_NOT_FOUND")
    again = await rest.post(f"/users/{new_id}/unlock", json={}, headers=chief)
    assert again.json()["message"] == "User unlocked"
    await login(rest, new_id)
    params = {"userId": new_id, "action": "login.unlocked"}
    audited = await rest.get("/audit-events", params=params, headers=chief)
    assert len(audited.json()["data"]["events"]) == 2
    sent = await rest.post(f"/users/{new_id}/send-password-reset", json={}, headers=chief)
    assert sent.json()["message"] == "A mail is on its way"
    token = token_of(await mail(stack, f"{new_id}@example.com", "Set a new password"))
    done = await rest.post(
        "/auth/reset-password", json={"token": token, "password": "an even better battery"}
    )
    assert done.status_code == 200


async def test_over_grpc(
    rest: httpx.AsyncClient,
    channel: grpc.aio.Channel,
    users: UserServiceStub,
    chief: dict[str, str],
    new_id: str,
) -> None:
    session = await signed_in(rest, new_id)
    admin = (("authorization", chief["authorization"]),)
    own = (("authorization", bearer(session)["authorization"]),)
    staff: Any = user_admin_service_pb2_grpc.UserAdminServiceStub(channel)
    stub: Any = users

    patch = user_changes_pb2.UpdateUserRequest(user_id=new_id, city="Pune")
    assert (await stub.UpdateUser(patch, metadata=own)).data.profile.city == "Pune"
    whole = user_changes_pb2.ReplaceUserRequest(
        user_id=new_id, email=f"{new_id}@example.com", country="India"
    )
    replaced = (await stub.ReplaceUser(whole, metadata=own)).data
    assert (replaced.profile.country, replaced.profile.city) == ("India", "")
    denied = user_changes_pb2.UpdateUserRequest(user_id=new_id, role="admin", status="active")
    failure = await failed(stub.UpdateUser(denied, metadata=own))
    assert (failure.code, set(failure.fields)) == ("PERMISSION_DENIED", {"role", "status"})

    listed = await staff.ListUserSessions(
        user_admin_pb2.ListUserSessionsRequest(user_id=new_id), metadata=admin
    )
    assert [each.session_id for each in listed.data.sessions] == [session["sessionId"]]
    role = user_changes_pb2.SetUserRoleRequest(user_id=new_id, role="moderator")
    assert (await stub.SetUserRole(role, metadata=admin)).data.role == "moderator"
    assert (
        await failed(stub.GetUser(GetUserRequest(user_id=new_id), metadata=own))
    ).code == "TOKEN_EXPIRED"
    unlock = user_admin_pb2.UnlockUserRequest(user_id=new_id)
    assert (await staff.UnlockUser(unlock, metadata=admin)).message == "User unlocked"
    reset = user_admin_pb2.SendPasswordResetRequest(user_id=new_id)
    assert (await staff.SendPasswordReset(reset, metadata=admin)).message == "A mail is on its way"
    end = user_admin_pb2.RevokeUserSessionsRequest(user_id=new_id)
    assert (await staff.RevokeUserSessions(end, metadata=admin)).message == "Sessions ended"
    await stub.DeleteUser(user_creation_pb2.DeleteUserRequest(user_id=new_id))
    back = user_creation_pb2.RestoreUserRequest(user_id=new_id)
    assert (await stub.RestoreUser(back, metadata=admin)).data.role == "user"
    assert (await failed(staff.UnlockUser(unlock))).code == "UNAUTHENTICATED"


async def _all_of(watch: Any) -> None:
    while await watch.read() is not grpc.aio.EOF:
        pass


async def failed(call: Any) -> Failure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return grpc_error(caught.value)
