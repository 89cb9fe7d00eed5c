"""A running Finlink, and a Prometheus that reads its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.chaos.figures import Figures
from tests.observability import prometheus
from tests.observability.monitored import Monitored, monitored
from tests.observability.prometheus import Prometheus


@pytest.fixture(scope="package")
def whole_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    with monitored(tmp_path_factory.mktemp("monitored")) as started:
        yield started


@pytest.fixture
def site(whole_site: Monitored) -> Iterator[Monitored]:
    """The sandbox is put back as it was after each test."""
    yield whole_site
    whole_site.ground.sandbox.control.post("/reset").raise_for_status()


@pytest.fixture
async def api(site: Monitored) -> AsyncIterator[httpx.AsyncClient]:
    """REST through Envoy, relative to `/api/v1`."""
    async with site.caller() as client:
        yield client


@pytest.fixture(scope="package")
def prometheus_url(
    whole_site: Monitored, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with prometheus.running(tmp_path_factory.mktemp("prometheus"), whole_site.pages) as url:
        yield url


@pytest.fixture
async def metrics(prometheus_url: str) -> AsyncIterator[Prometheus]:
    """What Prometheus has of the site."""
    api = Prometheus(prometheus_url)
    yield api
    await api.aclose()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return Figures(request.node.name)
