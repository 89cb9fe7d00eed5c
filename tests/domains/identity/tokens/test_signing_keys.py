"""Signing keys from the first to the next, over several workers, as the clock is turned."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import jwt
import pytest

from server.core.errors import TokenExpired, Unauthenticated
from server.core.events import Actor, enter_actor
from server.domains.identity.tokens import revocations, signing_keys
from server.domains.identity.tokens.model import StoredSigningKey
from server.domains.identity.tokens.signing_keys import StoredKeys
from server.domains.identity.tokens.store import SIGNING_KEYS, SigningKeyStore
from server.storage.audit import AUDIT_EVENTS
from server.storage.driver import ClientSession, Database
from tests.domains.identity.tokens.workers import (
    LIFE,
    RING,
    TurnableClock,
    Worker,
    kid,
    parts,
    private_jwk,
    rotation,
    signed,
    worker,
)

DAYS = timedelta(days=90)
HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=5)  # in which a test may run
LEEWAY = timedelta(seconds=30)
READ_EVERY = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds need not pass until a worker reads what other hosts have revoked."""
    monkeypatch.setattr(revocations, "FRESH_SECONDS", 0.0)


async def published(by: Worker) -> list[str]:
    jwks: Any = await by.tokens.jwks()
    return [key["kid"] for key in jwks["keys"]]


async def stored(database: Database) -> list[str]:
    documents = await database.collection(SIGNING_KEYS).find({}).sort("number").to_list(None)
    return [document["_id"] for document in documents]


async def recorded(database: Database) -> list[Any]:
    query = {"action": "signing_key.rotated"}
    return await database.collection(AUDIT_EVENTS).find(query).sort("_id").to_list(None)


async def test_the_first_key_signs_at_once_for_all(
    database: Database, clock: TurnableClock
) -> None:
    workers = [worker(database, clock) for _ in range(6)]
    tokens = await asyncio.gather(*(each.issue() for each in workers))
    assert len({parts(token)[0]["kid"] for token in tokens}) == 1
    assert len(await stored(database)) == 1
    for each in workers:
        for token in tokens:
            await each.tokens.by_token(token)
    assert await recorded(database) == []


async def test_a_key_is_published_an_hour_before_it_signs_and_until_its_last_token_is_past(
    database: Database, clock: TurnableClock
) -> None:
    one, other = worker(database, clock), worker(database, clock)
    first = await kid(one)

    clock.turn(DAYS - HOUR - MOMENT)
    assert await published(one) == await published(other) == [first]

    due = DAYS - HOUR + READ_EVERY
    clock.turn(due)
    enter_actor(Actor("caller"))  # who happens to call
    assert await kid(one) == first
    _, second = await published(one)
    assert await published(other) == [first, second]

    signs = due + HOUR
    clock.turn(signs - MOMENT)
    last = await one.issue()
    header, claims = parts(last)
    assert header["kid"] == first
    stolen = jwt.PyJWK.from_dict(await private_jwk(one, first), "ES256").key
    forged = signed(header, {**claims, "exp": claims["exp"] + 3600}, stolen)

    clock.turn(signs + MOMENT)
    assert await kid(one) == await kid(other) == second
    assert await published(one) == [first, second]
    await other.tokens.by_token(last)

    clock.turn(signs + LIFE + MOMENT)
    await other.tokens.by_token(last)  # by the leeway
    await other.tokens.signed_by_finlink(forged)
    assert await published(one) == [first, second]

    clock.turn(signs + LIFE + LEEWAY + MOMENT)
    assert await published(one) == await published(other) == [second]
    with pytest.raises(Unauthenticated):
        await other.tokens.signed_by_finlink(forged)
    clock.turn(signs + LIFE + LEEWAY + MOMENT + READ_EVERY)
    await published(one)
    assert await stored(database) == [second]

    (event,) = await recorded(database)
    assert (event["fields"], event["actor"]) == ([second], {"kind": "system"})


async def test_workers_that_find_a_key_due_at_once_make_one(
    database: Database, clock: TurnableClock
) -> None:
    workers = [worker(database, clock) for _ in range(6)]
    first = await kid(workers[0])
    clock.turn(DAYS)
    assert {await kid(each) for each in workers} == {first}
    assert len(await stored(database)) == 2
    clock.turn(2 * DAYS)
    await asyncio.gather(*(published(each) for each in workers))
    assert len(await stored(database)) == 2, "the first is past, the third is published"
    assert len(await recorded(database)) == 2


