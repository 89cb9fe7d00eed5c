"""Where Envoy listens: `HOST=::` is all addresses of the machine, as people mean it."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from server.edge.limits import Limits
from tests.edge.edge_stack import edge_stack

USER = "/api/v1/users/someone"


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_two_colons_are_all_addresses(tmp_path: Path) -> None:
    limits = Limits(trusted_proxies=["127.0.0.0/8"])
    with edge_stack(tmp_path, limits, host="::") as edge:
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{edge.rest_port}{USER}"
            httpx.get(url, headers={"x-forwarded-for": "192.0.2.7"}).raise_for_status()
    over_ipv4, over_ipv6 = (seen.metadata["x-forwarded-for"] for seen in edge.seen)
    assert over_ipv4 == "192.0.2.7", "the proxy is known by its IPv4 address"
    assert over_ipv6 == "::1"
