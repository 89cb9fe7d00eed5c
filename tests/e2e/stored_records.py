"""What tests change of stored records, which are sealed."""

from __future__ import annotations

from typing import Any

from bson import ObjectId

from server.domains.connectors.records.store import RECORDS
from server.security.keys import SINGLE, decode_key
from server.security.ring import KeyRing
from server.storage.data_keys import DataKeyStore
from server.storage.driver import connected
from tests.domains.connectors.opened import opened
from tests.stack import Stack
from tests.storage.databases import settings


async def rename(stack: Stack, record_id: str, key: str) -> None:
    """Make a record that of another item, as the release before wrote it."""
    secret = decode_key((stack.data_dir / "encryption.key").read_text().strip())
    of_stack = settings(stack.mongodb_uri, "pymongo", db_name="financial_app")
    where: dict[str, Any] = {"_id": ObjectId(record_id)}
    async with connected(of_stack) as database:
        keys = DataKeyStore(database, KeyRing({SINGLE: secret}))
        (document,) = await opened(database, keys, where)
        await database.collection(RECORDS).replace_one(where, {**document, "key": key})
