"""Which of several workers gets a call."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from server.edge.limits import Limits
from tests.edge.edge_stack import EdgeStack, Seen, edge_stack, worker


@pytest.fixture(scope="module")
def second() -> list[Seen]:
    """The calls that the second worker got."""
    return []


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, second: list[Seen]) -> Iterator[EdgeStack]:
    folder, off = tmp_path_factory.mktemp("balanced"), Limits(enabled=False)
    with worker(second) as socket, edge_stack(folder, off, beside=[socket]) as opened:
        yield opened


def _calls(edge: EdgeStack, second: list[Seen], paths: list[str]) -> tuple[int, int]:
    """How many of these calls, one after the other, came to the first worker and to the second."""
    before = len(edge.seen), len(second)
    with httpx.Client(base_url=f"{edge.rest}/api/v1") as client:
        for path in paths:
            client.get(path).raise_for_status()
    return len(edge.seen) - before[0], len(second) - before[1]


def test_the_same_read_comes_to_the_worker_that_has_its_reply(
    edge: EdgeStack, second: list[Seen]
) -> None:
    for user in range(8):
        assert 0 in _calls(edge, second, [f"/users/user_{user}"] * 8)


def test_reads_of_many_users_come_to_all_workers(edge: EdgeStack, second: list[Seen]) -> None:
    assert min(_calls(edge, second, [f"/users/user_{user}" for user in range(64)])) > 8


def test_a_read_that_no_cache_serves_comes_to_any_worker(
    edge: EdgeStack, second: list[Seen]
) -> None:
    assert min(_calls(edge, second, ["/users"] * 64)) > 8
