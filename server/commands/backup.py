"""`python -m server backup` and `restore`: the whole database in one file."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from server.commands.database import on_database
from server.config import ConfigError, Settings
from server.startup import prepare
from server.storage import archive
from server.storage.driver import Database

OUTPUT = Path("-")


def backup(path: Path, without: Sequence[str]) -> None:
    """Write the file; `-` is stdout. Exits with one line if it cannot."""
    if path.exists():
        raise SystemExit(f"finlink: {path} exists already")

    async def write(database: Database, _: Settings) -> Mapping[str, int]:
        if unknown := set(without) - set(await database.names()):
            raise ConfigError(f"--without: there is no collection {', '.join(sorted(unknown))}")
        try:
            if path == OUTPUT:
                return await archive.send(database, sys.stdout.buffer, without)
            return await archive.write(database, path, without)
        except archive.SnapshotExpired:
            raise ConfigError(
                "the snapshot has expired, or an index was created meanwhile; try again, with a longer "
                "minSnapshotHistoryWindowInSeconds"
            ) from None

    try:
        counts = on_database(write)
    except OSError as error:
        raise SystemExit(f"finlink: {path} cannot be written ({error.strerror})") from None
    print(f"{_total(counts)} are in {path}.", file=sys.stderr if path == OUTPUT else sys.stdout)


def restore(path: Path, *, replace: bool) -> None:
    """Fill the database from the file. Exits with one line if it cannot."""
    try:
        counts = archive.check(path)
    except OSError as error:
        raise SystemExit(f"finlink: {path} cannot be read ({error.strerror})") from None
    except archive.NotWhole as error:
        raise SystemExit(f"finlink: {path} is not a complete backup: {error}") from None

    async def fill(database: Database, settings: Settings) -> None:
        if await database.names():
            if not replace:
                raise ConfigError(
                    f"the database {settings.database} is not empty; --replace removes its contents first"
                )
            await database.drop()
        await prepare(database, settings)
        await archive.read(database, path)

    on_database(fill)
    print(f"{_total(counts)} are restored.")


def _total(counts: Mapping[str, int]) -> str:
    return f"{sum(counts.values()):,} documents of {len(counts)} collections"
