"""What the model says each read must answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.chaos.model import Connector, User

Json = dict[str, Any]
Told = tuple[str, str | None, str | None, tuple[str, ...]]
COUNTED = ("active", "disconnected", "error", "expired", "failing")
WORDS = {"connected": "active"}


def assert_user(user: User, data: Json) -> None:
    seen = {name: data[name] for name in ("userId", "email", "status", "emailVerified")}
    assert seen == {
        "userId": user.user_id,
        "email": user.email,
        "status": user.status,
        "emailVerified": user.verified,
    }
    assert data["profile"] == user.profile
    assert data["preferences"] == user.preferences
    assert data["metadata"] == user.metadata


def _last_run(data: Json) -> tuple[str, str | None] | None:
    run = data.get("lastRun")
    return None if run is None else (run["state"], run.get("errorCode"))


def assert_connector(connector: Connector, data: Json) -> None:
    """The whole of one, as GetConnector gives it."""
    details, metadata = data["connectionDetails"], data["metadata"]
    seen = {
        "id": data["id"],
        "user": data["userId"],
        "platform": data["platform"],
        "status": data["connectionStatus"],
        "session": data.get("sessionId"),
        "permissions": metadata["permissions"],
        "types": metadata["dataTypes"],
        "interval": details["syncInterval"],
        "connected at": "connectedAt" in details,
        "disconnected at": "disconnectedAt" in details,
        "last sync": "lastSyncAt" in details,
        "expires at": connector.status == "expired" or "expiresAt" in details,
        "history": _history(data),
        "errors": [error["errorCode"] for error in data["errors"]],
        "last run": _last_run(data),
        "failing": data["failing"],
    }
    assert seen == {
        "id": connector.id,
        "user": connector.user.user_id,
        "platform": connector.account.platform,
        "status": connector.status,
        "session": connector.session_id,
        "permissions": list(connector.permissions),
        "types": list(connector.types),
        "interval": connector.interval,
        "connected at": connector.began,
        "disconnected at": connector.ended and not connector.live,
        "last sync": connector.synced,
        "expires at": connector.status != "disconnected",
        "history": _expected_history(connector),
        "errors": connector.errors,
        "last run": connector.last_run,
        "failing": connector.failing,
    }


def _history(data: Json) -> list[Told]:
    """Of each run: status, error, id, what was fetched."""
    reported: list[Told] = []
    for run in data["syncHistory"]:
        counts = run["counts"]
        # Sums are told where something was fetched; nothing to fetch is a success of zero items.
        if counts or run["status"] == "success":
            assert run["recordsCount"] == sum(count["recordsCount"] for count in counts)
            assert run["addedCount"] == sum(count["addedCount"] for count in counts)
        else:
            assert not run.keys() & {"recordsCount", "addedCount"}
        types = tuple(count["dataType"] for count in counts)
        reported.append((run["status"], run.get("errorCode"), run["syncId"], types))
    return reported


def _expected_history(connector: Connector) -> list[Told]:
    return [(run.status, run.code, run.sync_id, tuple(run.types)) for run in connector.history]


def assert_sync_status(connector: Connector, data: Json) -> None:
    seen = {
        "totals": (data["totalSyncs"], data["successfulSyncs"], data["failedSyncs"]),
        "rate": data["successRate"],
        "auto": data["autoSync"],
        "interval": data["syncInterval"],
        "last sync": "lastSyncAt" in data,
        "current": data.get("currentSyncId"),
        "history": _history(data),
    }
    assert seen == {
        "totals": (connector.total, connector.successful, connector.failed),
        "rate": connector.rate,
        "auto": connector.auto,
        "interval": connector.interval,
        "last sync": connector.synced,
        "current": connector.run.sync_id if connector.run else None,
        "history": _expected_history(connector),
    }
    # Under way, the next run's time may be told already or not yet.
    if connector.run is None or not connector.next_sync:
        assert ("nextSyncAt" in data) == connector.next_sync


def assert_summary(connector: Connector, data: Json) -> None:
    """One in a list."""
    seen = {
        "id": data["id"],
        "user": data["userId"],
        "platform": data["platform"],
        "status": data["connectionStatus"],
        "session": data.get("sessionId"),
        "permissions": data["permissions"],
        "interval": data["syncInterval"],
        "connected at": "connectedAt" in data,
        "disconnected at": "disconnectedAt" in data,
        "last sync": "lastSyncAt" in data,
        "last run": _last_run(data),
        "failing": data["failing"],
    }
    assert seen == {
        "id": connector.id,
        "user": connector.user.user_id,
        "platform": connector.account.platform,
        "status": connector.status,
        "session": connector.session_id,
        "permissions": list(connector.permissions),
        "interval": connector.interval,
        "connected at": connector.began,
        "disconnected at": connector.ended and not connector.live,
        "last sync": connector.synced,
        "last run": connector.last_run,
        "failing": connector.failing,
    }


def assert_counts(expected: Counter[tuple[str, str, bool]], data: Json) -> None:
    """`/connectors/status` against a count by (platform, status, whether syncs fail)."""
    by_platform = {
        platform: {"total": 0, **dict.fromkeys(COUNTED, 0)} for platform in ("fi_money", "zerodha")
    }
    summary = {"totalConnections": 0, **{f"{word}Connections": 0 for word in COUNTED}}
    for (platform, status, failing), number in expected.items():
        by_platform[platform]["failing"] += number * failing
        summary["failingConnections"] += number * failing
        word = WORDS.get(status, status)
        by_platform[platform][word] += number
        by_platform[platform]["total"] += number
        summary[f"{word}Connections"] += number
        summary["totalConnections"] += number
    assert data == {"summary": summary, "byPlatform": by_platform}


def assert_run(connector: Connector, sync_id: str, data: Json) -> None:
    """One run, as GetSync gives it; it must be one that the model knows."""
    run = connector.run
    if run is not None and run.sync_id == sync_id:
        assert data["state"] == ("deferred" if run.deferred else "in_progress")
        assert "finishedAt" not in data
        assert [count["dataType"] for count in data["counts"]] == run.done
        return
    entry = next(each for each in connector.history if each.sync_id == sync_id)
    state = "cancelled" if entry.code == "RUN_CANCELLED" else entry.status
    assert (data["state"], data.get("error", {}).get("code")) == (state, entry.code)
    assert [count["dataType"] for count in data["counts"]] == list(entry.types)
    assert "finishedAt" in data
