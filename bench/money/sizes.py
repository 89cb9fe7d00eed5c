"""What money costs on disk, by collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from bench.rows import figure_row

TRANSACTIONS, ORIGINS = "transactions", "transaction_origins"
_OF_TRANSACTIONS = ("money_rollups", "money_ledgers", "payees")
Sizes = dict[str, dict[str, int]]


def measure(database: Database[dict[str, Any]]) -> Sizes:
    """Documents and bytes of each collection of money that there is, once all is on disk."""
    database.client.admin.command("fsync")
    there = set(database.list_collection_names())
    names = (TRANSACTIONS, ORIGINS, *_OF_TRANSACTIONS, "categories", "accounts")
    return {name: _of(database, name) for name in names if name in there}


def _of(database: Database[dict[str, Any]], name: str) -> dict[str, int]:
    (found,) = database[name].aggregate([{"$collStats": {"storageStats": {}}}])
    stats = found["storageStats"]
    return {
        "documents": stats["count"],
        "bytes": stats["size"],
        "disk": stats["storageSize"],
        "indexes": stats["totalIndexSize"],
    }


def rows(sizes: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    count = sizes[TRANSACTIONS]["documents"]
    beside = sum(sizes[name]["disk"] + sizes[name]["indexes"] for name in _OF_TRANSACTIONS)
    return [
        _row("a transaction: its document, uncompressed", sizes[TRANSACTIONS]["bytes"] / count),
        _row("a transaction on disk", sizes[TRANSACTIONS]["disk"] / count),
        _row("… its indexes", sizes[TRANSACTIONS]["indexes"] / count),
        _row("… ledgers, sums by month and payees", beside / count),
    ]


def _row(title: str, size: float) -> dict[str, Any]:
    return figure_row(title, [round(size, 1)], None, " B")
