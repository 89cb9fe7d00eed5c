"""Fixtures of the end-to-end tests: staff, outside providers, and a Finlink whose clock is turned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.e2e.connector_steps import Documents, database
from tests.e2e.identity_steps import bearer, with_role
from tests.providers import OutsideProvider
from tests.stack import Stack, turnable


@pytest.fixture
async def documents(stack: Stack) -> AsyncIterator[Documents]:
    async with database(stack) as opened:
        yield opened


@pytest.fixture
async def chief(rest: httpx.AsyncClient, documents: Documents, new_id: str) -> dict[str, str]:
    """The headers of an admin."""
    return bearer(await with_role(rest, documents, f"{new_id}_chief", "admin"))


@pytest.fixture
async def helper(rest: httpx.AsyncClient, documents: Documents, new_id: str) -> dict[str, str]:
    """The headers of a moderator."""
    return bearer(await with_role(rest, documents, f"{new_id}_helper", "moderator"))


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


@pytest.fixture
def one(outside_providers: list[OutsideProvider]) -> OutsideProvider:
    return outside_providers[0]


@pytest.fixture
def two(outside_providers: list[OutsideProvider]) -> OutsideProvider:
    return outside_providers[1]
