"""Changes of single documents, each in one atomic step that may read what the document says.

A change is one stage of fields to set, or several that follow each other. Values are aggregation expressions;
a value from outside belongs under `$literal`.
"""

from collections.abc import Mapping
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.storage.driver import ClientSession, Collection, Document


async def change(
    collection: Collection,
    query: Mapping[str, Any],
    *stages: Mapping[str, Any],
    session: ClientSession | None = None,
    **options: Any,
) -> Document | None:
    """The first document that fits, as it is after the change; None if none fits."""
    document: Document | None = await collection.find_one_and_update(
        query,
        [{"$set": stage} for stage in stages],
        return_document=ReturnDocument.AFTER,
        session=session,
        **options,
    )
    return document


async def upsert(
    collection: Collection,
    key: str,
    *stages: Mapping[str, Any],
    session: ClientSession | None = None,
) -> Document:
    """The document under a key after the change, which makes it if there is none."""
    while True:
        try:
            document = await change(collection, {"_id": key}, *stages, session=session, upsert=True)
        except DuplicateKeyError:  # another process has just made it
            continue
        return document or {}
