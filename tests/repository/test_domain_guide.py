"""docs/contributing/domain.md, followed in a clone: the example domain of the page passes the tests."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tests.chaos.figures import Figures
from tests.repository import example
from tests.stack import ROOT

pytestmark = pytest.mark.full_only

GUIDE = ROOT / "docs" / "contributing" / "domain.md"
MOST_EDITED = 3
MOST_LINES = 60  # an RPC, comments included
REASONS = "protos/finlink/errors/v1/error_reason.proto"
FILES = example.files(GUIDE, "server/domains/wishes/README.md")
# With what is of the example by name.
TESTS = (
    "tests/e2e/test_wishes.py", "tests/e2e/test_strictness.py", "tests/e2e/test_strictness_grpc.py",
    "tests/e2e/test_idempotency.py", "tests/e2e/test_api_keys.py", "tests/e2e/test_base_paths.py",
    "tests/rpc/test_validation_rules.py", "tests/rpc/test_http_binding.py", "tests/edge/test_routes.py",
    "tests/edge/test_rate_limits.py", "tests/clients/test_errors.py", "tests/clients/test_cli_contract.py",
    "tests/repository/test_domain_folders.py",
)  # fmt: skip


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, with the example built, and the contract's files generated again."""
    folder = example.cloned(tmp_path_factory.mktemp("guide") / "finlink")
    example.write(folder, FILES)
    text = (folder / REASONS).read_text()
    numbers = itertools.count(1 + max(map(int, re.findall(r"ERROR_REASON_\w+ = (\d+)", text))))
    reasons = re.sub(r"= N\b", lambda _: f"= {next(numbers)}", example.additions(GUIDE, "proto"))
    example.edit(folder / REASONS, r"(enum ErrorReason \{.*?)(\n\})", rf"\1\n{reasons.rstrip()}\2")
    line = example.additions(GUIDE, "markdown")
    example.edit(folder / "CHANGELOG.md", r"(\*\*Users\*\*\n\n)", rf"\1{line}")
    example.generate(folder)
    return folder


def code(text: str) -> list[str]:
    """Lines that are neither empty nor a comment."""
    lines = re.sub(r'^\s*"""[^"]*"""$', "", text, flags=re.MULTILINE).splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith(("#", "//"))]


def test_it_edits_three_existing_files_and_has_few_lines_an_rpc(clone: Path) -> None:
    edited, made = example.changed(clone)
    by_hand = {path: text for path, text in FILES.items() if not path.endswith(".md")}
    by_hand["reasons"] = example.additions(GUIDE, "proto")
    product = [text for path, text in by_hand.items() if not path.startswith("tests/")]
    rpcs = sum(text.count("\n  rpc ") for text in product)
    lines = sum(len(code(text)) for text in product)
    figures = Figures("A domain, by docs/contributing/domain.md")
    figures.show("existing files edited", ", ".join(edited))
    figures.show("RPCs", rpcs)
    figures.show("lines of code, the contract's and the server's", lines)
    figures.show("the same an RPC", lines / rpcs)
    with_comments = sum(len([line for line in text.splitlines() if line]) for text in product)
    figures.show("the same with comments", with_comments / rpcs)
    tests = [text for path, text in by_hand.items() if path.startswith("tests/")]
    figures.show("lines of tests", sum(len(code(text)) for text in tests))
    assert made == [
        "protos/finlink/wishes/",
        "server/domains/wishes/",
        "tests/domains/wishes/",
        "tests/e2e/test_wishes.py",
    ]
    assert REASONS in edited
    assert len(edited) <= MOST_EDITED
    assert rpcs == 5
    assert with_comments / rpcs <= MOST_LINES


def test_the_contract_and_the_document_have_all_of_it(clone: Path) -> None:
    example.run_tests(clone, "-n", "2", "tests/contract", "tests/openapi/test_document.py")
    example.run_tests(
        clone, "-k", "wish", "tests/openapi/test_examples.py", "tests/openapi/test_completeness.py"
    )


def test_it_passes_the_tests_that_every_rpc_passes_and_its_own(clone: Path) -> None:
    chosen = "wish and not a_wrong_wish and not grpcurl"
    assert example.run_tests(clone, "-k", chosen, *TESTS) >= 70


def test_the_linters_have_nothing_against_it(clone: Path) -> None:
    example.lint(clone, "server/domains/wishes", "tests/domains/wishes", "tests/e2e/test_wishes.py")
