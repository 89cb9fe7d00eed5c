"""`python -m server rotate-keys`: finds the database and the keys, rotates, and reports its progress.

On a terminal this is a progress bar and sentences, otherwise one JSON object a line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from server.commands.database import audit_trail, key_ring, with_data_folder
from server.config import ConfigError, Settings
from server.core.events import Event
from server.edge.errors import StartError
from server.security.rotation import Rotation, rotate, survey
from server.storage.data_keys import data_keys
from server.storage.driver import connected
from server.storage.errors import translate
from server.storage.keyed_secrets import keyed_secrets
from server.supervisor import preflight

EVERY_SECONDS = 1.0  # between lines of progress


def rotate_keys(*, check: bool, rate: int, **given: object) -> int:
    """Re-wrap everything with the first key, or with `check` only count. Returns the exit code.

    Settings that are `given` beat the environment.
    """
    console: Console = TerminalConsole() if sys.stdout.isatty() else PipedConsole()
    try:
        return asyncio.run(_rotate(with_data_folder(**given), console, check=check, rate=rate))
    except (ConfigError, StartError) as error:
        console.fail(str(error))
    except Exception as error:
        if translate(error) is None:
            raise
        console.fail(
            f"MongoDB failed ({type(error).__name__}). Keys re-wrapped so far stay so; "
            "run this again to continue."
        )
    return 1


async def _rotate(settings: Settings, console: Console, *, check: bool, rate: int) -> int:
    ring = key_ring(settings)
    if settings.mongodb_uri is not None:
        await preflight.check_mongodb(settings.mongodb_uri.get_secret_value())
    async with connected(settings) as database:
        collections = [data_keys(database), keyed_secrets(database)]
        started = time.monotonic()
        if check:
            rotation = await survey(ring, collections)
        else:
            with console:
                rotation = await rotate(ring, collections, console.progress, rate)
            if rotation.complete:
                trail = await audit_trail(database, settings)
                await trail.add(Event("encryption_key.rotated", fields=[ring.first]))
        console.result(rotation, ring.first, time.monotonic() - started, check=check)
    return 0 if rotation.complete else 1


class Console(Protocol):
    """The output of the command. Inside the `with`, progress is shown."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def progress(self, done: int, wanted: int) -> None: ...

    def result(self, rotation: Rotation, first: str, seconds: float, *, check: bool) -> None: ...

    def fail(self, message: str) -> None: ...


class TerminalConsole:
    def __init__(self) -> None:
        self._out = RichConsole(highlight=False, soft_wrap=True, markup=False)
        columns = (
            TextColumn("Re-wrapping"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self._out)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def progress(self, done: int, wanted: int) -> None:
        self._bar.update(self._task, completed=done, total=wanted)

    def result(self, rotation: Rotation, first: str, seconds: float, *, check: bool) -> None:
        if not check:
            self._out.print(
                f"Re-wrapped {rotation.rewrapped:,} keys with {first} in {seconds:.0f} s."
            )
        for line in sentences(rotation, first):
            self._out.print(line)

    def fail(self, message: str) -> None:
        _fail(message)


class PipedConsole:
    def __init__(self) -> None:
        self._printed_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def progress(self, done: int, wanted: int) -> None:
        if time.monotonic() - self._printed_at >= EVERY_SECONDS or done == wanted:
            self._printed_at = time.monotonic()
            _print_json({"event": "progress", "rewrapped": done, "of": wanted})

    def result(self, rotation: Rotation, first: str, seconds: float, *, check: bool) -> None:
        _print_json(
            {
                "event": "complete" if rotation.complete else "incomplete",
                "key": first,
                "keys": rotation.total,
                **(
                    {} if check else {"rewrapped": rotation.rewrapped, "seconds": round(seconds, 1)}
                ),
                "waiting": dict(rotation.waiting),
                "missing": list(rotation.missing),
                "broken": rotation.broken,
            }
        )

    def fail(self, message: str) -> None:
        _fail(message)


def sentences(rotation: Rotation, first: str) -> Sequence[str]:
    """The state, and what to do about it."""
    if rotation.complete:
        every = f"All {rotation.total:,} keys are wrapped by {first}."
        return [f"{every} Once {first} is first on every server, the others may be removed."]
    lines = []
    for key_id, count in rotation.waiting.items():
        if key_id in rotation.missing:
            lines.append(
                f"{count:,} need the key {key_id}, which is missing. Put it back as {key_id}:KEY "
                "and run this again; without it, those connections must be made again."
            )
        else:
            lines.append(
                f"{count:,} still need the key {key_id}; do not remove it. Run `python -m server "
                f"rotate-keys` once {first} is first on every server."
            )
    if rotation.broken:
        some = ", ".join(rotation.broken[:5])
        lines.append(
            f"{len(rotation.broken):,} cannot be decrypted with the key they name and stay unchanged: {some}"
        )
    return lines


def _print_json(fact: dict[str, object]) -> None:
    print(json.dumps(fact), flush=True)


def _fail(message: str) -> None:
    print(f"finlink: {message}", file=sys.stderr)
