"""Many hosts as plain processes. `make test` runs the short form, `make test-topology` the full one."""

from __future__ import annotations

import pytest

from tests.chaos.figures import Figures


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether everything is killed and restarted, or one of each kind."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    return Figures(request.node.name)
