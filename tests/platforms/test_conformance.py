"""What every platform does, against its sandbox: the whole life of a connection, and every way it can fail.

A platform that is in the registry is tested here by its manifest. Its sandbox takes any user name and any
password but `wrong`, and the adapter's login driver fills in its pages.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any, get_args

import pytest
import pytest_asyncio
from finlink_words import DataType

from server.platforms.base import (
    CredentialsRefused,
    Fetched,
    LoginRequired,
    OverRateLimit,
    PermissionRefused,
    Platform,
    PlatformDataError,
    PlatformError,
    PlatformSession,
    PlatformUnavailable,
    SessionEnded,
    Slot,
    Throttled,
)
from server.platforms.building import build
from server.platforms.http import Wire
from server.platforms.manifest import Manifest
from server.platforms.records import Holding, Profile, Trade, Transaction
from server.platforms.registry import PLATFORMS
from server.settings import load
from tests.platforms.addresses import addresses_at
from tests.sandbox.accounts import Accounts, accounts_at
from tests.sandbox.driver import Running, running

RECORDS: Mapping[DataType, type] = {
    "transactions": Transaction,
    "portfolio": Holding,
    "trades": Trade,
    "profile": Profile,
}
OFFERED = [(platform, data_type) for platform in PLATFORMS for data_type in platform.data_types]
each_platform = pytest.mark.parametrize("manifest", PLATFORMS, ids=lambda each: each.name)
each_data_type = pytest.mark.parametrize(
    ("manifest", "data_type"), OFFERED, ids=[f"{each.name}-{name}" for each, name in OFFERED]
)
# What the sandbox does to calls for data, and what it means.
FAULTS: Mapping[str, tuple[Mapping[str, Any], type[PlatformError]]] = {
    "503": ({"kind": "unavailable"}, PlatformUnavailable),
    "500": ({"kind": "unavailable", "status": 500}, PlatformUnavailable),
    "HTML of a gateway": ({"kind": "not_json", "status": 502}, PlatformUnavailable),
    "HTML as data": ({"kind": "not_json"}, PlatformDataError),
    "another document": ({"kind": "wrong_shape"}, PlatformDataError),
    "throttled": ({"kind": "throttled", "retry_after": 30}, Throttled),
    "reset": ({"kind": "drop"}, PlatformUnavailable),
    "reset after its part": ({"kind": "drop", "at": "reply"}, PlatformUnavailable),
    "time-out": ({"kind": "hang"}, PlatformUnavailable),
}


class Limiter:
    """Lets all calls go at once and counts them, or none."""

    def __init__(self) -> None:
        self.called = 0
        self.full = False

    async def __call__(self, _: str, __: timedelta, calls: int) -> Sequence[Slot]:
        if self.full:
            raise OverRateLimit("Too many calls", timedelta(seconds=9))
        return [self._slot] * calls

    async def _slot(self) -> None:
        self.called += 1


class World:
    """One platform, one user of it, and what the sandbox does to that user."""

    def __init__(self, manifest: Manifest[Any], at: Accounts) -> None:
        self.name = manifest.name
        self.limiter = Limiter()
        self.login = f"9{uuid.uuid4().int % 10**9:09}"
        self.platform = self.build(manifest, at.sandbox)
        self._at = at

    def build(self, manifest: Manifest[Any], sandbox: Running) -> Platform:
        given = {name.lower(): url for name, url in addresses_at(sandbox.urls).items()}
        settings = load(_env_file=None, **given, **self._app(manifest))
        return build(manifest, settings, b"key", self.limiter if manifest.spacing else None)

    def _app(self, manifest: Manifest[Any]) -> dict[str, object]:
        """An app of the deployment, if the platform has such, with what its sandbox takes."""
        return {f"{manifest.name}_{name}": value for name, value in manifest.sandbox_values.items()}

    @property
    def credentials(self) -> dict[str, str]:
        return {"username": self.login, "password": "hunter2"}

    async def connected(self) -> PlatformSession:
        session = await self.platform.connect(self.credentials)
        assert isinstance(session, PlatformSession)
        return session

    def faults(self, *rules: Mapping[str, Any]) -> None:
        self._at.faults(self.name, self.login, *map(dict, rules))

    def calls(self) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = self._at.calls(platform=self.name, login=self.login)["calls"]
        return calls

    def at_once(self) -> int:
        most: int = self._at.calls(limit=0)["limits"][self.name]["most_at_once"]
        return most


@pytest.fixture(scope="module")
def at() -> Iterator[Accounts]:
    with running("--control-port", 0) as sandbox, accounts_at(sandbox) as accounts:
        yield accounts


@pytest_asyncio.fixture
async def world(manifest: Manifest[Any], at: Accounts) -> AsyncIterator[World]:
    world = World(manifest, at)
    yield world
    await world.platform.aclose()
    at.control.post("/reset").raise_for_status()


def secrets_of(session: PlatformSession) -> list[str]:
    return [value for value in session.secrets.values() if value != session.platform_user_id]


async def fetch(platform: Platform, session: PlatformSession, data_type: DataType) -> Fetched:
    async with platform.reading(session) as reading:
        return await reading.fetch(data_type)


async def read(platform: Platform, session: PlatformSession, data_type: DataType) -> list[str]:
    """The keys of all items."""
    return [item.key for item in (await fetch(platform, session, data_type)).contents().items]


@each_platform
async def test_a_login_is_a_session(world: World) -> None:
    session = await world.connected()
    assert session.platform_user_id
    assert session.account_type
    assert session.expires_at > datetime.now(UTC)
    assert session.secrets
    assert all(isinstance(value, str) for value in session.secrets.values())
    assert not [secret for secret in secrets_of(session) if secret in repr(session)]
    again = await world.connected()
    assert again.platform_user_id == session.platform_user_id


@each_platform
async def test_a_refused_password_is_named(world: World) -> None:
    with pytest.raises(CredentialsRefused) as caught:
        await world.platform.connect({**world.credentials, "password": "wrong"})
    assert caught.value.field == "password"


@each_platform
async def test_without_credentials_there_is_a_page_or_a_name(world: World) -> None:
    try:
        begun = await world.platform.connect({})
    except CredentialsRefused as error:
        assert error.field  # noqa: PT017 - it may do either
        return
    assert isinstance(begun, LoginRequired)
    assert begun.login_url not in repr(begun)
    assert isinstance(await world.platform.complete(begun.secrets, {}), LoginRequired)
    await world.platform.abandon(begun)


@each_platform
async def test_a_login_that_fails_is_not_repeated(world: World) -> None:
    world.faults({"kind": "unavailable", "calls": "*"})
    with pytest.raises(PlatformError):
        await world.connected()
    calls = [call["call"] for call in world.calls()]
    assert len(calls) == len(set(calls))


@each_data_type
async def test_data_is_read_and_every_item_has_its_key(world: World, data_type: DataType) -> None:
    session = await world.connected()
    fetched = await fetch(world.platform, session, data_type)
    items = fetched.contents().items
    keys = [item.key for item in items]
    assert keys
    assert len(set(keys)) == len(keys)
    assert {type(item.record) for item in items} == {RECORDS[data_type]}
    again = await fetch(world.platform, session, data_type)
    assert (again.digest, [item.key for item in again.contents().items]) == (fetched.digest, keys)


@each_platform
async def test_a_reading_asks_for_nothing_twice(world: World, manifest: Manifest[Any]) -> None:
    session = await world.connected()
    before = len(world.calls())
    async with world.platform.reading(session) as reading:
        for data_type in manifest.data_types:
            (await reading.fetch(data_type)).contents()
    calls = [call["call"] for call in world.calls()[before:]]
    assert len(calls) == len(set(calls))


@each_platform
async def test_what_it_does_not_offer_is_refused(world: World, manifest: Manifest[Any]) -> None:
    session = await world.connected()
    for data_type in set(get_args(DataType)) - set(manifest.data_types):
        with pytest.raises(PermissionRefused):
            await fetch(world.platform, session, data_type)


@each_platform
async def test_a_session_is_renewed_and_ended(world: World, manifest: Manifest[Any]) -> None:
    session = await world.platform.renew(await world.connected())
    assert await read(world.platform, session, manifest.data_types[0])
    for _ in range(2):  # what is over already is fine
        await world.platform.disconnect(session)


@each_data_type
@pytest.mark.parametrize("kind", ["expired", "revoked"])
async def test_a_session_that_ended_elsewhere(world: World, data_type: DataType, kind: str) -> None:
    session = await world.connected()
    world.faults({"kind": kind})
    with pytest.raises(SessionEnded):
        await read(world.platform, session, data_type)
    with pytest.raises(SessionEnded):
        await world.platform.renew(session)
    await world.platform.disconnect(session)
    assert await read(world.platform, await world.connected(), data_type)


@each_data_type
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_platform_that_fails(
    world: World,
    manifest: Manifest[Any],
    data_type: DataType,
    fault: str,
    at: Accounts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each fault has its error, which tells nothing secret, and leaves the session as it was."""
    session = await world.connected()
    rule, error = FAULTS[fault]
    if rule["kind"] == "hang":
        await world.platform.aclose()
        impatient = partialmethod(Wire.__init__, call_seconds=0.3)
        monkeypatch.setattr(Wire, "__init__", impatient)
        world.platform = world.build(manifest, at.sandbox)
    world.faults(rule)
    with caplog.at_level(logging.DEBUG), pytest.raises(error) as caught:
        await read(world.platform, session, data_type)
    assert not issubclass(SessionEnded, type(caught.value))
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after == timedelta(seconds=30)
    for secret in (*secrets_of(session), "hunter2", world.login):
        assert secret not in f"{caught.value}{caught.value!r}{caplog.text}"
    world.faults()
    assert await read(world.platform, session, data_type)


