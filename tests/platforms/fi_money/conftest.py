from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.driver import Running, running


@pytest.fixture(scope="session", params=["json", "event stream"])
def fi_sandbox(request: pytest.FixtureRequest, sandbox: Running) -> Iterator[Running]:
    """Both ways an MCP server may answer."""
    if request.param == "json":
        yield sandbox
    else:
        with running("--option", "fi_money.sse=true") as started:
            yield started
