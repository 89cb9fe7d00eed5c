"""Who is logged in, kept in a file, so that logins outlive a restart as they do at the platforms."""

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger()

SAVE_SECONDS = 0.5


class Memory:
    """Saves a snapshot to `path` when it has changed; the file holds tokens and is its owner's alone."""

    def __init__(self, path: Path, snapshot: Callable[[], dict[str, Any]]) -> None:
        self._path = path
        self._snapshot = snapshot
        self._saved = ""

    def load(self) -> dict[str, Any]:
        """The state that was saved last; empty if there is none, or it cannot be read."""
        try:
            content = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            log.warning("remembered logins cannot be read; all begin again", path=str(self._path))
            return {}
        return content if isinstance(content, dict) else {}

    def save(self) -> None:
        text = json.dumps(self._snapshot())
        if text == self._saved:
            return
        partial = self._path.with_suffix(".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        partial.replace(self._path)
        self._saved = text

    async def keep(self, stopping: asyncio.Event) -> None:
        """Save changes until stopped, and once more then."""
        while not stopping.is_set():
            self.save()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), SAVE_SECONDS)
        self.save()
