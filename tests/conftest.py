"""Fixtures for all tests: one running Finlink a session, and ways to call it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import certifi
import grpc
import httpx
import pytest
from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceStub
from finlink.connectors.v1.sync_service_pb2_grpc import SyncServiceStub
from finlink.users.v1.user_service_pb2_grpc import UserServiceStub
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.chaos.figures import report
from tests.mongodb import MongoDb
from tests.mongodb import running as mongodb_on
from tests.providers import OutsideProvider
from tests.providers import running as running_providers
from tests.providers import settings as provider_settings
from tests.stack import Stack, free_ports, running

LONG = {"chaos", "clients", "observability", "security_long", "supervisor", "topology"}
# Whose files share a running Finlink, so that there is only one of each.
SHARING = {
    **{folder: folder for folder in ("chaos", "observability", "security_long")},
    **dict.fromkeys(("clients", "e2e", "openapi", "pages"), "finlink"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run all scenarios, and at full length")


def pytest_configure(config: pytest.Config) -> None:
    # Loaded machines make any deadline a lie, and what hypothesis found belongs in a test.
    settings.register_profile(
        "finlink",
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=100 if config.getoption("--full") else 20,
    )
    settings.load_profile("finlink")


class _Scheduling(LoadFileScheduling):
    """A file's tests, or those that share a Finlink, are run by one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return SHARING.get(_folder(file), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --full: nothing that only that runs, and of the stores with Motor those of `storage` alone."""
    # What takes long begins first, so that it does not run on alone in the end.
    items.sort(key=lambda item: _folder(item.nodeid) not in LONG)
    if config.getoption("--full"):
        return
    stores = config.rootpath / "tests" / "storage"

    def is_left(item: pytest.Item) -> bool:
        by_motor = "motor" in item.name and not item.path.is_relative_to(stores)
        return by_motor or item.get_closest_marker("full_only") is not None

    if left := [item for item in items if is_left(item)]:
        config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not is_left(item)]


def _folder(nodeid: str) -> str:
    """`chaos` of `tests/chaos/test_model.py::…`"""
    return nodeid.split("/")[1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := report():
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All of them, which httpx reads for each client, take longer than most tests; none is met here."""
    first, end, _ = certifi.contents().partition("-----END CERTIFICATE-----\n")
    file = tmp_path_factory.mktemp("authorities") / "first.pem"
    file.write_text(first + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        yield


@pytest.fixture(scope="session")
def provider_ports() -> dict[str, int]:
    """Where outside providers are to listen, by the names that the Finlink of the session has for them.

    Nothing ever listens for `gone`. Workers remember a provider, so one that is scripted is of one test.
    """
    names = ("one", "two", "scripted", "busy", "gone")
    return dict(zip(names, free_ports(len(names)), strict=True))


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, provider_ports: dict[str, int]
) -> Iterator[Stack]:
    """A Finlink with two workers, its own MongoDB, the sandbox and Envoy."""
    with running(
        tmp_path_factory.mktemp("finlink"), **provider_settings(provider_ports)
    ) as started:
        yield started


@pytest.fixture(scope="session")
def outside_providers(provider_ports: dict[str, int]) -> Iterator[list[OutsideProvider]]:
    """The providers `one` and `two`."""
    with running_providers(provider_ports["one"], provider_ports["two"]) as started:
        yield started


@pytest.fixture(scope="session")
async def mongodb(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MongoDb]:
    """A MongoDB alone, for tests that ask no Finlink."""
    async with mongodb_on(tmp_path_factory.mktemp("mongodb"), *free_ports(1)) as started:
        yield started


@pytest.fixture(scope="session")
async def rest(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """REST through Envoy, relative to `/api/v1`."""
    async with httpx.AsyncClient(base_url=f"{stack.rest}/api/v1", timeout=40) as client:
        yield client


@pytest.fixture(scope="session")
async def channel(stack: Stack) -> AsyncIterator[grpc.aio.Channel]:
    """gRPC through Envoy."""
    async with grpc.aio.insecure_channel(stack.grpc) as opened:
        yield opened


@pytest.fixture(scope="session")
def users(channel: grpc.aio.Channel) -> UserServiceStub:
    return UserServiceStub(channel)


@pytest.fixture(scope="session")
def connectors(channel: grpc.aio.Channel) -> ConnectorServiceStub:
    return ConnectorServiceStub(channel)


@pytest.fixture(scope="session")
def syncs(channel: grpc.aio.Channel) -> SyncServiceStub:
    return SyncServiceStub(channel)


@pytest.fixture
def new_id() -> str:
    """A user id nobody has."""
    return f"user_{uuid.uuid4().hex}"