async def test_two_rotations_at_once_make_one_key(database: Database, clock: TurnableClock) -> None:
    one, other = worker(database, clock), worker(database, clock)
    await kid(one)
    (newest,) = await SigningKeyStore(database, RING).all("ES256")
    made = await asyncio.gather(rotation(one).follow(newest), rotation(other).follow(newest))
    assert sum(key is not None for key in made) == 1
    assert len(await stored(database)) == 2
    assert len(await recorded(database)) == 1


async def test_a_key_that_is_published_is_not_made_again(
    database: Database, clock: TurnableClock
) -> None:
    one = worker(database, clock)
    first = await rotation(one).next()
    assert first.signs_from <= clock.now()
    second, again = [await rotation(one).next() for _ in range(2)]
    assert second.id == again.id
    assert clock.now() < second.signs_from <= clock.now() + HOUR
    assert await stored(database) == [first.id, second.id]
    assert await kid(one) == first.id


async def test_at_once_the_new_key_signs_and_the_others_are_dropped(
    database: Database, clock: TurnableClock
) -> None:
    one, other, fresh = (worker(database, clock) for _ in range(3))
    old, unseen = await one.issue(), await one.issue()
    await one.tokens.by_token(old)
    await other.tokens.by_token(old)
    pending = await rotation(one).next()

    made, dropped = await rotation(one).replace()
    assert dropped == [parts(old)[0]["kid"], pending.id]
    assert await stored(database) == [made.id]
    for each in (one, other, fresh):
        for token in (old, unseen):
            with pytest.raises(TokenExpired):
                await each.tokens.by_token(token)
        assert await kid(each) == made.id
        assert await published(each) == [made.id]
    await other.tokens.by_token(await one.issue())
    assert [event["fields"] for event in await recorded(database)] == [[pending.id], [made.id]]


async def test_keys_are_dropped_by_several_at_once(
    database: Database, clock: TurnableClock
) -> None:
    workers = [worker(database, clock) for _ in range(3)]
    await kid(workers[0])
    made = await asyncio.gather(*(rotation(each).replace() for each in workers))
    (left,) = await stored(database)
    assert left in {key.id for key, _ in made}
    assert {await kid(each) for each in workers} == {left}


class CountedStore(SigningKeyStore):
    reads = 0

    async def all(
        self, algorithm: str, session: ClientSession | None = None
    ) -> list[StoredSigningKey]:
        self.reads += 1
        return await super().all(algorithm, session)


async def test_a_kid_that_is_unknown_has_the_keys_read_again_now_and_then(
    database: Database, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "UNKNOWN_SECONDS", 3600.0)
    one = worker(database, clock)
    await kid(one)
    store = CountedStore(database, RING)
    keys = StoredKeys(
        store, rotation(one), clock, algorithm="ES256", rotate_after=DAYS, token_life=LIFE,
        is_dropped=lambda _: False,
    )  # fmt: skip
    await keys.signing()
    assert store.reads == 1
    made, _ = await rotation(one).replace()
    assert await asyncio.gather(*(keys.find(f"unknown-{n}") for n in range(100))) == [None] * 100
    assert await keys.find(made.id) is None
    assert store.reads == 1, "it has read not long ago"
    monkeypatch.setattr(signing_keys, "UNKNOWN_SECONDS", 0.0)
    assert await keys.find(made.id) is not None
    assert store.reads == 2
    assert await keys.find(made.id) is not None
    assert store.reads == 2


async def test_the_first_token_of_a_new_key_is_known_to_a_worker_that_has_not_read_it(
    database: Database, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "UNKNOWN_SECONDS", 0.0)
    one, other = worker(database, clock), worker(database, clock)
    await other.tokens.by_token(await one.issue())
    await rotation(one).replace()
    await other.tokens.by_token(await worker(database, clock).issue())


async def test_each_algorithm_has_keys_of_its_own(database: Database, clock: TurnableClock) -> None:
    one = worker(database, clock)
    other = worker(database, clock, jwt_algorithm="RS256")
    tokens = [await one.issue(), await other.issue()]
    assert [parts(token)[0]["alg"] for token in tokens] == ["ES256", "RS256"]
    await rotation(other, "RS256").replace()
    await one.tokens.by_token(tokens[0])
    assert len(await published(one)) == len(await published(other)) == 1
