"""What replies over REST have around them."""

from __future__ import annotations

import json
import time

import pytest
from google.api.httpbody_pb2 import HttpBody

from server.rpc import envelope


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time in nanoseconds, to be set."""
    now = [1_768_473_000_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: now[0])
    return now


@pytest.mark.parametrize("content", [{}, {"message": "Done"}, {"data": {"timestamp": "}"}}])
def test_a_success(clock: list[int], content: dict[str, object]) -> None:
    body = HttpBody.FromString(envelope.reply(json.dumps(content)))
    assert body.content_type == "application/json"
    at = {"timestamp": "2026-01-15T10:30:00.000Z"}
    assert list(json.loads(body.data).items()) == list(({"success": True} | content | at).items())


def test_a_reply_that_was_kept_has_the_time_it_is_given_at(clock: list[int]) -> None:
    reply = envelope.reply('{"data":{"city":"Pune \u20b9"}}')
    clock[0] += 61_007 * 1_000_000
    later = HttpBody.FromString(envelope.at_present(reply)).data
    assert json.loads(later)["timestamp"] == "2026-01-15T10:31:01.007Z"
    assert envelope.at_present(reply) == envelope.reply('{"data":{"city":"Pune \u20b9"}}')


def test_a_reply_that_reports_a_failure_has_its_data(clock: list[int]) -> None:
    body = HttpBody.FromString(envelope.reply('{"data":{}}', success=False))
    assert json.loads(body.data) == {
        "success": False, "data": {}, "timestamp": "2026-01-15T10:30:00.000Z",
    }  # fmt: skip


def test_a_failure_fits_a_header(clock: list[int]) -> None:
    text = envelope.failure({"code": "INTERNAL", "message": "\u20b9\n"})
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == {
        "success": False,
        "error": {"code": "INTERNAL", "message": "\u20b9\n"},
        "timestamp": "2026-01-15T10:30:00.000Z",
    }