@each_data_type
async def test_a_call_that_fails_once_is_made_again(world: World, data_type: DataType) -> None:
    session = await world.connected()
    keys = await read(world.platform, session, data_type)
    world.faults({"kind": "unavailable", "times": 1})
    assert await read(world.platform, session, data_type) == keys


@each_platform
async def test_calls_keep_the_limits(world: World, manifest: Manifest[Any]) -> None:
    """Each has a slot of the rate limit; without a limit, calls of one session follow each other."""
    session = await world.connected()
    before, world.limiter.called = len(world.calls()), 0
    for data_type in manifest.data_types:
        await read(world.platform, session, data_type)
    made = len(world.calls()) - before
    assert made >= len(manifest.data_types)
    if manifest.spacing is None:
        assert world.at_once() == 1
        return
    assert world.limiter.called == made
    world.limiter.full = True
    for data_type in manifest.data_types:
        with pytest.raises(OverRateLimit):
            await read(world.platform, session, data_type)
    assert len(world.calls()) - before == made


@each_platform
async def test_a_login_outlives_a_restart_of_the_sandbox(
    manifest: Manifest[Any], tmp_path: Path
) -> None:
    options = ("--memory", tmp_path / "memory.json", "--control-port", 0)
    first = manifest.data_types[0]
    with running(*options) as sandbox, accounts_at(sandbox) as accounts:
        before = World(manifest, accounts)
        session = await before.connected()
        keys = await read(before.platform, session, first)
    with pytest.raises(PlatformUnavailable, match="cannot be reached"):
        await read(before.platform, session, first)
    await before.platform.aclose()
    with running(*options) as sandbox, accounts_at(sandbox) as accounts:
        after = World(manifest, accounts)
        assert await read(after.platform, session, first) == keys
        await after.platform.aclose()
