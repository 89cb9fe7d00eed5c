"""`python -m server backup` and `restore`: the whole database in two files, the data keys in the second.

Sealed documents end with their data key only if no copy of the key is left. So keys are kept apart: of them
the newest copy alone, beside any backup.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from server.commands.database import on_database
from server.config import ConfigError, Settings
from server.startup import prepare, sealed_fields, sealed_rows
from server.storage import archive
from server.storage.archive import Contents
from server.storage.data_keys import DATA_KEYS
from server.storage.driver import Database

OUTPUT = Path("-")


class Keys(StrEnum):
    """Where a backup has the data keys."""

    APART = "apart"  # in a file beside it; of what goes to stdout, nowhere
    WITH = "with"  # in the same file
    ONLY = "only"  # and nothing else


def keys_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.keys")


def backup(path: Path, without: Sequence[str], keys: Keys) -> None:
    """Write the file; `-` is stdout. Exits with one line if it cannot."""
    apart = {}
    if keys is Keys.APART and path != OUTPUT and DATA_KEYS not in without:
        apart[DATA_KEYS] = keys_beside(path)
    for each in (path, *apart.values()):
        if each.exists():
            raise SystemExit(f"finlink: {each} exists already")
    leave_out = {*without, *([DATA_KEYS] if keys is Keys.APART and not apart else [])}

    async def write(database: Database, _: Settings) -> Mapping[str, int]:
        if unknown := set(without) - set(await database.names()):
            raise ConfigError(f"--without: there is no collection {', '.join(sorted(unknown))}")
        try:
            if keys is Keys.ONLY:
                return await _write_keys(database, path)
            if path == OUTPUT:
                return await archive.send(database, sys.stdout.buffer, leave_out)
            return await archive.write(database, path, leave_out, apart)
        except archive.SnapshotExpired:
            raise ConfigError(
                "the snapshot has expired, or an index was created meanwhile; try again, with a longer "
                "minSnapshotHistoryWindowInSeconds"
            ) from None

    try:
        counts = on_database(write)
    except OSError as error:
        raise SystemExit(f"finlink: {path} cannot be written ({error.strerror})") from None
    where = " and ".join(str(each) for each in (path, *apart.values()))
    print(f"{_total(counts)} are in {where}.", file=sys.stderr if path == OUTPUT else sys.stdout)
    if keys is Keys.APART and not apart and not without:
        print(
            "The data keys are not in it: `python -m server backup --only-keys` writes them.",
            file=sys.stderr,
        )


async def _write_keys(database: Database, path: Path) -> Mapping[str, int]:
    if path == OUTPUT:
        return await archive.send_only(database, sys.stdout.buffer, DATA_KEYS)
    return await archive.write_only(database, path, DATA_KEYS)


def restore(path: Path, keys: Path | None, *, replace: bool, erase: bool) -> None:
    """Fill the database from the file and the data keys. Exits with one line if it cannot.

    It refuses what could not be served, sealed documents without their keys, unless those are to be erased.
    """
    contents = _checked(path)
    if keys is None and DATA_KEYS not in contents.counts and keys_beside(path).exists():
        keys = keys_beside(path)
    counts = dict(contents.counts)
    if keys is not None:
        counts[DATA_KEYS] = _check_keys(keys, path, None if erase else contents.moment)
    elif contents.sealed and DATA_KEYS not in counts and not erase:
        raise SystemExit(
            f"finlink: {path} has documents that are sealed under data keys, and no keys. Name the newest "
            "copy of them with --keys"
        )

    async def fill(database: Database, settings: Settings) -> int:
        if await database.names():
            if not replace:
                raise ConfigError(
                    f"the database {settings.database} is not empty; --replace removes its contents first"
                )
            await database.drop()
        await prepare(database, settings)
        await archive.read(database, path, leave_out=[DATA_KEYS] if keys else [])
        if keys is not None:
            await archive.read(database, keys)
        sealed = sealed_rows(database)
        if erase:
            return sum([await each.erase_keyless() for each in sealed])
        return sum([await each.count_keyless() for each in sealed])

    keyless = on_database(fill)
    print(f"{_total(counts)} are restored.")
    if keyless and erase:
        print(f"Documents of {keyless:,} owners had no data key and are erased.")
    elif keyless:
        raise SystemExit(
            f"finlink: documents of {keyless:,} owners have no data key: they were erased after the backup, "
            "or these are not the newest keys. Finlink does not start with them; `python -m server "
            "verify-data-keys --erase` erases what does not open"
        )


def _checked(path: Path) -> Contents:
    try:
        return archive.check(path, sealed_fields())
    except OSError as error:
        raise SystemExit(f"finlink: {path} cannot be read ({error.strerror})") from None
    except archive.NotWhole as error:
        raise SystemExit(f"finlink: {path} is not a complete backup: {error}") from None


def _check_keys(path: Path, backup_path: Path, moment: datetime | None) -> int:
    """How many keys the file has, which are to open a backup of that moment."""
    keys = _checked(path)
    if set(keys.counts) - {DATA_KEYS}:
        raise SystemExit(f"finlink: {path} has more than data keys")
    if moment and keys.moment and keys.moment < moment:
        raise SystemExit(
            f"finlink: {path} is older than {backup_path}, so keys made in between are missing. Use the "
            "newest copy"
        )
    return keys.counts.get(DATA_KEYS, 0)


def _total(counts: Mapping[str, int]) -> str:
    return f"{sum(counts.values()):,} documents of {len(counts)} collections"
