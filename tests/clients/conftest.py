"""Fixtures for tests of the Python client: each runs with both of its flavours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.clients.flavours import Client, Flavour
from tests.clients.scripted import Script, serving
from tests.stack import Stack


@pytest.fixture(params=["async", "blocking"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    return Flavour(request.param)


@pytest.fixture
async def client(flavour: Flavour, stack: Stack) -> AsyncIterator[Client]:
    """A client of the running Finlink."""
    async with flavour.connect(stack.grpc) as connected:
        yield connected


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that answers as told."""
    with serving() as started:
        yield started


@pytest.fixture
async def scripted(flavour: Flavour, script: Script) -> AsyncIterator[Client]:
    """A client of that server."""
    async with flavour.connect(script.address) as connected:
        yield connected
