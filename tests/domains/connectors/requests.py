"""Requests of the connectors domain that succeed, and what they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from bson import ObjectId
from pymongo.database import Database

from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.model import CANCELLED
from server.storage.counter_spec import COUNTED_AS
from tests.domains.preparing import Prepare
from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Documents, Json


async def connector(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    await steps.create_user(rest, user_id)
    connector_id = (await steps.connect(rest, user_id))["id"]
    await steps.synced(rest, connector_id)
    return {"connectorId": connector_id}


async def _new_connector(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    await steps.create_user(rest, user_id)
    return {
        "userId": user_id,
        "platform": "fi_money",
        "permissions": list(steps.LITTLE),
        "credentials": steps.credentials_of(steps.new_login()),
    }


async def _run(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    """A run that some worker began and will not end while a test looks."""
    request = await connector(rest, documents, user_id)
    sync_id, now = new_sync_id(), datetime.now(UTC)
    run = {"syncId": sync_id, "dataTypes": ["profile"], "requestedAt": now, "startedAt": now}
    await documents["connectors"].update_one(
        {"_id": ObjectId(request["connectorId"]), "sync.run": {"$exists": False}},
        {"$set": {"sync.run": run, "sync.dueAt": now + timedelta(hours=1)}},
    )
    return {**request, "syncId": sync_id}


CHANGES: dict[str, tuple[Prepare, Json]] = {
    "CreateConnector": (_new_connector, {}),
    "DisconnectConnector": (connector, {"deleteRecords": True}),
    "RefreshSession": (connector, {}),
    "UpdateSyncSettings": (connector, {"syncInterval": 17}),
    "TriggerSync": (connector, {}),
    "CancelSync": (_run, {}),
}


async def state(documents: Documents, user_id: str) -> Any:
    connectors = (
        await documents["connectors"].find({"userId": user_id}, {COUNTED_AS: 0}).to_list(None)
    )
    for document in connectors:
        sync = document.pop("sync")
        history = document.pop("syncHistory")
        document["cancelled"] = [e["syncId"] for e in history if e.get("errorCode") == CANCELLED]
        runs = [entry["syncId"] for entry in history]
        runs += [sync["run"]["syncId"]] if "run" in sync else []
        document["runs"] = sorted(set(runs))
        assert len(runs) == len(document["runs"])
        document["connectionDetails"].pop("lastSyncAt", None)
        document["connectionDetails"].pop("nextSyncAt", None)
        del document["updatedAt"]
    return connectors


def contents(database: Database[dict[str, Any]]) -> Any:
    return database["connectors"].count_documents({})
