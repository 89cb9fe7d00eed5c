"""Connectors as MongoDB keeps them: collection `connectors`, fields as the product's schema has them.

Beside the schema's fields a document has what the engine needs:

    sync.dueAt         when the connector wants a worker: a run is wanted or due, or a lease lapses
    sync.auto/paused   whether it syncs by itself; whether its user is not active
    sync.run           the run that is wanted or under way
    sync.fence         grows with every claim; writes for a run must still name it
    sync.owed          the data types that the next run is about, after an outage cut one short
    sync.kept          by data type: a digest of what the last run that changed records stored
    sync.answers       by data type: a digest of what the platform responded last, the digest of the
                       items in it, and how many items
    sync.total/…       totals over all runs
    session.*          generation, times of the platform session; checkAt: when to check it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.domains.connectors.model import (
    DEFAULT_INTERVAL,
    Connector,
    ConnectorSession,
    DataTypeCount,
    ErrorEntry,
    HistoryEntry,
    Missing,
    ResponseDigest,
    Run,
    SyncState,
    SyncTotals,
)


def connector(document: Mapping[str, Any]) -> Connector:
    """A document as a connector; what another tool left out has its default."""
    created = document.get("createdAt") or document["_id"].generation_time
    permissions = tuple((document.get("metadata") or {}).get("permissions") or ())
    sync = document.get("sync") or {}
    return Connector(
        id=str(document["_id"]),
        user_id=document["userId"],
        platform=document["platform"],
        status=document.get("connectionStatus", "disconnected"),
        permissions=permissions,
        session=_session(document),
        sync=_sync(document, sync, permissions),
        totals=SyncTotals(
            runs=int(sync.get("total") or 0),
            successful=int(sync.get("successful") or 0),
            failed=int(sync.get("failed") or 0),
            last_success_at=sync.get("lastSuccessAt"),
        ),
        history=tuple(
            _history_entry(entry)
            for entry in document.get("syncHistory") or ()
            if entry.get("syncedAt") and entry.get("status")
        ),
        errors=tuple(
            ErrorEntry(
                code=entry.get("errorCode") or "",
                message=entry.get("errorMessage") or "",
                occurred_at=entry.get("occurredAt") or created,
            )
            for entry in document.get("errors") or ()
        ),
        records_erased=int(document.get("recordsErased") or 0),
        created_at=created,
        updated_at=document.get("updatedAt") or created,
    )


def _session(document: Mapping[str, Any]) -> ConnectorSession:
    details = document.get("connectionDetails") or {}
    credentials = document.get("credentials") or {}
    session = document.get("session") or {}
    metadata = document.get("metadata") or {}
    return ConnectorSession(
        id=document.get("sessionId"),
        connected_at=details.get("connectedAt"),
        disconnected_at=details.get("disconnectedAt"),
        ended_duration=int(details.get("sessionDuration") or 0),
        expires_at=credentials.get("tokenExpiresAt"),
        refreshed_at=session.get("refreshedAt"),
        generation=int(session.get("generation") or 0),
        sealed=credentials.get("encryptedToken"),
        sealed_login=credentials.get("encryptedLogin"),
        platform_user_id=metadata.get("platformUserId"),
        account_type=metadata.get("accountType"),
    )


def _sync(
    document: Mapping[str, Any], sync: Mapping[str, Any], permissions: tuple[str, ...]
) -> SyncState:
    details = document.get("connectionDetails") or {}
    data_types = (document.get("metadata") or {}).get("dataTypes")
    return SyncState(
        interval=int(details.get("syncInterval") or DEFAULT_INTERVAL),
        data_types=tuple(data_types or permissions),
        auto=sync.get("auto", True),
        paused=sync.get("paused", False),
        last_at=details.get("lastSyncAt"),
        next_at=details.get("nextSyncAt"),
        run=_run(sync.get("run")),
        fence=int(sync.get("fence") or 0),
        failures=int(sync.get("failures") or 0),
        outages=int(sync.get("outages") or 0),
        stored=sync.get("kept") or {},
        responses={
            data_type: ResponseDigest(each["digest"], each["kept"], each["records"])
            for data_type, each in (sync.get("answers") or {}).items()
        },
    )


def _run(document: Mapping[str, Any] | None) -> Run | None:
    if not document:
        return None
    return Run(
        sync_id=document["syncId"],
        data_types=tuple(document["dataTypes"]),
        requested_at=document["requestedAt"],
        began_at=document.get("beganAt"),
        started_at=document.get("startedAt"),
        done=_counts(document.get("done")),
        deferrals=int(document.get("deferrals") or 0),
    )


def _history_entry(entry: Mapping[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        synced_at=entry["syncedAt"],
        status=entry["status"],
        records_count=_whole(entry.get("recordsCount")),
        added_count=_whole(entry.get("addedCount")),
        error_message=entry.get("errorMessage"),
        error_code=entry.get("errorCode"),
        sync_id=entry.get("syncId"),
        started_at=entry.get("startedAt"),
        counts=_counts(entry.get("counts")),
        missing=tuple(
            Missing(each["dataType"], each["code"], each["message"])
            for each in entry.get("missing") or ()
        ),
    )


def _counts(documents: Sequence[Mapping[str, Any]] | None) -> tuple[DataTypeCount, ...]:
    return tuple(
        DataTypeCount(count["dataType"], count["recordsCount"], count["addedCount"])
        for count in documents or ()
    )


def _whole(number: float | None) -> int | None:
    """Other tools store counts as doubles."""
    return None if number is None else int(number)
