"""What docs/scaling.md shards by: each query that Finlink makes names the shard key, so it goes to one shard.

No mongos is at hand, so it is told from what MongoDB's profiler saw of a running Finlink: a filter that
has the shard key's first field by equality is sent to the shards that hold it, and with an ObjectId's
text or a whole `_id` that is one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from pymongo import IndexModel

from tests.e2e import connector_steps as steps
from tests.stack import ROOT, Stack
from tests.storage.databases import INDEXES

Json = dict[str, Any]
_COMMAND = re.compile(r'^sh\.shardCollection\("financial_app\.(\w+)", \{(.*)\}\)$', re.MULTILINE)


def shard_keys() -> dict[str, dict[str, str]]:
    """As the document has them: {collection: {field: 1 or "hashed"}}."""
    text = (ROOT / "docs" / "scaling.md").read_text()
    return {
        name: dict(re.findall(r'(\w+): ("hashed"|1)', fields))
        for name, fields in _COMMAND.findall(text)
    }


def test_no_unique_index_is_in_the_way() -> None:
    keys = shard_keys()
    assert keys.keys() == {"records", "answers"}
    for collection, key in keys.items():
        for model in INDEXES[collection]:
            if model.document.get("unique"):
                fields = list(model.document["key"])
                assert fields[: len(key)] == list(key), "MongoDB would refuse to shard by it"
    # Those that stay whole have one that no other collection's key could begin with.
    for collection in ("users", "connectors", "audit_events"):
        assert sum(_is_unique(model) for model in INDEXES[collection]) >= 1


def _is_unique(model: IndexModel) -> bool:
    return bool(model.document.get("unique"))


@pytest.fixture
async def profiled(stack: Stack) -> AsyncIterator[steps.Documents]:
    """A database whose operations on the collections that are sharded are written down."""
    async with steps.database(stack) as documents:
        names = [f"{documents.name}.{name}" for name in shard_keys()]
        await documents.drop_collection("system.profile")
        await documents.create_collection("system.profile", capped=True, size=32 * 1024 * 1024)
        wanted = {"ns": {"$in": names}, "appName": "finlink"}
        await documents.command({"profile": 1, "filter": wanted})
        try:
            yield documents
        finally:
            await documents.command({"profile": 0, "filter": "unset"})
            await documents.drop_collection("system.profile")


@pytest.mark.full_only
async def test_every_query_names_the_shard_key(
    profiled: steps.Documents, rest: httpx.AsyncClient, new_id: str
) -> None:
    await steps.create_user(rest, new_id)
    for platform in steps.PLATFORMS:
        made = await steps.connect(rest, new_id, platform, permissions=steps.GRANTED[platform])
        await steps.synced(rest, made["id"])
    for query in ("", "?limit=1", "?dataType=trades&limit=1"):
        reply = await rest.get(f"/connectors/{made['id']}/records{query}")
        token = reply.raise_for_status().json()["data"]["pagination"].get("nextPageToken")
        if token is not None:
            join = "&" if query else "?"
            await rest.get(f"/connectors/{made['id']}/records{query}{join}pageToken={token}")
    (await rest.get(f"/users/{new_id}/export")).raise_for_status()
    for _ in range(2):  # the second finds the first's reply
        kept = {"Idempotency-Key": new_id}
        again = await rest.post(f"/connectors/{made['id']}/sync", json={}, headers=kept)
        again.raise_for_status()
    (await rest.delete(f"/connectors/{made['id']}?deleteRecords=true")).raise_for_status()
    (await rest.delete(f"/users/{new_id}")).raise_for_status()

    async def erased() -> bool:
        return await profiled["record_erasures"].find_one({}) is None

    await steps.eventually(erased, "the records to be erased")

    seen: Counter[tuple[str, str]] = Counter()
    wrong = []
    async for entry in profiled["system.profile"].find({}):
        collection = entry["ns"].partition(".")[2]
        if entry["op"] in {"getmore", "insert"}:  # of a cursor that has its shard; by the document
            continue
        seen[collection, entry["op"]] += 1
        first = next(iter(shard_keys()[collection]))
        if not _one_shard(_filter(entry["command"]), first):
            wrong.append(entry["command"])
    assert wrong == []
    assert {"query", "update", "remove"} <= {op for name, op in seen if name == "records"}
    assert ("answers", "query") in seen


def _filter(command: Mapping[str, Any]) -> Json:
    """What an operation asks for, whatever kind it is."""
    for name in ("filter", "q", "query"):
        if name in command:
            found: Json = command[name]
            return found
    matched: Json = command["pipeline"][0]["$match"]
    return matched


def _one_shard(asked: Json, field: str) -> bool:
    """Whether a filter has one value of the field, in itself or in each of its alternatives."""
    if "$or" in asked:
        return len({str(part.get(field)) for part in asked["$or"]}) == 1 and all(
            _one_shard(part, field) for part in asked["$or"]
        )
    return _is_one(asked.get(field))


def _is_one(value: object) -> bool:
    if isinstance(value, dict):
        return value.keys() == {"$eq"}
    return value is not None
