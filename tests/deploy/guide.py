"""The commands of docs/operations.md, as it has them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.stack import ROOT

GUIDE = ROOT / "docs" / "operations.md"
_BLOCK = re.compile(r"(?:<!-- (up|stopped) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """What is pasted at once. `finlink` is how it must be then: `up`, `stopped`, or empty."""

    language: str
    text: str
    finlink: str


def blocks(of: Path = GUIDE) -> list[Block]:
    """All of a document."""
    found = _BLOCK.findall(of.read_text())
    return [Block(language, text, finlink) for finlink, language, text in found]


def pasted() -> list[Block]:
    """Those that work in a fresh clone."""
    return [block for block in blocks() if block.language == "console"]


def lines(language: str = "") -> list[str]:
    """All command lines, or those of one kind of block."""
    chosen = [block for block in blocks() if language in {"", block.language}]
    return [line for block in chosen for line in block.text.splitlines() if line.strip()]


def server_commands(line: str) -> Iterator[list[str]]:
    """The words after each `python -m server` of a line, up to what is the shell's."""
    if " -m server" not in line:
        return
    for part in re.split(r"\|\||&&|[|;>]", line):
        words = shlex.split(part, comments=True)
        for place in range(len(words) - 2):
            if words[place].endswith("python") and words[place + 1 : place + 3] == ["-m", "server"]:
                yield words[place + 3 :]


def inline_commands() -> Iterator[list[str]]:
    """Those that the text names, as `rotate-keys --check`."""
    for code in re.findall(r"`(python -m server [^`]+)`", GUIDE.read_text()):
        yield from server_commands(code)
