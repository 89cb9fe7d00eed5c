"""Staff who have signed in, and the database that they are made in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient

from tests.e2e.connector_steps import Documents
from tests.e2e.identity_steps import bearer, with_role
from tests.stack import Stack


@pytest.fixture
async def documents(stack: Stack) -> AsyncIterator[Documents]:
    async with AsyncMongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        yield client["financial_app"]


@pytest.fixture
async def chief(rest: httpx.AsyncClient, documents: Documents, new_id: str) -> dict[str, str]:
    """The headers of an admin."""
    return bearer(await with_role(rest, documents, f"{new_id}_chief", "admin"))


@pytest.fixture
async def helper(rest: httpx.AsyncClient, documents: Documents, new_id: str) -> dict[str, str]:
    """The headers of a moderator."""
    return bearer(await with_role(rest, documents, f"{new_id}_helper", "moderator"))
