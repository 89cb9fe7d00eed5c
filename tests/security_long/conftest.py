"""Security at scale. `make test` runs the short form, `make test-security` the full one."""

from __future__ import annotations

import pytest

from tests.chaos.figures import Figures


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether scenarios run at full length."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return Figures(request.node.name)
