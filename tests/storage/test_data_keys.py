"""Data keys and keyed secrets on a real MongoDB."""

from __future__ import annotations

import asyncio
import os
from functools import partial

import pytest

from server.security.data_key import DataKey, Owner
from server.security.encryption import Undecipherable
from server.security.ring import KeyRing, MissingKey
from server.storage.data_keys import DATA_KEYS, DataKeyStore, new_data_key
from server.storage.driver import ClientSession, Database
from server.storage.keyed_secrets import KEYED_SECRETS, KeyedSecrets

RING = KeyRing({"one": os.urandom(32)})
OTHER = KeyRing({"two": os.urandom(32)})
IMPOSTOR = KeyRing({"one": os.urandom(32)})
ANN = Owner("ann", "connectors/ann/zerodha")
ANN_FI = Owner("ann", "connectors/ann/fi_money")
BEN = Owner("ben", "connectors/ben/zerodha")
SECRETS = {"token": "tok_1"}


class TransactionAborted(Exception):
    pass


async def stored(database: Database, owner: Owner) -> DataKey:
    """A new key of this owner."""
    key = new_data_key(owner)
    await database.transact(partial(DataKeyStore(database, RING).store, key))
    return key


async def test_a_stored_key_opens_what_it_sealed(database: Database) -> None:
    store = DataKeyStore(database, RING)
    assert await store.of(ANN) is None
    ann, ben = await stored(database, ANN), await stored(database, BEN)
    assert (ann.stored, ann.id == ben.id) == (False, False)
    found = await store.of(ANN)
    assert found is not None
    assert found.stored
    assert found.open(ann.seal(SECRETS, field="session"), field="session") == SECRETS


async def test_an_owner_has_one_key(database: Database) -> None:
    made = await asyncio.gather(*(stored(database, ANN) for _ in range(5)))
    found = await DataKeyStore(database, RING).of(ANN)
    assert found is not None
    assert found.id in {key.id for key in made}
    assert await database.collection(DATA_KEYS).count_documents({}) == 1


async def test_a_replaced_key_opens_nothing_sealed_before(database: Database) -> None:
    store = DataKeyStore(database, RING)
    sealed = (await stored(database, ANN)).seal(SECRETS, field="session")
    replaced = await stored(database, ANN)
    found = await store.of(ANN)
    assert found is not None
    assert found.id == replaced.id
    with pytest.raises(Undecipherable):
        found.open(sealed, field="session")


async def test_a_replacement_that_is_undone_leaves_the_key(database: Database) -> None:
    store = DataKeyStore(database, RING)
    before = await stored(database, ANN)

    async def work(session: ClientSession) -> None:
        await store.store(new_data_key(ANN), session)
        raise TransactionAborted

    with pytest.raises(TransactionAborted):
        await database.transact(work)
    after = await store.of(ANN)
    assert after is not None
    assert after.id == before.id


async def test_keys_are_destroyed_alone_or_with_their_user(database: Database) -> None:
    store = DataKeyStore(database, RING)
    for owner in (ANN, ANN_FI, BEN):
        await stored(database, owner)
    await database.transact(partial(store.destroy, ANN))
    assert await store.of(ANN) is None
    assert await store.of(ANN_FI) is not None
    await database.transact(lambda session: store.destroy_of_user("ann", session))
    assert await store.of(ANN_FI) is None
    assert await store.of(BEN) is not None


async def test_a_key_moved_to_another_owner_does_not_open(database: Database) -> None:
    store = DataKeyStore(database, RING)
    await stored(database, ANN)
    await stored(database, BEN)
    keys = database.collection(DATA_KEYS)
    stolen = await keys.find_one({"owner": ANN.name})
    assert stolen is not None
    await keys.update_one({"owner": BEN.name}, {"$set": {"wrapped": stolen["wrapped"]}})
    with pytest.raises(Undecipherable):
        await store.of(BEN)
    await keys.delete_one({"owner": BEN.name})
    await keys.update_one(
        {"_id": stolen["_id"]}, {"$set": {"userId": BEN.user_id, "owner": BEN.name}}
    )
    with pytest.raises(Undecipherable):
        await store.of(BEN)


async def test_the_ring_must_have_the_key(database: Database) -> None:
    await stored(database, ANN)
    with pytest.raises(MissingKey, match="key one is missing"):
        await DataKeyStore(database, OTHER).of(ANN)
    with pytest.raises(Undecipherable, match="with the encryption key one"):
        await DataKeyStore(database, IMPOSTOR).of(ANN)


async def test_a_keyed_secret_is_the_same_for_all(database: Database) -> None:
    got = await asyncio.gather(*(KeyedSecrets(database, RING).get("a") for _ in range(20)))
    assert len(set(got)) == 1
    assert len(got[0]) == 32
    secrets = KeyedSecrets(database, RING)
    assert await secrets.get("a") == got[0]
    assert await secrets.get("b") != got[0]
    with pytest.raises(MissingKey):
        await KeyedSecrets(database, OTHER).get("a")
    with pytest.raises(Undecipherable):
        await KeyedSecrets(database, IMPOSTOR).get("a")


async def test_a_keyed_secret_opens_under_its_name_only(database: Database) -> None:
    secrets = KeyedSecrets(database, RING)
    await secrets.get("a")
    await secrets.get("b")
    collection = database.collection(KEYED_SECRETS)
    stolen = await collection.find_one({"_id": "a"})
    assert stolen is not None
    await collection.update_one({"_id": "b"}, {"$set": {"wrapped": stolen["wrapped"]}})
    with pytest.raises(Undecipherable):
        await secrets.get("b")
