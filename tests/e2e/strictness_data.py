"""What must be the same after a refused call as before it."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient

from server.storage.tallies import TALLIED
from tests.stack import Stack


def contents(client: MongoClient[dict[str, Any]]) -> dict[str, Any]:
    """All users, and how many there are of the rest that callers can make or remove."""
    database = client["financial_app"]
    return {
        "users": list(database["users"].find({}, {TALLIED: 0}).sort("_id")),
        "archive": list(database["users_archive"].find().sort("_id")),
        "connectors": database["connectors"].count_documents({}),
    }


def opened(stack: Stack) -> MongoClient[dict[str, Any]]:
    return MongoClient(stack.mongodb_uri, tz_aware=True)
