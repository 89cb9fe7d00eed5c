"""Documents as models."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas import Connector, LastRun, User

SOON = timedelta(minutes=10)


def user_of(document: dict[str, Any]) -> User:
    return User.model_validate({**document, "id": str(document["_id"])})


def connector_of(document: dict[str, Any], now: datetime) -> Connector:
    details = document.get("connectionDetails", {})
    metadata = document.get("metadata", {})
    expires_at = document.get("credentials", {}).get("tokenExpiresAt")
    connected_at = details.get("connectedAt")
    live = document["connectionStatus"] in {"connected", "error"}
    duration = details.get("sessionDuration", 0)
    if live and connected_at is not None:
        duration = (now - connected_at) // timedelta(minutes=1)
    return Connector(
        id=str(document["_id"]),
        user_id=document["userId"],
        platform=document["platform"],
        connection_status=document["connectionStatus"],
        session_id=document.get("sessionId"),
        connected_at=connected_at,
        disconnected_at=details.get("disconnectedAt"),
        last_sync_at=details.get("lastSyncAt"),
        session_duration=duration,
        sync_interval=details.get("syncInterval", 5),
        permissions=metadata.get("permissions", []),
        account_type=metadata.get("accountType"),
        expires_soon=live and expires_at is not None and expires_at - now <= SOON,
        last_run=next(map(last_run_of, document.get("syncHistory", [])), None),
        failing=document.get("failing", False),
    )


def last_run_of(entry: dict[str, Any]) -> LastRun:
    return LastRun(
        state=entry["status"],
        finished_at=entry["syncedAt"],
        sync_id=entry.get("syncId"),
        error_code=entry.get("errorCode"),
        missing=[each["dataType"] for each in entry.get("missing", [])],
    )


def midnight(values: dict[str, Any]) -> dict[str, Any]:
    """A profile as it is stored: a date is its midnight in UTC."""
    born = values.get("dateOfBirth")
    if born is not None:
        values["dateOfBirth"] = datetime(born.year, born.month, born.day, tzinfo=UTC)
    return values
