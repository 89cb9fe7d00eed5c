"""The output of `run`: progress, the addresses once it is up, and one line if it cannot go on."""

from rich.console import Console
from rich.status import Status


class RunConsole:
    """On a terminal, progress is one line that changes; otherwise it is a line a step."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        self._status: Status | None = None

    def progress(self, text: str) -> None:
        if not self._out.is_terminal:
            self.line(f"{text} …")
        elif self._status is None:
            self._status = self._out.status(f"{text} …")
            self._status.start()
        else:
            self._status.update(f"{text} …")

    def end_progress(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def line(self, text: str) -> None:
        self._out.print(text, markup=False)

    def warn(self, text: str) -> None:
        self._err.print(f"finlink: {text}", style="yellow")

    def fail(self, text: str) -> None:
        self.end_progress()
        self._err.print(f"finlink: {text}", style="red")

    def announce(self, facts: dict[str, str], *, next_step: str, hint: str) -> None:
        """`next_step` is a command for another terminal."""
        self.end_progress()
        width = max(len(name) for name in facts)
        self._out.print()
        self._out.print("Finlink is running", style="bold green")
        for name, value in facts.items():
            self._out.print(f"  {name:<{width}}  {value}", markup=False)
        self._out.print("\nNext, in another terminal:", style="bold")
        self._out.print(f"  {next_step}", markup=False)
        self._out.print(f"\n{hint}", style="dim")
        self._out.print()
