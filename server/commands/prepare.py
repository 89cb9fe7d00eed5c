"""`python -m server prepare`: what a new version needs of MongoDB, before its servers start."""

from __future__ import annotations

from server import startup as preparation
from server.commands.database import on_database
from server.config import Settings
from server.storage.driver import Database

INDEX_SECONDS = 24 * 3600.0  # an index may take


def prepare() -> None:
    """Ends the program with one line where that cannot be done."""

    async def make(database: Database, settings: Settings) -> None:
        await preparation.prepare(database, settings, INDEX_SECONDS)

    on_database(make)
    print("All indexes of this version are there.")
