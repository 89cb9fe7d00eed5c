"""What `run` tells people: progress, a banner, and one clear line when it cannot go on."""

from __future__ import annotations

from rich.console import Console
from rich.status import Status


class Screen:
    """On a terminal progress is one moving line, elsewhere a plain line a step."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        self._status: Status | None = None

    def step(self, text: str) -> None:
        if not self._out.is_terminal:
            self.line(f"{text} …")
        elif self._status is None:
            self._status = self._out.status(f"{text} …")
            self._status.start()
        else:
            self._status.update(f"{text} …")

    def done(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def line(self, text: str) -> None:
        self._out.print(text, markup=False)

    def warn(self, text: str) -> None:
        self._err.print(f"finlink: {text}", style="yellow")

    def fail(self, text: str) -> None:
        self.done()
        self._err.print(f"finlink: {text}", style="red")

    def banner(self, facts: dict[str, str], *, hint: str) -> None:
        self.done()
        width = max(len(name) for name in facts)
        self._out.print()
        self._out.print("Finlink is up", style="bold green")
        for name, value in facts.items():
            self._out.print(f"  {name:<{width}}  {value}", markup=False)
        self._out.print(f"  {hint}", style="dim")
        self._out.print()
