"""A folder of server/domains has the files that all domains have, so that a reader knows each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import ROOT

DOMAINS = ROOT / "server" / "domains"
FOLDERS = sorted(path.parent for path in DOMAINS.glob("*/__init__.py"))
# In the order of their layers; a domain has those that it needs.
AGREED = (
    "domain.py", "settings.py", "metrics.py", "servicer.py", "convert.py", "service.py", "directory.py",
    "store.py", "errors.py", "model.py",
)  # fmt: skip
IN_EACH = {"__init__.py", "README.md", "domain.py"}
MOST_AT_THE_TOP = 12  # beside README.md and __init__.py
MOST_LINES = 400

every_domain = pytest.mark.parametrize("folder", FOLDERS, ids=[path.name for path in FOLDERS])


def entries(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name != "__pycache__" and path.name not in {"README.md", "__init__.py"}:
            yield path


@every_domain
def test_it_has_what_each_domain_has(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} >= IN_EACH


@every_domain
def test_its_readme_names_each_file_that_other_domains_do_not_have(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    named = set(re.findall(r"`(?:[\w/]*/)?(\w+\.py)`", readme)) | set(
        re.findall(r"`(\w+)/`", readme)
    )
    own = {path.name for path in entries(folder)} - set(AGREED)
    assert own - named == set()


@every_domain
def test_its_top_is_seen_at_a_glance(folder: Path) -> None:
    top = sorted(path.name for path in entries(folder))
    assert len(top) <= MOST_AT_THE_TOP, top


@every_domain
def test_no_file_is_long(folder: Path) -> None:
    lines = {path: len(path.read_text().splitlines()) for path in folder.rglob("*.py")}
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES} == {}


def test_no_domain_is_overlooked() -> None:
    assert {"audit", "connectors", "users"} <= {path.name for path in FOLDERS}
    others = {path.name for path in DOMAINS.iterdir()} - {path.name for path in FOLDERS}
    assert others - {"__pycache__"} == {"__init__.py", "registry.py"}
