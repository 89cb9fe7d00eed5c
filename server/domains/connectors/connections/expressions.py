"""Aggregation expressions that connector updates share.

Updates of connectors are pipelines: each is one atomic step that decides by what the document says at
that moment, so that nothing read before can be stale.
"""

from typing import Any

from server.core.clock import utc_now
from server.domains.connectors.model import (
    DEFAULT_INTERVAL,
    ERRORS_KEPT,
    HISTORY_KEPT,
    LIVE,
    ErrorEntry,
    HistoryEntry,
)
from server.storage.driver import Document
from server.storage.mapping import stored

MINUTE_MS = 60_000

IS_LIVE = {"$in": ["$connectionStatus", list(LIVE)]}
HAS_RUN = {"$eq": [{"$type": "$sync.run"}, "object"]}
# Both default to what a document without them means.
SYNCS_BY_ITSELF = {"$and": [{"$ne": ["$sync.auto", False]}, {"$ne": ["$sync.paused", True]}]}
IS_PAUSED = {"$eq": ["$sync.paused", True]}
INTERVAL_MS = {
    "$multiply": [{"$ifNull": ["$connectionDetails.syncInterval", DEFAULT_INTERVAL]}, MINUTE_MS]
}


def plus_one(path: str) -> Document:
    return {"$add": [{"$ifNull": [f"${path}", 0]}, 1]}


def when(condition: Any, then: Any, otherwise: Any) -> Document:
    return {"$cond": [condition, then, otherwise]}


def keep_or_remove(condition: Any, value: Any) -> Document:
    """`value` if the condition is true; otherwise the field goes away."""
    return when(condition, value, "$$REMOVE")


def prepended(path: str, entry: Any, kept: int) -> Document:
    """The array at `path` with `entry` first, and no more than `kept` in all."""
    return {"$slice": [{"$concatArrays": [[entry], {"$ifNull": [f"${path}", []]}]}, kept]}


def history_entry(entry: HistoryEntry) -> Document:
    """A finished run as its connector's history keeps it."""
    document = stored(entry)
    if not entry.missing:
        del document["missing"]
    return {"$literal": document}


def broken_off(code: str, message: str) -> Document:
    """The run the document has, as a history entry of one that came to no end of its own.

    It has what the run had brought until then.
    """
    done = {"$ifNull": ["$sync.run.done", []]}
    brought = {"$gt": [{"$size": done}, 0]}
    return {
        "syncedAt": utc_now(),
        "status": "failed",
        "errorCode": code,
        "errorMessage": message,
        "syncId": "$sync.run.syncId",
        "startedAt": {"$ifNull": ["$sync.run.beganAt", "$sync.run.startedAt"]},
        "recordsCount": keep_or_remove(brought, {"$sum": "$sync.run.done.recordsCount"}),
        "addedCount": keep_or_remove(brought, {"$sum": "$sync.run.done.addedCount"}),
        "counts": done,
    }


def count_run(entry: Any, status: str) -> Document:
    """Fields to set so that a finished run stands in history and totals."""
    fields = {
        "syncHistory": prepended("syncHistory", entry, HISTORY_KEPT),
        "sync.total": plus_one("sync.total"),
    }
    if status == "success":
        fields["sync.successful"] = plus_one("sync.successful")
    elif status == "failed":
        fields["sync.failed"] = plus_one("sync.failed")
    return fields


def count_run_if(condition: Any, entry: Any) -> Document:
    """The same for a run that failed, if the condition is true."""
    return {
        path: when(condition, value, f"${path}")
        for path, value in count_run(entry, "failed").items()
    }


def add_error(entry: ErrorEntry) -> Document:
    """Fields to set so that an error stands among the connector's newest."""
    return {"errors": prepended("errors", {"$literal": stored(entry)}, ERRORS_KEPT)}


def literals(fields: Document) -> Document:
    """Values that are taken as they are, whatever they look like."""
    return {path: {"$literal": value} for path, value in fields.items()}
