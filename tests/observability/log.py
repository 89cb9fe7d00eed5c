"""What a running Finlink logs, as somebody sees it who searches for an id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import Json


@dataclass(frozen=True)
class Log:
    """`start`: where the lines begin that count, in bytes."""

    path: Path
    start: int = 0

    @classmethod
    def from_now(cls, path: Path) -> Log:
        return cls(path, path.stat().st_size)

    def lines(self, **wanted: str) -> list[Json]:
        """Those that have these fields."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            text = file.read().decode(errors="replace")
        texts = [
            line for line in text.splitlines() if all(word in line for word in wanted.values())
        ]
        lines = [json.loads(line) for line in texts if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if wanted.items() <= line.items()]

    async def line(self, event: str, **wanted: str) -> Json:
        """The first of an event, which may still be on its way."""

        async def probe() -> list[Json]:
            return self.lines(event=event, **wanted)

        return (await step.eventually(probe, f"{event} {wanted}"))[0]
