"""The database a command works on, and how commands talk to people and to pipes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from server import config
from server.config import Settings
from server.storage import driver
from server.storage.driver import Database
from server.storage.errors import translate

T = TypeVar("T")


def on_database(work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """Run `work` on MONGODB_URI's database, or on that of a `make run` here.

    Ends the program with one line where a setting is wrong or MongoDB does not answer.
    """
    try:
        settings = _with_database(config.load())
    except config.ConfigError as error:
        raise SystemExit(f"finlink: {error}") from None

    async def connected() -> T:
        async with driver.connected(settings) as database:
            return await work(database, settings)

    try:
        return asyncio.run(connected())
    except Exception as error:
        if translate(error) is None:
            raise
        raise SystemExit(
            f"finlink: MONGODB_URI: MongoDB does not answer ({type(error).__name__}); is it running?"
        ) from None


def _with_database(settings: Settings) -> Settings:
    if settings.mongodb_uri is not None:
        return settings
    try:
        ports = json.loads((settings.data_dir / "run.json").read_text())["ports"]
        uri = f"mongodb://127.0.0.1:{int(ports['mongo'])}/?replicaSet=finlink"
    except (OSError, ValueError, KeyError, TypeError):
        raise config.ConfigError(
            f"MONGODB_URI: must be set, or Finlink must be running on the data folder {settings.data_dir}"
        ) from None
    return settings.model_copy(update={"mongodb_uri": SecretStr(uri)})


def show(rows: Sequence[Mapping[str, object]], columns: Sequence[str], empty: str) -> None:
    """A table for people; for pipes one JSON list."""
    if not sys.stdout.isatty():
        print(json.dumps(list(rows), default=str))
        return
    console = Console()
    if not rows:
        console.print(empty)
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(str(row.get(column) or "") for column in columns))
    console.print(table)
