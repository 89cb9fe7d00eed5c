"""The sandbox as a process: its options, its end, and what it leaves in logs."""

import socket
from collections.abc import Sequence

import httpx
import pytest

from sandbox.latency import LatencyRange
from tests.sandbox.driver import (
    API_KEY,
    API_SECRET,
    FiSession,
    kite_request_token,
    running,
    start,
)


def test_stops_cleanly_with_a_stream_open() -> None:
    with running() as sandbox, httpx.stream("GET", f"{sandbox.fi_money}/mcp/stream") as stream:
        sandbox.process.terminate()
        # The stream ends as a reply does, rather than being torn.
        assert stream.read() == b""


def test_busy_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--free-ports", "--port", f"fi_money={port}")
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output) == (1, "")
    assert errors == f"sandbox: cannot listen on 127.0.0.1:{port}: the port is taken\n"


def test_two_side_by_side_and_no_control_api_unless_asked_for() -> None:
    with running() as first, running() as second:
        assert set(first.urls.values()).isdisjoint(second.urls.values())
        assert first.control == second.control == ""
        for url in first.urls.values():
            assert httpx.get(f"{url}/calls").status_code == 404


def test_control_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--free-ports", "--control-port", port)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors == f"sandbox: cannot listen on 127.0.0.1:{port}: the port is taken\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--port", "kite=8085"), "PLATFORM=PORT with one of fi_money, zerodha"),
        (("--port", "zerodha=65536"), "PLATFORM=PORT"),
        (("--option", "zerodha.colour=red"), "zerodha.redirect_url"),
        (("--option", "fi_money.session_ttl=-1"), "session_ttl: Input should be greater"),
    ],
)
def test_options_that_are_none(options: Sequence[str], expected: str) -> None:
    process = start(*options)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert expected in " ".join(errors.replace("│", " ").split())


@pytest.mark.parametrize("text", ["fast", "80..20", "-5", "1.5", ""])
def test_latency_that_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        LatencyRange.parse(text)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("20..80", LatencyRange(20, 80)), ("20-80", LatencyRange(20, 80)), ("0", LatencyRange(0, 0))],
)
def test_latency_ranges(text: str, bounds: LatencyRange) -> None:
    assert LatencyRange.parse(text) == bounds


def test_nothing_secret_is_logged() -> None:
    with running() as sandbox:
        request_token = kite_request_token(sandbox.zerodha)
        session = FiSession(sandbox.fi_money)
        session.document("fetch_net_worth")
        session.log_in("user123", "passcode-1")
        sandbox.process.terminate()
        output, errors = sandbox.process.communicate(timeout=10)
    for secret in (request_token, session.id, "passcode-1", API_SECRET, API_KEY):
        assert secret not in output + errors
