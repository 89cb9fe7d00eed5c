"""`python -m server prepare`: creates the indexes of a new version before its servers start."""

from server import startup
from server.commands.database import on_database
from server.config import Settings
from server.storage.driver import Database

INDEX_SECONDS = 24 * 3600.0  # for one index


def prepare() -> None:
    """Exits with one line if it cannot."""

    async def make(database: Database, settings: Settings) -> None:
        await startup.prepare(database, settings, INDEX_SECONDS)

    on_database(make)
    print("All indexes of this version exist.")
