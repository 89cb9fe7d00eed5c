"""A database written to a file, and read from one."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from bson import Decimal128, ObjectId

from server.storage import archive
from server.storage.driver import Database
from tests.storage.databases import INDEXES

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
THING = {
    "_id": ObjectId(),
    "at": NOW,
    "sum": Decimal128("1.10"),
    "raw": b"\0",
    "in": {"a": [1, None]},
}


async def things(database: Database, name: str = "things") -> Sequence[object]:
    return await database.collection(name).find({}).sort("_id", 1).to_list(None)


async def test_what_was_written_is_there_again(database: Database, tmp_path: Path) -> None:
    await database.collection("things").insert_many([THING, {"n": 2}])
    await database.collection("others").insert_one({"_id": "other"})
    before = [await things(database), await things(database, "others")]
    path = tmp_path / "archive"
    counts = await archive.write(database, path)
    assert {name: counts[name] for name in ("things", "others")} == {"things": 2, "others": 1}
    assert archive.check(path) == counts
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in os.scandir(tmp_path)] == [path.name]

    await database.collection("things").update_one({"n": 2}, {"$set": {"n": 3}})
    for name in ("things", "others"):
        await database.collection(name).drop()
    await archive.read(database, path)
    assert [await things(database), await things(database, "others")] == before


async def test_all_is_of_one_moment(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "BATCH", 1)
    for name in ("a_first", "b_second"):
        await database.collection(name).drop()
        await database.collection(name).insert_one({"_id": 1, "is": "before"})
    seen = {}
    async for name, documents in archive._read_at_one_moment(database, {*INDEXES, "things"}):
        seen[name] = [bson.decode(each.raw) for each in documents]
        if name == "a_first":
            await database.collection("b_second").update_one({"_id": 1}, {"$set": {"is": "after"}})
            await database.collection("b_second").insert_one({"_id": 2})
    assert seen["b_second"] == [{"_id": 1, "is": "before"}]


async def test_what_is_left_out_is_not_there(database: Database, tmp_path: Path) -> None:
    await database.collection("data_keys").insert_one({"_id": "key"})
    counts = await archive.write(database, tmp_path / "archive", ["data_keys"])
    assert "data_keys" not in counts
    assert b"data_keys" not in gzip.decompress((tmp_path / "archive").read_bytes())


@pytest.mark.parametrize("broken", ["cut", "endless", "other", "no gzip", "short", "empty"])
async def test_a_file_that_is_not_whole_is_refused(
    database: Database, tmp_path: Path, broken: str
) -> None:
    await database.collection("things").insert_one({"n": 1})
    path = tmp_path / "archive"
    await archive.write(database, path)
    whole = gzip.decompress(path.read_bytes())
    parts = bson.decode_all(whole)
    content = {
        "cut": path.read_bytes()[:-20],
        "endless": gzip.compress(b"".join(bson.encode(part) for part in parts[:-1])),
        "other": gzip.compress(bson.encode({"finlink": 2})),
        "no gzip": whole,
        "short": gzip.compress(b"".join(bson.encode(part) for part in (parts[0], parts[-1]))),
        "empty": b"",
    }[broken]
    path.write_bytes(content)
    with pytest.raises(archive.NotWhole):
        archive.check(path)
