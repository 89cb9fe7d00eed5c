"""Which addresses are this machine's own."""

from __future__ import annotations

import pytest

from server.security.outgoing import is_loopback


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8080/x", "http://127.0.0.1", "https://127.8.8.8:1", "http://[::1]:80/"],
)
def test_loopback(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.kite.trade",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "localhost:8080",
        "",
        "http://[",
    ],
)
def test_not_loopback(url: str) -> None:
    assert not is_loopback(url)
