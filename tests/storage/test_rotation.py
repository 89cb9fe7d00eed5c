"""Rotation of the key ring on a real MongoDB."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial

import pytest

from server.security.data_key import DataKey, Owner
from server.security.ring import KeyRing
from server.security.rotation import Rotation, rotate, survey
from server.storage.data_keys import DATA_KEYS, DataKeyStore, data_keys, new_data_key
from server.storage.driver import ClientSession, Database
from server.storage.keyed_secrets import KeyedSecrets, keyed_secrets

OLD_KEY, NEW_KEY = os.urandom(32), os.urandom(32)
OLD = KeyRing({"old": OLD_KEY})
BOTH = KeyRing({"new": NEW_KEY, "old": OLD_KEY})
NEW = KeyRing({"new": NEW_KEY})
SECRETS = {"token": "tok_1"}
QUICKLY = 1_000_000
BATCH = 20


class Stopped(Exception):
    pass


def owner(number: int) -> Owner:
    return Owner(f"user_{number}", f"connectors/user_{number}/zerodha")


async def sealed(database: Database, ring: KeyRing, numbers: range) -> dict[int, str]:
    """What a new data key of each owner sealed."""
    keys = [new_data_key(owner(number)) for number in numbers]

    async def store(some: Sequence[DataKey], session: ClientSession) -> None:
        for key in some:
            await DataKeyStore(database, ring).store(key, session)

    for start in range(0, len(keys), 50):
        await database.transact(partial(store, keys[start : start + 50]))
    return {n: key.seal(SECRETS, field="session") for n, key in zip(numbers, keys, strict=True)}


async def opens(database: Database, ring: KeyRing, texts: dict[int, str]) -> bool:
    store = DataKeyStore(database, ring)
    keys = await asyncio.gather(*(store.of(owner(number)) for number in texts))
    for key, text in zip(keys, texts.values(), strict=True):
        assert key is not None
        assert key.open(text, field="session") == SECRETS
    return True


async def rotated(database: Database, ring: KeyRing = BOTH, rate: float = QUICKLY) -> Rotation:
    collections = [data_keys(database), keyed_secrets(database)]
    return await rotate(ring, collections, lambda *_: None, rate, BATCH)


async def test_afterwards_the_old_key_is_not_needed(database: Database) -> None:
    texts = await sealed(database, OLD, range(BATCH + 5))
    secret = await KeyedSecrets(database, OLD).get("a")
    collections = [data_keys(database), keyed_secrets(database)]
    before = await survey(BOTH, collections)
    assert (before.waiting, before.missing, before.complete) == ({"old": BATCH + 6}, [], False)

    reported: list[tuple[int, int]] = []
    done = await rotate(BOTH, collections, lambda n, of: reported.append((n, of)), QUICKLY, BATCH)
    assert (done.rewrapped, done.waiting, done.broken) == (BATCH + 6, {}, [])
    assert done.complete
    assert reported[0] == (0, BATCH + 6)
    assert reported[-1] == (BATCH + 6, BATCH + 6)
    assert await opens(database, NEW, texts)
    assert await KeyedSecrets(database, NEW).get("a") == secret

    again = await rotated(database)
    assert (again.rewrapped, again.total) == (0, BATCH + 6)


async def test_stopped_in_the_middle_it_goes_on(database: Database) -> None:
    texts = await sealed(database, OLD, range(BATCH * 2 + 10))

    def stop(done: int, _: int) -> None:
        if done:
            raise Stopped

    with pytest.raises(Stopped):
        await rotate(BOTH, [data_keys(database)], stop, QUICKLY, BATCH)
    assert (await survey(BOTH, [data_keys(database)])).waiting == {"old": BATCH + 10}
    assert await opens(database, BOTH, texts)  # between the two, servers have both keys

    assert (await rotated(database)).rewrapped == BATCH + 10
    assert await opens(database, NEW, texts)


async def test_two_at_once_do_no_harm(database: Database) -> None:
    texts = await sealed(database, OLD, range(BATCH + 5))
    first, second = await asyncio.gather(rotated(database), rotated(database))
    assert first.rewrapped + second.rewrapped == BATCH + 5
    assert await opens(database, NEW, texts)


async def test_keys_that_come_and_go_meanwhile_stay_as_they_are(database: Database) -> None:
    texts = await sealed(database, OLD, range(10))
    store = DataKeyStore(database, BOTH)

    class Meanwhile:
        """The data keys, changed after they were read."""

        count_by_ring_key = data_keys(database).count_by_ring_key
        replace = data_keys(database).replace

        async def wrapped_by(self, key_id: str, after: str, limit: int) -> list[object]:
            batch = await data_keys(database).wrapped_by(key_id, after, limit)
            if batch:
                await database.transact(partial(store.destroy, owner(0)))
                texts.update(await sealed(database, BOTH, range(1, 2)))
                texts.update(await sealed(database, OLD, range(2, 3)))
            return list(batch)

    done = await rotate(BOTH, [Meanwhile()], lambda *_: None, QUICKLY)  # type: ignore[list-item]
    assert done.rewrapped == 7
    assert await store.of(owner(0)) is None
    del texts[0]
    assert await opens(database, BOTH, texts)
    assert done.waiting == {"old": 1}, "a server with the old key first has made one"


async def test_missing_and_broken_keys_are_reported(database: Database) -> None:
    texts = await sealed(database, OLD, range(5))
    lost = KeyRing({"lost": os.urandom(32)})
    await sealed(database, lost, range(5, 8))
    impostor = KeyRing({"old": os.urandom(32)})
    await sealed(database, impostor, range(8, 9))
    broken = await database.collection(DATA_KEYS).find_one({"userId": "user_8"})
    assert broken is not None

    done = await rotated(database)
    assert (done.rewrapped, done.total) == (5, 9)
    assert done.waiting == {"lost": 3, "old": 1}
    assert done.missing == ["lost"]
    assert done.broken == [broken["_id"]]
    assert not done.complete
    assert await opens(database, NEW, texts)
