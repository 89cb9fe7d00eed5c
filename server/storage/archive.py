"""All that a database has, in one file, for backups that need nothing but Finlink.

The file is a gzip of BSON documents: what it is and of when, then the documents in batches of one collection
each, then how many there are of each. Documents are copied as they are; what is encrypted stays so. The keys
of that can go into a file of their own.
"""

import gzip
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from collections.abc import Collection as Names
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Self, cast

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from server.storage.driver import ClientSession, Collection, Database

VERSION = 1
BATCH = 1_000
_LEVEL = 3  # of compression: faster than MongoDB gives documents
_GONE = frozenset({239, 246})  # SnapshotTooOld, SnapshotUnavailable: or an index was made meanwhile
_AWARE: CodecOptions[Any] = CodecOptions(tz_aware=True)
_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)


class NotWhole(Exception):
    """A file that is no archive, or whose end is missing."""


class SnapshotExpired(Exception):
    """MongoDB does not keep the moment that is being written any longer."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a file; all is there that the database had at `moment`."""

    counts: Mapping[str, int]
    moment: datetime | None  # of a file that says it
    sealed: bool  # whether one of the collections that were asked about has sealed documents


class _Writer:
    """One file while it is written."""

    def __init__(self, to: BinaryIO, moment: datetime) -> None:
        self.counts: Counter[str] = Counter()
        self._file = gzip.GzipFile(fileobj=to, mode="wb", compresslevel=_LEVEL)
        self._write({"finlink": VERSION, "at": moment})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, name: str, documents: list[Any]) -> None:
        self._write({"collection": name, "documents": documents})
        self.counts[name] += len(documents)

    def end(self) -> None:
        self._write({"end": self.counts})

    def _write(self, part: Mapping[str, Any]) -> None:
        self._file.write(bson.encode(part))


async def write(
    database: Database,
    path: Path,
    leave_out: Names[str] = (),
    apart: Mapping[str, Path] = MappingProxyType({}),
) -> Mapping[str, int]:
    """Write what the database has at one moment; returns how many documents of each collection.

    A collection that is kept `apart` goes into a file of its own. Files have their names once they are whole.
    Only their owner may read them. Raises SnapshotExpired, OSError.
    """
    unfinished = {each: each.with_name(f"{each.name}.part") for each in (path, *apart.values())}
    with ExitStack() as stack:
        files = {each: stack.enter_context(_private(name)) for each, name in unfinished.items()}
        to = {name: files[each] for name, each in apart.items()}
        counts = await send(database, files[path], leave_out, to)
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    for each, name in unfinished.items():
        name.replace(each)
    return counts


async def write_only(database: Database, path: Path, name: str) -> Mapping[str, int]:
    """Write one collection; what `send_only` says holds. Raises SnapshotExpired, OSError."""
    unfinished = path.with_name(f"{path.name}.part")
    with _private(unfinished) as file:
        counts = await send_only(database, file, name)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return counts


async def send(
    database: Database,
    to: BinaryIO,
    leave_out: Names[str] = (),
    apart: Mapping[str, BinaryIO] = MappingProxyType({}),
) -> Mapping[str, int]:
    """The same into open files, or a pipe."""
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        async with _one_moment(database) as session:
            names = await database.names()
            await database.collection(names[0] if names else "none").find_one({}, session=session)
            moment = await database.now()
            main = stack.enter_context(_Writer(to, moment))
            others = {
                name: stack.enter_context(_Writer(file, moment)) for name, file in apart.items()
            }
            async for name, documents in _read(database, names, leave_out, session):
                others.get(name, main).add(name, documents)
        for writer in (main, *others.values()):
            writer.end()
            counts += writer.counts
    return counts


async def send_only(database: Database, to: BinaryIO, name: str) -> Mapping[str, int]:
    """One collection into an open file, or a pipe. All that was there when this began is in it."""
    with _Writer(to, await database.now()) as writer:
        async with _one_moment(database) as session:
            async for _, documents in _read(database, [name], (), session):
                writer.add(name, documents)
        writer.end()
    return writer.counts


@asynccontextmanager
async def _one_moment(database: Database) -> AsyncIterator[ClientSession]:
    """Raises SnapshotExpired."""
    try:
        async with database.at_one_moment() as session:
            yield session
    except OperationFailure as error:
        if error.code in _GONE:
            raise SnapshotExpired from error
        raise


async def _read(
    database: Database, names: Sequence[str], leave_out: Names[str], session: ClientSession
) -> AsyncIterator[tuple[str, list[Any]]]:
    for name in names:
        if name in leave_out:
            continue
        cursor = _raw(database, name).find({}, session=session, batch_size=BATCH)
        while batch := await cursor.to_list(BATCH):
            yield name, batch


def _private(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return os.fdopen(descriptor, "wb")


def check(path: Path, sealed: Mapping[str, str] = MappingProxyType({})) -> Contents:
    """Read a file to its end. `sealed`: by collection, the field that sealed documents have.

    Raises NotWhole, OSError.
    """
    counts: Counter[str] = Counter()
    found = False
    try:
        for name, documents in _batches(path):
            counts[name] += len(documents)
            if name in sealed and not found:
                found = any(sealed[name] in document for document in documents)
        with gzip.open(path) as file:
            first = next(bson.decode_file_iter(cast(BinaryIO, file), _AWARE))
    except (gzip.BadGzipFile, EOFError, bson.errors.BSONError) as error:
        raise NotWhole(type(error).__name__) from error
    return Contents(counts, first.get("at"), found)


async def read(database: Database, path: Path, leave_out: Names[str] = ()) -> None:
    """Insert all that a file has, which was checked before."""
    for name, documents in _batches(path):
        if name in leave_out:
            continue
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
