"""How many calls are traced, which Envoy decides."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from server.edge.limits import Limits
from server.edge.tracing import Tracing
from tests.edge.edge_stack import EdgeStack, edge_stack

_USER = "/api/v1/users/ann"


def _flags(opened: EdgeStack, calls: int) -> set[str]:
    """Of the `traceparent` that the server gets: 01 where a call is traced."""
    opened.seen.clear()
    with httpx.Client(base_url=opened.rest) as client:
        for _ in range(calls):
            client.get(_USER)
    found = [seen.metadata["traceparent"] for seen in opened.seen]
    assert len(found) == calls
    return {traceparent.rpartition("-")[2] for traceparent in found}


@pytest.mark.parametrize(
    ("percent", "flags"), [(0.0, {"00"}), (40.0, {"00", "01"}), (100.0, {"01"})]
)
def test_the_setting_is_how_many_calls_are_traced(
    tmp_path: Path, percent: float, flags: set[str]
) -> None:
    # Nobody collects: a trace that cannot be sent keeps no call.
    tracing = Tracing("127.0.0.1", 9, tls=False, percent=percent)
    with edge_stack(tmp_path, Limits(enabled=False), tracing=tracing) as opened:
        assert _flags(opened, 100) == flags
