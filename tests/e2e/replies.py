"""What a reply over REST says, inside of the envelope that every one with a JSON body has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.e2e.users_errors import is_instant


def content_of(reply: httpx.Response) -> dict[str, Any]:
    """All but the envelope, which must be right."""
    body: dict[str, Any] = reply.json()
    assert next(iter(body)) == "success"
    assert body.pop("success") is reply.is_success
    sent_at = body.pop("timestamp")
    assert is_instant(sent_at)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(sent_at)) < timedelta(minutes=5)
    return body
