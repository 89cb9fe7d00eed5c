"""Records as the release before wrote them, and what of them is still in clear."""

from __future__ import annotations

import hashlib

from bson import ObjectId
from pymongo import ReplaceOne

from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.records.store import IS_UNSEALED, RECORDS
from server.storage.data_keys import DATA_KEYS
from tests.domains.connectors.sync_world import World


async def unseal(world: World, connector_id: str, count: int | None = None) -> None:
    """Write a connector's records, or so many of them, in clear. Without a key, if that is all."""
    documents = await world.opened(connector_id)
    requests = [ReplaceOne({"_id": each["_id"]}, each) for each in documents[:count]]
    await world.database.collection(RECORDS).bulk_write(requests)
    if count is None:
        await world.database.collection(DATA_KEYS).delete_one({"owner": f"records/{connector_id}"})
    noted = hashlib.sha256(b"as it was").hexdigest()
    await world.database.collection(CONNECTORS).update_one(
        {"_id": ObjectId(connector_id)},
        {"$set": {"sync.kept": {"transactions": noted}}, "$unset": {"sync.answers": ""}},
    )


async def in_clear(world: World) -> int:
    return await world.database.collection(RECORDS).count_documents(IS_UNSEALED)
