"""Security at scale. `make test` runs the short form, `make test-security` the full one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.figures import Figures
from tests.stack import Stack, running


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Finlink that only these tests call."""
    with running(tmp_path_factory.mktemp("attacked")) as started:
        yield started


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether scenarios run at full length."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return Figures(request.node.name)
