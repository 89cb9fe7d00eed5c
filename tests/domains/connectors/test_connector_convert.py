"""Connectors as the contract's messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from finlink.connectors.v1 import session_pb2, status_summary_pb2
from finlink_words import PLATFORMS
from google.protobuf.json_format import MessageToDict

from server.core.errors import InvalidRequest
from server.domains.connectors.connections import convert, documents
from server.domains.connectors.sync import convert as sync_convert

NOW = datetime(2024, 1, 15, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)


def test_credentials_have_their_json_names_and_only_what_was_sent() -> None:
    sent = session_pb2.Credentials(username="u", api_key="k", api_secret="s", request_token="t")
    assert convert.credentials(sent) == {
        "username": "u", "apiKey": "k", "apiSecret": "s", "requestToken": "t",
    }  # fmt: skip
    assert convert.credentials(session_pb2.Credentials()) == {}


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, (None, None)),
        ("2024-01-01", "2024-01-31",
         (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC) - MS)),
        ("2024-01-01", "2024-01-01",
         (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC) - MS)),
        ("2024-01-01T05:30:00+05:30", None, (datetime(2024, 1, 1, tzinfo=UTC), None)),
        (None, "2024-01-01T00:00:00Z", (None, datetime(2024, 1, 1, tzinfo=UTC))),
        (None, "9999-12-31", (None, datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC))),
    ],
)  # fmt: skip
def test_dates_are_inclusive_bounds(
    first: str | None, last: str | None, expected: tuple[datetime | None, datetime | None]
) -> None:
    where = convert.status_filter(
        status_summary_pb2.GetConnectorStatusSummaryRequest(from_date=first, to_date=last)
    )
    assert (where.connected_from, where.connected_to) == expected


@pytest.mark.parametrize(
    ("first", "last"),
    [("2024-02-01", "2024-01-31"), ("2024-01-31T10:00:01Z", "2024-01-31T10:00:00Z")],
)
def test_dates_the_wrong_way_round(first: str, last: str) -> None:
    request = status_summary_pb2.GetConnectorStatusSummaryRequest(from_date=first, to_date=last)
    with pytest.raises(InvalidRequest) as caught:
        convert.status_filter(request)
    assert [field.field for field in caught.value.fields] == ["fromDate"]


NONE = {"total": 0, "active": 0, "disconnected": 0, "error": 0, "expired": 0, "failing": 0}


def test_the_documentation_s_summary() -> None:
    counts = {
        ("fi_money", "connected", False): 67, ("fi_money", "connected", True): 3,
        ("fi_money", "disconnected", False): 10,
        ("zerodha", "connected", False): 50, ("zerodha", "disconnected", False): 20,
    }  # fmt: skip
    shown = MessageToDict(convert.status_summary(counts), always_print_fields_with_no_presence=True)
    assert shown == {
        "summary": {
            "totalConnections": 150, "activeConnections": 120, "disconnectedConnections": 30,
            "errorConnections": 0, "expiredConnections": 0, "failingConnections": 3,
        },
        "byPlatform": {
            **dict.fromkeys(PLATFORMS, NONE),
            "fi_money": {**NONE, "total": 80, "active": 70, "disconnected": 10, "failing": 3},
            "zerodha": {**NONE, "total": 70, "active": 50, "disconnected": 20},
        },
    }  # fmt: skip


def test_a_summary_of_nothing_has_every_platform() -> None:
    summary = convert.status_summary({})
    assert set(summary.by_platform) == set(PLATFORMS)
    assert summary.summary.total_connections == 0


def test_a_summary_counts_every_status() -> None:
    statuses = ("connected", "disconnected", "error", "expired")
    counts = {("zerodha", status, False): 10**place for place, status in enumerate(statuses)}
    summary = convert.status_summary(counts)
    assert summary.summary.total_connections == summary.by_platform["zerodha"].total == 1111
    assert summary.summary.active_connections == summary.by_platform["zerodha"].active == 1
    assert summary.by_platform["zerodha"].disconnected == 10
    assert summary.summary.error_connections == summary.by_platform["zerodha"].error == 100
    assert summary.summary.expired_connections == summary.by_platform["zerodha"].expired == 1000
    assert summary.by_platform["fi_money"].total == 0


def test_what_never_happened_is_absent() -> None:
    bare = documents.connector({"_id": ObjectId(), "userId": "ann", "platform": "zerodha"})
    shown = MessageToDict(convert.summary(bare, NOW))
    assert set(shown) == {"id", "userId", "platform", "connectionStatus", "syncInterval"}
    whole = convert.connector(bare, NOW)
    for absent in ("connected_at", "disconnected_at", "last_sync_at", "expires_at"):
        assert not whole.connection_details.HasField(absent)
    status = sync_convert.sync_status(bare)
    assert not status.HasField("last_sync_at")
    assert not status.HasField("next_sync_at")
    assert not status.HasField("current_sync_id")
