"""The rules of one connector."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from finlink_words import ConnectionStatus
from msgspec.structs import replace

from server.domains.connectors.connections import documents
from server.domains.connectors.model import Connector, HistoryEntry, whole_minutes

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


def connector(**changes: Any) -> Connector:
    """`session`, `sync` and `totals` are given as what changes in them."""
    bare = documents.connector({"_id": ObjectId(), "userId": "ann", "platform": "zerodha"})
    for part in {"session", "sync", "totals"} & changes.keys():
        changes[part] = replace(getattr(bare, part), **changes[part])
    return replace(bare, **changes)


@pytest.mark.parametrize(
    ("status", "live"),
    [("connected", True), ("error", True), ("disconnected", False), ("expired", False)],
)
def test_live_is_a_connector_with_a_session_at_the_platform(
    status: ConnectionStatus, live: bool
) -> None:
    assert connector(status=status).live is live
    pending = connector(status=status, session={"sealed_login": "v1.x"})
    assert pending.login_pending is not live
    assert connector(status=status).login_pending is False


@pytest.mark.parametrize(
    ("total", "successful", "rate"),
    [(0, 0, 0), (48, 46, 95.8), (3, 1, 33.3), (3, 3, 100), (7, 0, 0)],
)
def test_success_rate(total: int, successful: int, rate: float) -> None:
    assert connector(totals={"runs": total, "successful": successful}).totals.success_rate == rate


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(0, 0), (59, 0), (60, 1), (119.999, 1), (3600, 60), (-5, 0)]
)
def test_whole_minutes(seconds: float, minutes: int) -> None:
    assert whole_minutes(timedelta(seconds=seconds)) == minutes


def test_session_duration() -> None:
    began = NOW - timedelta(minutes=55, seconds=30)
    assert (
        connector(status="connected", session={"connected_at": began}).session_duration(NOW) == 55
    )
    assert connector(status="error", session={"connected_at": began}).session_duration(NOW) == 55
    ended = connector(status="disconnected", session={"connected_at": began, "ended_duration": 12})
    assert ended.session_duration(NOW) == 12
    assert connector().session_duration(NOW) == 0


def entry(seconds: float | None, status: str = "success") -> HistoryEntry:
    started = None if seconds is None else NOW - timedelta(seconds=seconds)
    return HistoryEntry(NOW, status, started_at=started)


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ((), "2-5 minutes"),
        ((entry(3),), "less than a minute"),
        ((entry(90),), "1-2 minutes"),
        ((entry(300),), "2-5 minutes"),
        ((entry(1, "failed"), entry(90)), "1-2 minutes"),
        ((entry(None), entry(5, "partial")), "less than a minute"),
    ],
)
def test_estimated_duration(history: tuple[HistoryEntry, ...], words: str) -> None:
    assert connector(history=history).estimated_duration() == words


def test_a_connector_shows_no_secret() -> None:
    shown = repr(connector(session={"sealed": "v1.session", "sealed_login": "v1.login"}))
    assert "v1." not in shown


@pytest.mark.parametrize(
    ("status", "left", "soon"),
    [
        ("connected", timedelta(minutes=11), False),
        ("connected", timedelta(minutes=10), True),
        ("error", timedelta(minutes=1), True),
        ("connected", timedelta(minutes=-1), True),
        ("expired", timedelta(minutes=1), False),
        ("connected", None, False),
    ],
)
def test_expires_soon(status: ConnectionStatus, left: timedelta | None, soon: bool) -> None:
    expires_at = NOW + left if left is not None else None
    assert connector(status=status, session={"expires_at": expires_at}).expires_soon(NOW) is soon
