"""Signing keys at rest: sealed by the key ring, each in its place."""

from __future__ import annotations

import pytest

from server.core.errors import Unauthenticated
from server.domains.identity.tokens.store import SIGNING_KEYS
from server.domains.identity.tokens.store import signing_keys as all_signing_keys
from server.security.encryption import Undecipherable
from server.security.ring import KeyRing
from server.security.rotation import rotate, survey
from server.storage.driver import Database
from tests.domains.identity.tokens.workers import (
    TurnableClock,
    kid,
    rotation,
    worker,
)


async def test_keys_are_covered_by_the_rotation_of_the_key_ring(
    database: Database, clock: TurnableClock
) -> None:
    old, new = bytes(range(32)), bytes(range(1, 33))
    before = worker(database, clock, ring=KeyRing({"old": old}))
    token = await before.issue()
    both = KeyRing({"new": new, "old": old})
    collections = [all_signing_keys(database)]
    assert (await survey(both, collections)).waiting == {"old": 1}
    assert (await rotate(both, collections, lambda *_: None)).complete
    after = worker(database, clock, ring=KeyRing({"new": new}))
    await after.tokens.by_token(token)
    await before.tokens.by_token(await after.issue())


async def test_a_key_opens_in_its_place_alone(database: Database, clock: TurnableClock) -> None:
    """Else what somebody puts into MongoDB would be a key."""
    one = worker(database, clock)
    token = await one.issue()
    keys = database.collection(SIGNING_KEYS)
    document = await keys.find_one({})
    assert document is not None
    await keys.insert_one({**document, "_id": "another", "number": 2})
    with pytest.raises(Undecipherable):
        await worker(database, clock).tokens.by_token(token)
    made, _ = await rotation(one).replace()
    assert await kid(worker(database, clock)) == made.id


async def test_a_key_is_never_shown(database: Database, clock: TurnableClock) -> None:
    one = worker(database, clock)
    await kid(one)
    key = await one.tokens._keys.signing()
    assert "ECKey" not in repr(key)
    document = await database.collection(SIGNING_KEYS).find_one({})
    assert document is not None
    assert document.keys() == {
        "_id", "algorithm", "number", "signsFrom", "createdAt", "wrappedBy", "wrapped",
    }  # fmt: skip


async def test_a_stranger_learns_nothing_of_unknown_keys(
    database: Database, clock: TurnableClock
) -> None:
    token = await worker(database, clock).issue()
    await database.collection(SIGNING_KEYS).delete_many({})
    with pytest.raises(Unauthenticated):
        await worker(database, clock).tokens.by_token(token)
