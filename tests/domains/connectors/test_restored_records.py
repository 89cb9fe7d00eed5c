"""Backups with sealed records: they open with their data keys only, and what was erased stays so."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pymongo import MongoClient
from typer.testing import CliRunner, Result

from server.__main__ import app
from server.config import ConfigError
from server.core.pages import PageRequest
from server.domains.connectors.model import Connector
from server.domains.connectors.records.boxes import DataKeyMissing
from server.domains.connectors.records.model import StoredRecord
from server.platforms.records import Item, Money, Transaction
from server.startup import KEYS_LOOKED_UP, check_data_keys
from server.storage import archive
from server.storage.data_keys import DATA_KEYS
from server.storage.driver import connected
from tests.domains.connectors.sync_world import World
from tests.domains.connectors.unsealed import unseal
from tests.mongodb import MongoDb
from tests.storage.databases import settings

TEXT, AMOUNT = "canary narration of a rent", "8675309.42"
KEY = bytes(range(32)).hex()  # the world's


@pytest.fixture
def elsewhere(mongodb: MongoDb, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a database that is not there. Commands are about that of the world at first."""
    for name in ("ENCRYPTION_KEYS", "DATA_DIR", "APP_ENV", "ENVIRONMENT", "NODE_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", "/nowhere")
    monkeypatch.setenv("MONGODB_URI", mongodb.uri)
    monkeypatch.setenv("ENCRYPTION_KEYS", f"one:{KEY}")
    monkeypatch.setenv("DB_NAME", world.database.collection(DATA_KEYS).database.name)
    name = f"restored_{uuid.uuid4().hex[:12]}"
    yield name
    with MongoClient[dict[str, object]](mongodb.uri) as client:
        client.drop_database(name)


async def server(*words: str | Path) -> Result:
    """A command, which has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, [str(word) for word in words])


async def done(*words: str | Path) -> str:
    result = await server(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


async def synced(world: World) -> Connector:
    amount = Money(Decimal(AMOUNT), "INR")
    row = Transaction(date(2026, 1, 2), "debit", amount, TEXT, "UPI", "Bank")
    world.platform.items["transactions"] = [Item("rent", row)]
    return await world.synced()


async def listed(world: World, connector: Connector) -> list[StoredRecord]:
    records, _ = await world.sync_service.records(connector.id, None, PageRequest(limit=100))
    return records


@pytest.fixture
async def restored(mongodb: MongoDb, elsewhere: str) -> AsyncIterator[World]:
    """What reads the other database."""
    async with connected(settings(mongodb.uri, "pymongo", db_name=elsewhere)) as database:
        yield World(database)


def in_clear(path: Path) -> bool:
    content = gzip.decompress(path.read_bytes())
    return any(secret.encode() in content for secret in (TEXT, AMOUNT))


async def test_a_backup_opens_with_its_keys(
    world: World, restored: World, elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = await synced(world)
    file, keys = tmp_path / "backup", tmp_path / "backup.keys"
    assert "backup and" in await done("backup", file)
    assert DATA_KEYS not in archive.check(file).counts
    assert dict(archive.check(keys).counts) == {DATA_KEYS: 2}
    assert not in_clear(file)
    assert "exists already" in str((await server("backup", file)).exception)

    monkeypatch.setenv("DB_NAME", elsewhere)
    await done("restore", file)
    assert await listed(restored, connector) == await listed(world, connector)
    await check_data_keys(restored.database)
    assert "has its data key" in await done("verify-data-keys")

    kept = keys.rename(tmp_path / "kept apart")
    refused = await server("restore", "--replace", file)
    assert "no keys. Name the newest copy" in str(refused.exception)
    assert len(await listed(restored, connector)) == 6, "nothing was removed for that"
    await done("restore", "--replace", "--keys", kept, file)
    assert len(await listed(restored, connector)) == 6


async def test_what_was_erased_since_does_not_open(
    world: World, restored: World, elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben, carl = [await synced(world) for _ in range(3)]
    file, newest = tmp_path / "backup", tmp_path / "newest"
    await done("backup", file)
    await world.user_service.delete(ann.user_id)
    await world.service.disconnect(carl.id, delete_records=True)
    later = await synced(world)
    await done("backup", "--only-keys", newest)
    assert dict(archive.check(newest).counts) == {DATA_KEYS: 4}

    monkeypatch.setenv("DB_NAME", elsewhere)
    warned = await server("restore", "--keys", newest, file)
    assert "documents of 2 owners have no data key" in str(warned.exception)
    for erased in (ann, carl):
        with pytest.raises(DataKeyMissing):
            await listed(restored, erased)
    assert await listed(restored, ben) == await listed(world, ben)
    with pytest.raises(ConfigError, match=f"of {KEYS_LOOKED_UP} owners .* 2 have no data key"):
        await check_data_keys(restored.database)
    checked = await server("verify-data-keys")
    assert (checked.exit_code, "of 2 owners have no data key" in checked.output) == (1, True)

    assert "workers erase them" in await done("verify-data-keys", "--erase")
    await check_data_keys(restored.database)
    while await restored.records.erase_some():
        pass
    assert [await listed(restored, each) for each in (ann, carl)] == [[], []]
    assert await restored.database.collection("records").count_documents({}) == 6
    assert await listed(restored, ben) == await listed(world, ben)
    assert later.id

    assert "of 2 owners" in await done("restore", "--replace", "--erase", "--keys", newest, file)
    await check_data_keys(restored.database)
    assert await listed(restored, ben) == await listed(world, ben)


@pytest.mark.usefixtures("elsewhere")
async def test_keys_that_cannot_be_the_newest_are_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    await synced(world)
    old, file, whole = tmp_path / "old", tmp_path / "backup", tmp_path / "whole"
    await done("backup", "--only-keys", old)
    await synced(world)
    await done("backup", file)
    await done("backup", "--with-keys", whole)
    assert archive.check(whole).counts[DATA_KEYS] == 4

    monkeypatch.setenv("DB_NAME", elsewhere)
    for keys, reason in ((old, "is older than"), (whole, "has more than data keys")):
        refused = await server("restore", "--keys", keys, file)
        assert reason in str(refused.exception)
    await done("restore", whole)
    assert "has its data key" in await done("verify-data-keys")
    erased = await done("restore", "--replace", "--erase", "--keys", old, file)
    assert "Documents of 1 owners had no data key" in erased


async def test_data_keys_that_another_tool_left_out(world: World) -> None:
    """Servers do not start then, whatever restored the rest."""
    await synced(world)
    await check_data_keys(world.database)
    await world.database.collection(DATA_KEYS).delete_many({})
    with pytest.raises(ConfigError, match="newest copy of the data keys"):
        await check_data_keys(world.database)


@pytest.mark.usefixtures("elsewhere")
async def test_what_is_not_sealed_yet_is_counted(world: World) -> None:
    connector = await synced(world)
    await unseal(world, connector.id)
    assert "6 documents of an earlier release are not sealed yet" in await done("verify-data-keys")
