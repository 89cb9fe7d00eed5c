"""Chaos: faults, races and deaths. `make test` runs the short form, `make test-chaos` the full one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
import httpx
import pytest

from tests.chaos.figures import Figures
from tests.chaos.ground import Ground, ground


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether scenarios run at full length."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return Figures(request.node.name)


@pytest.fixture(scope="package")
def shared_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("chaos")) as started:
        yield started


@pytest.fixture
def site(shared_ground: Ground) -> Iterator[Ground]:
    """A ground for scenarios that end no process; the sandbox is put back as it was after each."""
    yield shared_ground
    shared_ground.sandbox.control.post("/reset").raise_for_status()


@pytest.fixture
async def api(site: Ground) -> AsyncIterator[httpx.AsyncClient]:
    """REST through Envoy, relative to `/api/v1`."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=f"{site.stack.rest}/api/v1", timeout=60, limits=limits
    ) as client:
        yield client


@pytest.fixture
async def stubs(site: Ground) -> AsyncIterator[grpc.aio.Channel]:
    """gRPC through Envoy."""
    async with grpc.aio.insecure_channel(site.stack.grpc) as opened:
        yield opened
