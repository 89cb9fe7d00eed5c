"""`python -m server rotate-keys`: finds the database and the keys, rotates, and reports its progress.

On a terminal this is a progress bar and sentences, otherwise one JSON object a line.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from server.commands.database import audit_trail, key_ring, on_database
from server.config import Settings
from server.core.events import Event
from server.domains.identity.tokens.store import signing_keys
from server.security.rotation import Rotation, rotate, survey
from server.storage.data_keys import data_keys
from server.storage.driver import Database
from server.storage.keyed_secrets import keyed_secrets

EVERY_SECONDS = 1.0  # between lines of progress


def rotate_keys(*, check: bool, rate: int, **given: object) -> int:
    """Re-wrap everything with the first key, or with `check` only count. Returns the exit code.

    Settings that are `given` beat the environment. Exits with one line if it cannot.
    """

    async def work(database: Database, settings: Settings) -> Rotation:
        ring = key_ring(settings)
        collections = [data_keys(database), keyed_secrets(database), signing_keys(database)]
        started = time.monotonic()
        if check:
            rotation = await survey(ring, collections)
        else:
            with progress() as show:
                rotation = await rotate(ring, collections, show, rate)
            if rotation.complete:
                trail = await audit_trail(database, settings)
                await trail.add(Event("encryption_key.rotated", fields=[ring.first]))
        report(rotation, ring.first, None if check else time.monotonic() - started)
        return rotation

    failed = "Keys re-wrapped so far stay so; run this again to continue."
    return 0 if on_database(work, check=key_ring, failed=failed, **given).complete else 1


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """Inside, progress is shown: how many keys are re-wrapped, of how many."""
    if sys.stdout.isatty():
        columns = (
            TextColumn("Re-wrapping"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=_console()) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, wanted: bar.update(task, completed=done, total=wanted)
        return
    printed_at = 0.0

    def show(done: int, wanted: int) -> None:
        nonlocal printed_at
        if time.monotonic() - printed_at >= EVERY_SECONDS or done == wanted:
            printed_at = time.monotonic()
            print(json.dumps({"event": "progress", "rewrapped": done, "of": wanted}), flush=True)

    yield show


def report(rotation: Rotation, first: str, seconds: float | None) -> None:
    """The state, and how long a rotation took, if one was made."""
    if sys.stdout.isatty():
        done = f"Re-wrapped {rotation.rewrapped:,} keys with {first} in {seconds or 0:.0f} s."
        for line in ([] if seconds is None else [done]) + sentences(rotation, first):
            _console().print(line)
        return
    made = (
        {} if seconds is None else {"rewrapped": rotation.rewrapped, "seconds": round(seconds, 1)}
    )
    facts = {
        "event": "complete" if rotation.complete else "incomplete",
        "key": first,
        "keys": rotation.total,
        **made,
        "waiting": dict(rotation.waiting),
        "missing": list(rotation.missing),
        "broken": rotation.broken,
    }
    print(json.dumps(facts), flush=True)


def sentences(rotation: Rotation, first: str) -> list[str]:
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


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False)
