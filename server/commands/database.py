"""The database of a command, and its output for people and for pipes."""

import asyncio
import getpass
import json
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from rich.console import Console
from rich.table import Column, Table

from server import config
from server.config import KeySettings, Settings
from server.core.events import Actor, enter_actor
from server.edge.errors import StartError
from server.security.ring import KeyRing
from server.settings import load
from server.storage import driver
from server.storage.audit import CODES_KEY, AuditTrail, Codes
from server.storage.driver import Database
from server.storage.errors import translate
from server.storage.keyed_secrets import KeyedSecrets
from server.supervisor import mongod, preflight
from server.supervisor.datadir import DataDir

T = TypeVar("T")

TIMEOUT_MS = 60_000  # of an operation: counting millions takes longer than calls may


def on_database(
    work: Callable[[Database, Settings], Awaitable[T]],
    *,
    check: Callable[[Settings], object] = lambda _: None,
    failed: str = "Try again.",
    **given: object,
) -> T:
    """Run `work` on the database of MONGODB_URI, or of the running `make run`.

    `check` may raise ConfigError before MongoDB is asked; `failed` is what follows if MongoDB fails. Settings
    that are `given` beat the environment. Exits with one line if a setting is wrong or MongoDB silent.
    """

    async def connected() -> T:
        settings = with_data_folder(**given)
        check(settings)
        uri = settings.mongodb_uri.get_secret_value() if settings.mongodb_uri else ""
        await preflight.check_mongodb(uri)
        async with driver.connected(settings) as database:
            return await work(database, settings)

    try:
        return asyncio.run(connected())
    except (config.ConfigError, StartError) as error:
        raise SystemExit(f"finlink: {error}") from None
    except Exception as error:
        if translate(error) is None:
            raise
        raise SystemExit(f"finlink: MongoDB failed ({type(error).__name__}). {failed}") from None


def with_data_folder(**given: object) -> Settings:
    """The settings, with the database and key of `make run` if none are set. Raises ConfigError."""
    settings = load(**given)
    given["mongo_timeout_ms"] = TIMEOUT_MS
    if settings.data_dir.is_dir():
        data = DataDir(settings.data_dir, make=False)
        if data.has_key() and (key := data.key_for(settings.of(KeySettings).ring)[0]) is not None:
            given["encryption_key"] = key
        port = data.running_mongod()
        if settings.mongodb_uri is None and port is not None:
            given["mongodb_uri"] = mongod.uri(port)
    complete = load(**given)
    if complete.mongodb_uri is None:
        raise config.ConfigError(
            "MONGODB_URI: must be set, or `make run` must be running with the data folder "
            f"{settings.data_dir.absolute()}"
        )
    return complete


def key_ring(settings: Settings) -> KeyRing:
    """Raises ConfigError if there is none."""
    ring = settings.of(KeySettings).ring
    if not ring:
        raise config.ConfigError("ENCRYPTION_KEYS: must be set to the key ring of the servers")
    return KeyRing(ring)


async def audit_trail(database: Database, settings: Settings) -> AuditTrail:
    """The trail, for actions of an operator. Raises ConfigError without the key ring."""
    enter_actor(Actor("command", user_agent=f"{getpass.getuser()} on {platform.node()}"))
    return AuditTrail(
        database, Codes(await KeyedSecrets(database, key_ring(settings)).get(CODES_KEY))
    )


async def existing_audit_trail(database: Database, settings: Settings) -> AuditTrail:
    """The trail, for reading. Raises ConfigError without the key ring, and if there is no trail."""
    key = await KeyedSecrets(database, key_ring(settings)).find(CODES_KEY)
    if key is None:
        raise config.ConfigError(
            f"there is no audit trail in the database {settings.database}; is DB_NAME right?"
        )
    return AuditTrail(database, Codes(key))


def show(rows: Sequence[Mapping[str, object]], columns: Sequence[str], empty: str) -> None:
    """A table on a terminal, otherwise one JSON list."""
    if not sys.stdout.isatty():
        print(json.dumps(list(rows), default=str))
        return
    console = Console()
    if not rows:
        console.print(empty)
        return
    folded = (Column(name, overflow="fold") for name in columns)
    table = Table(*folded, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(str(row.get(column) or "") for column in columns))
    console.print(table)
