"""What the documents name: files, headings, make targets, as they are written."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from tests.deploy import guide
from tests.stack import ROOT

_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TARGET = re.compile(r"\bmake (?:-C \S+ |[A-Z_]+=\S+ )*([a-z][a-z-]*)")
# As `tests/e2e/`, `server/domains/<domain>/store.py`, `protos/finlink/users/v1/user.proto`.
_PATH = re.compile(r"(?<![\w/.<~$:-])([\w.<-][\w.<>*-]*(?:/[\w.<>*-]+)*/?)(?![\w(])")
_SOURCES = (".py", ".proto", ".md", ".yaml", ".yml", ".toml", ".in", ".txt")


@cache
def files() -> frozenset[str]:
    """What is in the repository, or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return frozenset(name for name in listed.stdout.splitlines() if (ROOT / name).exists())


@cache
def names() -> tuple[str, ...]:
    """The same, and the folders that they are in."""
    folders = {str(parent) for name in files() for parent in Path(name).parents}
    return (*files(), *folders - {"."})


DOCUMENTS = sorted(ROOT / name for name in files() if name.endswith(".md"))


def code(document: Path) -> Iterator[str]:
    """Code in the text, and the lines of its blocks of commands."""
    text = document.read_text()
    yield from _SPAN.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for block in guide.blocks(document):
        if block.language in {"console", "sh", "python", ""}:
            yield from (line.partition(" #")[0] for line in block.text.splitlines())


def targets(document: Path) -> set[str]:
    return {target for part in code(document) for target in _TARGET.findall(part)}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def paths(document: Path) -> set[str]:
    """What names a file of the sources, or begins with a folder of the repository."""
    top = {name.partition("/")[0] for name in names()}
    made = set(re.findall(r"^```python\n# (\S+)$", document.read_text(), re.MULTILINE))
    return {
        path
        for part in code(document)
        if not part.startswith("kubectl ")  # which has a `deploy/` of its own
        for path in _PATH.findall(part)
        if ("/" in path and path.partition("/")[0] in top)
        or (path.endswith(_SOURCES) and path not in _SOURCES)
    } - made  # by whoever follows it


def exists(path: str) -> bool:
    """Whether it is in the repository, from its top or, as `platforms/turns.py`, from some folder.

    `<domain>` stands for any name: there is one such file at least. What git ignores is made by somebody.
    """
    path = path.rstrip("/")
    pattern = "*/" + re.sub(r"<\w+>", "*", path)
    if path in names() or any(fnmatchcase(f"/{name}", pattern) for name in names()):
        return True
    ignored = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=False)
    return ignored.returncode == 0


def links(document: Path) -> set[str]:
    """Those to files of the repository."""
    found = _LINK.findall(document.read_text())
    return {link for link in found if "://" not in link and not link.startswith("mailto:")}


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
