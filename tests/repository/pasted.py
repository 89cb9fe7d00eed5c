"""What is pasted of README and the guides for contributors, what they show, and what is left out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.guide import Block, blocks
from tests.stack import ROOT

README = ROOT / "README.md"
API = ROOT / "docs" / "api.md"  # goes on where README's first session ends
GUIDES = (ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "contributing").glob("*.md")))

# Blocks of README that are not pasted: how they begin, and why.
LEFT_OUT: Mapping[str, str] = {
    "make run\n": "the clone is started with it, and it runs beside all others",
    "make test\n": "takes minutes; .ci/run runs it in a fresh checkout",
    "curl -so openapi.yaml": "leaves a file in the clone; `make test-openapi` reads the document",
    "login = LoginRequest(": "is run as the Python client's README has it",
    "using finlink = connect(": "is run as the TypeScript client's README has it",
    "login := &identityv1": "is run as the Go client's README has it",
    "const session = new": "is run by tests/clients/test_other_tabs.py",
    "# openapi-python-client": "needs generators that `make test-openapi` installs, and runs there",
}
# Blocks that show a reply: how they begin, and words of the block that is answered so.
SHOWN: Mapping[str, str] = {
    '{"success": false, ': '"userId": "no spaces"',
    '{"user": ': "/export",
    "id: ": "/connectors/watch",
}
# Lines of the guides that are not pasted, and why.
LINES_LEFT_OUT: Mapping[str, str] = {
    "make run": "README's is run",
    "make lint": "takes a minute; .ci/run runs it in a fresh checkout",
    "make lock": "resolves at the registries, with what is new there",
    "make audit": "fails for what becomes known tomorrow",
}


def read() -> list[Block]:
    """All blocks of README and of the API's page, in their order."""
    return [*blocks(README), *blocks(API)]


def of_readme() -> list[Block]:
    """What is pasted of them."""
    return [block for block in read() if block.language == "console" and not is_left_out(block)]


def is_left_out(block: Block) -> bool:
    return block.text.startswith(tuple(LEFT_OUT))


def is_shown(block: Block) -> bool:
    return block.text.startswith(tuple(SHOWN))


def shown_after(block: Block) -> list[str]:
    """What README shows of the replies to a block."""
    starts = tuple(start for start, part in SHOWN.items() if part in block.text)
    return [each.text for each in read() if each.text.startswith(starts)]


def lines(guide: Path) -> list[str]:
    """The command lines of a guide, without their comments."""
    commands = [block for block in blocks(guide) if block.language == "sh"]
    reported = (line.partition(" #")[0] for block in commands for line in block.text.splitlines())
    return [line.strip() for line in reported if line.strip()]


def of_guides() -> list[str]:
    """What is pasted of the guides, each line once."""
    reported = dict.fromkeys(line for guide in GUIDES for line in lines(guide))
    return [line for line in reported if line not in LINES_LEFT_OUT]


# From nothing to the first synced records.
FIRST_COMMANDS = ("git clone", "cd", "make run", *of_readme()[0].text.splitlines())


def names(text: str) -> set[str]:
    """Those of JSON's fields, also where there are dots for what is left out."""
    return set(re.findall(r'"(\w+)":', text))
