from collections.abc import Iterator

import pytest

from tests.sandbox.accounts import APPROVED, Accounts, accounts_at
from tests.sandbox.driver import Running, running


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Running]:
    with running("--option", APPROVED) as started:
        yield started


@pytest.fixture(scope="session")
def turned() -> Iterator[Accounts]:
    """A sandbox with a control API, for all tests that put it back as it was."""
    options = ("--option", APPROVED, "--option", "fi_money.session_ttl=1800", "--control-port", 0)
    with running(*options) as started, accounts_at(started) as accounts:
        yield accounts


@pytest.fixture
def accounts(turned: Accounts) -> Iterator[Accounts]:
    yield turned
    turned.control.post("/reset").raise_for_status()
