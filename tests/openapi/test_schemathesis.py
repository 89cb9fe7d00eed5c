"""Schemathesis holds the document against a running Finlink: thousands of calls, right and wrong ones."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import httpx
import pytest

from tests.openapi.document import PLACE
from tests.stack import ROOT, Stack, running

PROGRAM = Path(sysconfig.get_path("scripts")) / "schemathesis"
CONFIG = Path(__file__).with_name("schemathesis.toml")
# Schemathesis wants 405 for a verb that a path does not have: here it is ROUTE_NOT_FOUND. What fits is
# judged by `what_fits_is_valid`, as credentials that fit may still be refused.
OTHERWISE = "unsupported_method,positive_data_acceptance"
NEVER_ENDS = "watchConnectors"
MANY = 10_000


def fuzz(stack: Stack, *options: str) -> int:
    """The number of cases it tried. Fails with all that it found."""
    user = httpx.post(
        f"{stack.rest}/api/v1/users", json={"userId": "fuzz_user", "email": "fuzz@example.com"}
    )
    assert user.status_code in {201, 409}, user.text
    connector = {"userId": "fuzz_user", "platform": "fi_money",
                 "credentials": {"username": "fuzz", "password": "any"},
                 "permissions": ["transactions", "portfolio", "profile", "trades"]}  # fmt: skip
    httpx.post(f"{stack.rest}/api/v1/connectors", json=connector, timeout=30)
    place = f"{stack.rest}/api/v1/connectors/user/fuzz_user/platform/fi_money"
    known = httpx.get(place).json()["data"]["connector"]["id"]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.openapi.hooks",
        "FUZZ_USER": "fuzz_user",
        "FUZZ_CONNECTOR": known,
        "PYTHONPATH": str(ROOT),
    }
    command = [
        str(PROGRAM), "--config-file", str(CONFIG), "run", str(PLACE), "--url", stack.rest,
        "--exclude-checks", OTHERWISE,
        "--exclude-operation-id", NEVER_ENDS, "--continue-on-failure", "--warnings", "off",
        "--request-timeout", "40", "--no-color", *options,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=stack.data_dir, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"([\d,]+) generated", done.stdout)
    assert found, done.stdout
    return int(found[1].replace(",", ""))


def test_a_few_calls_of_each_operation(stack: Stack) -> None:
    """Without new connectors: other tests go on with this Finlink."""
    options = ("--exclude-operation-id", "createConnector", "--phases", "examples,fuzzing")
    assert fuzz(stack, *options, "--max-examples", "1", "--seed", "1") > 25


@pytest.mark.full_only
def test_many_calls(tmp_path: Path) -> None:
    with running(tmp_path / "finlink") as stack:
        count = fuzz(stack, "--max-examples", "400")
    assert count >= MANY
