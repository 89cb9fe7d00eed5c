"""docs/contributing/platform.md, followed in a clone: the example platform of the page passes the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.figures import Figures
from tests.repository import example
from tests.stack import ROOT

pytestmark = pytest.mark.full_only

GUIDE = ROOT / "docs" / "contributing" / "platform.md"
MOST_EDITED = 3
PROTO = "protos/finlink/connectors/v1/connector.proto"
FILES = example.files(GUIDE, "server/platforms/paisa/README.md")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, with the example built, and the contract's files generated again."""
    folder = example.cloned(tmp_path_factory.mktemp("guide") / "finlink")
    example.write(folder, FILES)
    word, line = example.additions(GUIDE, "proto"), example.additions(GUIDE, "markdown")
    example.edit(folder / PROTO, r"(enum Platform \{.*?)(\n\})", rf"\1\n{word.rstrip()}\2")
    example.edit(folder / "CHANGELOG.md", r"(\*\*Connectors\*\*\n\n)", rf"\1{line}")
    example.generate(folder)
    return folder


def test_it_edits_three_existing_files(clone: Path) -> None:
    edited, made = example.changed(clone)
    figures = Figures("A platform, by docs/contributing/platform.md")
    figures.show("existing files edited", ", ".join(edited))
    figures.show("lines of code", sum(len(text.splitlines()) for text in FILES.values()))
    assert made == ["sandbox/platforms/paisa/", "server/platforms/paisa/"]
    assert PROTO in edited
    assert len(edited) <= MOST_EDITED


def test_it_passes_the_suite_of_every_platform(clone: Path) -> None:
    tests = (f"tests/platforms/test_{name}.py" for name in ("conformance", "manifest", "registry"))
    assert example.run_tests(clone, "-k", "paisa or every_platform", *tests) >= 30


def test_the_contract_and_the_linters_have_nothing_against_it(clone: Path) -> None:
    example.run_tests(clone, "tests/contract")
    example.lint(clone, "server/platforms/paisa", "sandbox/platforms/paisa")
