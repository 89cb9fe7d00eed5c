"""What a summary of a connector is made of, and for how long it stays as it is: the cache relies on both."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from server.domains.connectors.connections import convert
from server.domains.connectors.connections.documents import connector
from server.domains.connectors.connections.store import FOLLOWED
from server.storage.counter_spec import COUNTED_AS

BEGAN = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
OTHER = {
    "sync": {"auto": False, "paused": True, "fence": 7, "total": 9, "failures": 3},
    "session": {"generation": 12, "refreshedAt": BEGAN, "checkAt": BEGAN},
    "errors": [{"errorCode": "E", "errorMessage": "e", "occurredAt": BEGAN}],
    "updatedAt": BEGAN + timedelta(days=3),
    "connectionDetails.nextSyncAt": BEGAN,
    "credentials.encryptedToken": "other",
}


def document(**details: Any) -> dict[str, Any]:
    return {
        "_id": ObjectId(),
        "userId": "ann",
        "platform": "zerodha",
        "connectionStatus": "connected",
        "sessionId": "sess_1",
        "connectionDetails": {"connectedAt": BEGAN, "lastSyncAt": BEGAN, "syncInterval": 5},
        "credentials": {"encryptedToken": "sealed", **details},
        "metadata": {"accountType": "individual", "permissions": ["trades"]},
        "createdAt": BEGAN,
        "updatedAt": BEGAN,
    }


def test_a_summary_shows_nothing_whose_changes_the_feed_leaves_out() -> None:
    assert set(FOLLOWED.ignored) == {*OTHER, COUNTED_AS}
    plain = document(tokenExpiresAt=BEGAN + timedelta(hours=8))
    now = BEGAN + timedelta(hours=1)
    for path, value in OTHER.items():
        changed = copy.deepcopy(plain)
        *parents, name = path.split(".")
        place = changed[parents[0]] if parents else changed
        place[name] = value
        assert convert.summary(connector(changed), now) == convert.summary(connector(plain), now)


@given(
    now=st.integers(-200_000, 40_000_000),
    expires=st.none() | st.integers(-5_000_000, 40_000_000),
    status=st.sampled_from(["connected", "error", "expired", "disconnected"]),
)
def test_a_summary_stays_as_it_is_until_the_moment_it_names(
    now: int, expires: int | None, status: str
) -> None:
    """Times in milliseconds from the beginning of the session."""
    made = document()
    made["connectionStatus"] = status
    if expires is not None:
        made["credentials"]["tokenExpiresAt"] = BEGAN + timedelta(milliseconds=expires)
    shown, at = connector(made), BEGAN + timedelta(milliseconds=now)
    until = shown.summary_until(at)
    assert until > at.timestamp()
    if until == math.inf:
        later = at + timedelta(days=400)
        assert status in {"expired", "disconnected"}
        assert convert.summary(shown, later) == convert.summary(shown, at)
        return
    end = datetime.fromtimestamp(until, UTC)
    just_before = end - timedelta(milliseconds=1)
    if just_before >= at:
        assert convert.summary(shown, just_before) == convert.summary(shown, at)
    if now >= 0:
        assert convert.summary(shown, end) != convert.summary(shown, at)
