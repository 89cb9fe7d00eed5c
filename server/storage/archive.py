"""All that a database has, in one file, for backups that need nothing but Finlink.

The file is a gzip of BSON documents: what it is, then the documents in batches of one collection each, then
how many there are of each. Documents are copied as they are; what is encrypted stays so.
"""

import gzip
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from collections.abc import Collection as Names
from pathlib import Path
from typing import Any, BinaryIO, cast

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from server.storage.driver import Collection, Database

VERSION = 1
BATCH = 1_000
_LEVEL = 3  # of compression: faster than MongoDB gives documents
_GONE = frozenset({239, 246})  # SnapshotTooOld, SnapshotUnavailable: or an index was made meanwhile
_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)


class NotWhole(Exception):
    """A file that is no archive, or whose end is missing."""


class SnapshotExpired(Exception):
    """MongoDB does not keep the moment that is being written any longer."""


async def write(database: Database, path: Path, leave_out: Names[str] = ()) -> Mapping[str, int]:
    """Write what the database has at one moment; returns how many documents of each collection.

    The file has its name once it is whole. Only its owner may read it. Raises SnapshotExpired, OSError.
    """
    unfinished = path.with_name(f"{path.name}.part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        counts = await send(database, file, leave_out)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return counts


async def send(database: Database, to: BinaryIO, leave_out: Names[str] = ()) -> Mapping[str, int]:
    """The same into an open file, or a pipe."""
    counts: Counter[str] = Counter()
    with gzip.open(to, "wb", _LEVEL) as archive:
        archive.write(bson.encode({"finlink": VERSION}))
        async for name, documents in _read_at_one_moment(database, leave_out):
            archive.write(bson.encode({"collection": name, "documents": documents}))
            counts[name] += len(documents)
        archive.write(bson.encode({"end": counts}))
    return counts


async def _read_at_one_moment(
    database: Database, leave_out: Names[str]
) -> AsyncIterator[tuple[str, list[Any]]]:
    """Raises SnapshotExpired."""
    try:
        async with database.at_one_moment() as session:
            for name in await database.names():
                if name in leave_out:
                    continue
                cursor = _raw(database, name).find({}, session=session, batch_size=BATCH)
                while batch := await cursor.to_list(BATCH):
                    yield name, batch
    except OperationFailure as error:
        if error.code in _GONE:
            raise SnapshotExpired from error
        raise


def check(path: Path) -> Mapping[str, int]:
    """How many documents of each collection a file has. Raises NotWhole, OSError."""
    counts: Counter[str] = Counter()
    try:
        for name, documents in _batches(path):
            counts[name] += len(documents)
    except (gzip.BadGzipFile, EOFError, bson.errors.BSONError) as error:
        raise NotWhole(type(error).__name__) from error
    return counts


async def read(database: Database, path: Path) -> None:
    """Insert all that a file has, which was checked before."""
    for name, documents in _batches(path):
        await _raw(database, name).insert_many(documents, ordered=False)


def _batches(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """Raises NotWhole where the file does not begin or end as it must."""
    counts: Counter[str] = Counter()
    with gzip.open(path) as file:
        parts = bson.decode_file_iter(cast(BinaryIO, file), _RAW)
        first: Mapping[str, Any] = next(parts, {})
        if first.get("finlink") != VERSION:
            raise NotWhole("it is none, or of another version")
        for part in parts:
            if "end" in part:
                if dict(part["end"]) != counts:
                    raise NotWhole("documents are missing")
                return
            documents = list(part["documents"])
            counts[part["collection"]] += len(documents)
            yield part["collection"], documents
    raise NotWhole("its end is missing")


def _raw(database: Database, name: str) -> Collection:
    """Its documents are left as they are, not decoded."""
    return database.collection(name).with_options(codec_options=_RAW)
