"""Documents are true: files, headings and make targets that they name exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repository import documents
from tests.repository.documents import DOCUMENTS
from tests.stack import ROOT

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(each.relative_to(ROOT)) for each in DOCUMENTS]
)


@every_document
def test_its_links_lead_somewhere(document: Path) -> None:
    for link in documents.links(document):
        name, _, anchor = link.partition("#")
        leads_to = (document.parent / name).resolve() if name else document
        assert leads_to.exists(), link
        if anchor:
            assert anchor in documents.anchors(leads_to), link


@every_document
def test_make_has_its_targets(document: Path) -> None:
    assert documents.targets(document) - documents.make_targets() == set()


@every_document
def test_its_files_exist(document: Path) -> None:
    assert {path for path in documents.paths(document) if not documents.exists(path)} == set()


def test_they_name_what_they_are_about() -> None:
    """Otherwise nothing would be checked above."""
    contributing = ROOT / "CONTRIBUTING.md"
    assert documents.targets(contributing) >= {"lint", "test", "hooks", "lock", "protos"}
    assert documents.paths(contributing) >= {"tests/contract", ".ci/run", "server/config.py"}
    named = documents.paths(ROOT / "docs" / "contributing" / "domain.md")
    assert named >= {"protos/finlink/<domain>/v1/", "CHANGELOG.md"}
    assert not documents.exists("server/domains/<domain>/nothing.py")
    assert not documents.exists("server/nowhere/")


def test_every_list_is_found_from_the_guide() -> None:
    lists = {f"docs/contributing/{path.name}" for path in ROOT.glob("docs/contributing/*.md")}
    assert lists
    assert lists <= documents.links(ROOT / "CONTRIBUTING.md")
