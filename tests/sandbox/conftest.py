from collections.abc import Iterator

import pytest

from tests.sandbox.driver import Running, running


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Running]:
    with running("--kite-approved", "platform_key") as started:
        yield started
