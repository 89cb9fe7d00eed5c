"""Fixtures for all tests: one running Finlink a session, and ways to call it."""

from __future__ import annotations

import ssl
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

from tests import cases
from tests.chaos.figures import report
from tests.mongodb import MongoDb
from tests.mongodb import running as mongodb_on
from tests.providers import OutsideProvider
from tests.providers import running as running_providers
from tests.providers import settings as provider_settings
from tests.stack import Stack, free_ports, running

# What takes long, the longest first.
LONG = ("e2e", "chaos", "security_long", "clients", "observability", "topology", "supervisor")
# Whose files share a running Finlink. Two have the time for what one process could not run soon enough.
SHARING = {
    **{folder: folder for folder in ("chaos", "e2e", "observability", "security_long")},
    **dict.fromkeys(("clients", "openapi", "pages"), "clients"),
}
# Files of those folders that call another Finlink, or none.
APART = {
    "tests/clients/test_cli_contract.py",
    "tests/clients/test_cli_formats.py",
    "tests/clients/test_cli_streams.py",
    "tests/clients/test_cli_unreachable.py",
    "tests/clients/test_policy.py",
    "tests/clients/test_sessions.py",
    "tests/e2e/test_api_keys.py",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run all scenarios, and at full length")
    parser.addoption("--case", metavar="WORD", help="run the cases alone in whose name this is")


def pytest_configure(config: pytest.Config) -> None:
    # Loaded machines make any deadline a lie, and what hypothesis found belongs in a test.
    settings.register_profile(
        "finlink",
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=cases.FULL if config.getoption("--full") else 20,
    )
    settings.load_profile("finlink")


class _Scheduling(LoadFileScheduling):
    """A file's tests, or those that share a Finlink, are run by one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return file if file in APART else SHARING.get(_folder(file), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --full: nothing that only that runs, and of the stores with Motor those of `storage` alone."""
    # What takes long begins first, so that it does not run on alone in the end.
    items.sort(key=lambda item: _place(_folder(item.nodeid)))
    if word := config.getoption("--case"):
        _choose_cases(config, items, word)
    if config.getoption("--full"):
        return
    stores = config.rootpath / "tests" / "storage"

    def is_left(item: pytest.Item) -> bool:
        by_motor = "motor" in item.name and not item.path.is_relative_to(stores)
        return by_motor or item.get_closest_marker("full_only") is not None

    if left := [item for item in items if is_left(item)]:
        config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not is_left(item)]


def _choose_cases(config: pytest.Config, items: list[pytest.Item], word: str) -> None:
    """Of tests of many cases, those with a case of this name, and of them such cases alone."""
    kept, left = [], []
    for item in items:
        test = cases.only(item.obj, word) if isinstance(item, pytest.Function) else None
        if isinstance(item, pytest.Function) and test is not None:
            item.obj = test
            kept.append(item)
        else:
            left.append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def _place(folder: str) -> int:
    return LONG.index(folder) if folder in LONG else len(LONG)


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
    """All of them, which httpx reads for each client, take longer than most tests; none is met here.

    It would read those of SSL_CERT_FILE, too; that stays as it is for programs that download something.
    """
    first, end, _ = certifi.contents().partition("-----END CERTIFICATE-----\n")
    file = tmp_path_factory.mktemp("authorities") / "first.pem"
    file.write_text(first + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        shared = httpx.create_ssl_context(trust_env=False)

        def context(verify: ssl.SSLContext | bool = True, **_: object) -> ssl.SSLContext:
            return shared if verify is True else httpx.create_ssl_context(verify)

        patch.setattr("httpx._transports.default.create_ssl_context", context)
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
