from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tests.sandbox.accounts import APPROVED
from tests.sandbox.driver import Running, running


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Running]:
    with running("--option", APPROVED) as started:
        yield started


@pytest.fixture
def clock() -> Callable[[], datetime]:
    return lambda: datetime(2026, 2, 3, 4, 0, tzinfo=UTC)
