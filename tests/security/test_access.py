"""API keys as they are made, and as the environment names them."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from server.core.access import ApiKey, Scope, digest, new_key, parse_keys
from server.core.errors import Unauthenticated
from server.storage.api_keys import ApiKeyStore, CurrentKeys

DIGEST = digest("finlink_x")


def test_keys_are_random_and_recognisable() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("finlink_") and len(key) > 40 for key in keys)


def test_keys_of_the_environment() -> None:
    first, second = parse_keys(f"ops:admin:{DIGEST}, app.v2:read:{digest('y')},")
    assert (first.name, first.scope, first.digest) == ("ops", Scope.ADMIN, DIGEST)
    assert (second.name, second.scope) == ("app.v2", Scope.READ)
    assert parse_keys("") == ()


def test_scopes_include_those_before_them() -> None:
    assert Scope.READ < Scope.WRITE < Scope.ADMIN


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f":read:{DIGEST}", "NAME:SCOPE:DIGEST"),
        (f"ops:all:{DIGEST}", "read, write or admin"),
        ("ops:read:finlink_x", "SHA-256"),
        (f"ops:read:{DIGEST},ops:read:{DIGEST}", "twice"),
    ],
)
def test_wrong_entries_are_named_without_digests(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_keys(text)
    assert DIGEST not in str(caught.value)
    assert DIGEST not in repr(parse_keys(f"ops:read:{DIGEST}"))


class SlowStore:
    """A store whose reads end when the test says so, with what it says."""

    def __init__(self) -> None:
        self.reads: list[asyncio.Future[list[ApiKey]]] = []
        self.asked = asyncio.Event()

    async def all(self) -> list[ApiKey]:
        self.reads.append(asyncio.get_running_loop().create_future())
        self.asked.set()
        return await self.reads[-1]


async def test_calls_at_once_wait_for_one_read_and_share_its_failure() -> None:
    store = SlowStore()
    keys = CurrentKeys(cast("ApiKeyStore", store), [])

    async def admit(key: str) -> ApiKey:
        if not keys.are_fresh:
            await keys.read()
        return keys.find(key)

    async def waiting(count: int) -> list[asyncio.Task[ApiKey]]:
        tasks = [asyncio.create_task(admit("finlink_x")) for _ in range(count)]
        await store.asked.wait()
        store.asked.clear()
        return tasks

    first = await waiting(20)
    first[0].cancel()  # a caller that goes away takes nothing from the others
    store.reads[0].set_exception(ConnectionError())
    failures = await asyncio.gather(*first, return_exceptions=True)
    assert isinstance(failures[0], asyncio.CancelledError)
    assert all(isinstance(failure, ConnectionError) for failure in failures[1:])
    assert len(store.reads) == 1

    second = await waiting(20)
    store.reads[1].set_result([ApiKey("app", Scope.READ, digest("finlink_x"))])
    assert {key.name for key in await asyncio.gather(*second)} == {"app"}
    with pytest.raises(Unauthenticated):
        await admit("finlink_y")
    assert len(store.reads) == 2


@pytest.mark.parametrize("closed", [True, False])
async def test_without_any_key_only_what_may_be_open_is(closed: bool) -> None:
    """As when all keys were removed under a server of production."""
    store = SlowStore()
    keys = CurrentKeys(cast("ApiKeyStore", store), [], closed=closed)
    reading = asyncio.create_task(keys.read())
    await store.asked.wait()
    store.reads[0].set_result([])
    await reading
    assert not keys.exist
    assert keys.guard is closed
    with pytest.raises(Unauthenticated):
        keys.find("finlink_x")
