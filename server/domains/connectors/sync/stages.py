"""The change that a claim makes to a connector when it leases it: its run begins, continues or is
abandoned."""

from typing import Any

from server.core.clock import utc_now
from server.domains.connectors.connections import expressions as x
from server.domains.connectors.model import ABANDONED, ERRORS_KEPT, FAILURES_TO_ERROR
from server.storage.driver import Document

_MESSAGE = "The worker of this run stopped; the run was taken over"
# The lease has made `sync.run` where there was none.
_IS_WANTED = {"$eq": [{"$type": "$sync.run.requestedAt"}, "date"]}
_WORN_OUT = {"$gte": ["$sync.failures", FAILURES_TO_ERROR]}


def begin(sync_id: str, *, rests: Any = False) -> list[Document]:
    """Put the run that is wanted under way, or one by the interval.

    A run that was deferred or handed back goes on as it is. The job is called off if nothing is to run;
    with `rests` a connector that syncs by itself does so once its interval is over.
    """
    now = utc_now()
    runs = {
        "$and": [
            {"$or": [_IS_WANTED, x.SYNCS_BY_ITSELF]},
            {"$not": [x.IS_PAUSED]},
            {"$not": [rests]},
        ]
    }
    types = ["$sync.owed", "$metadata.dataTypes", "$metadata.permissions"]
    new_run = {
        "syncId": sync_id,
        "dataTypes": {"$ifNull": types},
        "requestedAt": now,
        "beganAt": "$sync.run.startedAt",
    }
    rest = x.keep_or_remove({"$and": [rests, x.SYNCS_BY_ITSELF]}, {"$add": [now, x.INTERVAL_MS]})
    begun: Document = {
        "sync.run": x.keep_or_remove(runs, {"$mergeObjects": [new_run, "$sync.run"]}),
        "sync.dueAt": x.when(runs, "$sync.dueAt", rest),
        "connectionDetails.nextSyncAt": x.when(
            runs, {"$ifNull": ["$connectionDetails.nextSyncAt", "$$REMOVE"]}, rest
        ),
        # Where another tool began the session.
        "session.checkAt": {
            "$ifNull": ["$session.checkAt", "$credentials.tokenExpiresAt", "$$REMOVE"]
        },
        "updatedAt": now,
    }
    return [{"$set": begun}]


def take_over(sync_id: str) -> list[Document]:
    """Write off the run that another worker left, as failed, and begin one of the same data types.

    A connector that has failed too often gets the status `error` and rests first.
    """
    error = {"errorCode": ABANDONED, "errorMessage": _MESSAGE, "occurredAt": utc_now()}
    written_off: Document = {
        **x.count_run(x.broken_off(ABANDONED, _MESSAGE), "failed"),
        "errors": x.prepended("errors", error, ERRORS_KEPT),
        "sync.failures": x.plus_one("sync.failures"),
        "failing": True,
        **{f"sync.run.{name}": "$$REMOVE" for name in ("syncId", "beganAt", "done", "deferrals")},
    }
    judged: Document = {"connectionStatus": x.when(_WORN_OUT, "error", "$connectionStatus")}
    return [{"$set": written_off}, {"$set": judged}, *begin(sync_id, rests=_WORN_OUT)]
