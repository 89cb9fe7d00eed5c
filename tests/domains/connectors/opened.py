"""Stored records as they were before they were sealed, for tests that compare documents."""

from __future__ import annotations

from typing import Any

from server.domains.connectors.model import RecordSet
from server.domains.connectors.records.boxes import RecordBox, key_owner
from server.domains.connectors.records.store import RECORDS
from server.storage.data_keys import DATA_KEYS, DataKeyStore
from server.storage.driver import Database, Document


async def opened(database: Database, keys: DataKeyStore, where: Document) -> list[Document]:
    """The documents that fit, each with its `key` and `data`, whichever form it has."""
    boxes: dict[str, RecordBox] = {}
    documents = await database.collection(RECORDS).find(where).to_list(None)
    for document in documents:
        if "sealed" in document:
            name = document["connectorId"]
            if name not in boxes:
                boxes[name] = await _box(database, keys, name)
            box = boxes[name]
            key, data = box.key_of(document), box.data_of(document)
            assert document["key"] == box.token(document["dataType"], key)
            assert document.get("mac") in {None, box.mac(data)}
            document |= {"key": key, "data": data}
            document.pop("sealed")
            document.pop("mac", None)
    return documents


async def _box(database: Database, keys: DataKeyStore, records_id: str) -> RecordBox:
    owner: Any = key_owner(RecordSet("", records_id)).name
    found = await database.collection(DATA_KEYS).find_one({"owner": owner})
    assert found is not None
    records = RecordSet(found["userId"], records_id)
    key = await keys.of(key_owner(records))
    assert key is not None
    return RecordBox(records, key)
