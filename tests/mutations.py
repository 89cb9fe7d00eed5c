"""Every RPC that changes something, with a request that is right and a look at what it changed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import httpx
from bson import ObjectId
from google.protobuf import json_format
from google.protobuf.message import Message

from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.model import CANCELLED
from server.rpc.method import Method
from server.storage.tallies import TALLIED
from tests.contract.descriptors import methods
from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Documents, Json

METHODS: dict[str, Method] = {
    method.descriptor.name: method for method in methods() if method.changes_state
}


def new_key() -> str:
    return f"key-{uuid.uuid4()}"


async def _user(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    await steps.create_user(rest, user_id)
    return {"userId": user_id}


async def _connector(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    await steps.create_user(rest, user_id)
    connector_id = (await steps.connect(rest, user_id))["id"]
    await steps.synced(rest, connector_id)
    return {"connectorId": connector_id}


async def _new_user(_: httpx.AsyncClient, __: Documents, user_id: str) -> Json:
    return {"userId": user_id, "email": f"{user_id}@example.com"}


async def _new_connector(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    await _user(rest, documents, user_id)
    return {
        "userId": user_id,
        "platform": "fi_money",
        "permissions": list(steps.LITTLE),
        "credentials": steps.credentials_of(steps.new_login()),
    }


async def _run(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    """A run that some worker began and will not end while a test looks."""
    request = await _connector(rest, documents, user_id)
    sync_id, now = new_sync_id(), datetime.now(UTC)
    run = {"syncId": sync_id, "dataTypes": ["profile"], "requestedAt": now, "startedAt": now}
    await documents["connectors"].update_one(
        {"_id": ObjectId(request["connectorId"]), "sync.run": {"$exists": False}},
        {"$set": {"sync.run": run, "sync.dueAt": now + timedelta(hours=1)}},
    )
    return {**request, "syncId": sync_id}


# What must be there before each call (and gives its identifiers), and what else the call sends.
_Before = Callable[[httpx.AsyncClient, Documents, str], Awaitable[Json]]
CHANGES: dict[str, tuple[_Before, Json]] = {
    "CreateUser": (_new_user, {}),
    "UpdateUserProfile": (_user, {"city": "Pune"}),
    "UpdateUserPreferences": (_user, {"currency": "USD"}),
    "UpdateUserStatus": (_user, {"status": "suspended"}),
    "UpdateUserMetadata": (_user, {"tags": ["vip"]}),
    "UpdateUserEmailVerified": (_user, {"emailVerified": True}),
    "DeleteUser": (_user, {}),
    "CreateConnector": (_new_connector, {}),
    "DisconnectConnector": (_connector, {"deleteRecords": True}),
    "RefreshSession": (_connector, {}),
    "UpdateSyncSettings": (_connector, {"syncInterval": 17}),
    "TriggerSync": (_connector, {}),
    "CancelSync": (_run, {}),
}


async def prepared(name: str, rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    """All fields of a request of the RPC `name` that will succeed, by JSON name."""
    before, sent = CHANGES[name]
    return {**await before(rest, documents, user_id), **sent}


async def over_rest(rest: httpx.AsyncClient, name: str, request: Json, key: str) -> httpx.Response:
    method = METHODS[name]
    names = {field.name: field.json_name for field in method.request.fields}
    values = {field: request[names[field]] for field in method.path_fields}
    body = {k: v for k, v in request.items() if k not in {names[f] for f in method.path_fields}}
    return await rest.request(
        method.verb.upper(),
        method.http_path.removeprefix("/api/v1").format(**values),
        headers={"Idempotency-Key": key},
        json=body if method.has_body else None,
        params=None if method.has_body else {k: json.dumps(v) for k, v in body.items()},
    )


async def over_grpc(channel: grpc.aio.Channel, name: str, request: Json, key: str) -> Message:
    method = METHODS[name]
    call = channel.unary_unary(
        method.path,
        request_serializer=method.request_class.SerializeToString,
        response_deserializer=method.response_class.FromString,
    )
    message = json_format.ParseDict(request, method.request_class())
    reply: Message = await call(message, metadata=(("idempotency-key", key),), timeout=40)
    return reply


async def state(documents: Documents, user_id: str) -> Any:
    """All that calls change of a user and the user's connectors, but not what syncs and tallies change."""
    users = await documents["users"].find({"userId": user_id}, {TALLIED: 0}).to_list(None)
    archived = await documents["users_archive"].count_documents({"userId": user_id})
    connectors = await documents["connectors"].find({"userId": user_id}, {TALLIED: 0}).to_list(None)
    for connector in connectors:
        sync = connector.pop("sync")
        history = connector.pop("syncHistory")
        connector["cancelled"] = [e["syncId"] for e in history if e.get("errorCode") == CANCELLED]
        runs = [entry["syncId"] for entry in history]
        runs += [sync["run"]["syncId"]] if "run" in sync else []
        connector["runs"] = sorted(set(runs))
        assert len(runs) == len(connector["runs"])
        connector["connectionDetails"].pop("lastSyncAt", None)
        connector["connectionDetails"].pop("nextSyncAt", None)
        del connector["updatedAt"]
    return users, archived, connectors
