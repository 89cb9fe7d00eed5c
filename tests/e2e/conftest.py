"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.stack import Stack, turnable


@pytest.fixture(scope="session")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Finlink whose clock is turned."""
    with turnable(tmp_path_factory.mktemp("turnable")) as stack:
        yield stack


@pytest.fixture
async def later(late: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """Its REST, relative to `/api/v1`."""
    async with httpx.AsyncClient(base_url=f"{late.rest}/api/v1", timeout=40) as client:
        yield client
