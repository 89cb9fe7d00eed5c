"""Requests of the identity domain that succeed, and what they change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
from pymongo.database import Database

from server.core.clock import utc_now
from tests.domains.preparing import Prepare
from tests.e2e.connector_steps import Documents, Json
from tests.e2e.identity_steps import bearer, login, signed_in, with_role

COLLECTIONS = ("credentials", "login_sessions", "identity_revocations")
_MAILS = {"kind": "reset_password"}
# Work beside the calls notes the use of a session.
_SEEN = {"lastSeenAt": 0}


async def _user(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    return bearer(await signed_in(rest, user_id))


async def _two_sessions(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    await signed_in(rest, user_id)
    return bearer(await login(rest, user_id))


async def _session(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    other = await signed_in(rest, user_id)
    return {**bearer(await login(rest, user_id)), "sessionId": other["sessionId"]}


async def _by_admin(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    await signed_in(rest, user_id)
    chief = await with_role(rest, documents, f"{user_id}_chief", "admin")
    return {**bearer(chief), "userId": user_id}


async def _linked(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    session = await signed_in(rest, user_id)
    external = {"key": f"https://a.example|{user_id}", "provider": "a", "linkedAt": utc_now()}
    await documents["credentials"].update_one(
        {"userId": user_id}, {"$set": {"externals": [external]}}
    )
    return {**bearer(session), "provider": "a"}


async def _protected(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    """The user has a second factor, whose secret nobody asks for."""
    request = await _by_admin(rest, documents, user_id)
    totp = {"sealed": "sealed", "confirmedAt": datetime.now(UTC), "lastStep": 1}
    await documents["credentials"].update_one({"userId": user_id}, {"$set": {"totp": totp}})
    return request


async def _locked(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    """Logins from a device of the user have failed."""
    request = await _by_admin(rest, documents, user_id)
    (user,) = await documents["users"].find({"userId": user_id}).distinct("_id")
    failed = {"_id": f"device of {user_id}", "user": str(user), "failures": 1}
    await documents["login_failures"].insert_one(failed)
    return request


CHANGES: dict[str, tuple[Prepare, Json]] = {
    "UpdateMe": (_user, {"city": "Pune"}),
    "RevokeSession": (_session, {}),
    "RevokeSessions": (_two_sessions, {"includeCurrent": False}),
    "RevokeUserSessions": (_by_admin, {}),
    "SendPasswordReset": (_by_admin, {}),
    "RemoveUserMfa": (_protected, {}),
    "UnlockUser": (_locked, {}),
    "UnlinkExternal": (_linked, {}),
}


async def state(documents: Documents, user_id: str) -> Any:
    found = [
        await documents[name].find({"userId": user_id}, _SEEN).to_list(None)
        for name in COLLECTIONS[:2]
    ]
    users = await documents["users"].find({"userId": user_id}).distinct("_id")
    mails = await documents["challenges"].count_documents({**_MAILS, "user": {"$in": users}})
    owners = {"user": {"$in": [str(each) for each in users]}}
    return [*found, mails, await documents["login_failures"].find(owners).to_list(None)]


def contents(database: Database[dict[str, Any]]) -> Any:
    return [list(database[name].find({}, _SEEN).sort("_id")) for name in COLLECTIONS]
