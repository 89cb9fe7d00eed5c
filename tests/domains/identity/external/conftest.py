from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.domains.identity.external.client import ProviderClient
from server.domains.identity.providers import Provider
from tests.domains.identity.external.scripted import Scripted, scripted
from tests.domains.identity.lockout.world import TurnedClock


@pytest.fixture
async def provider() -> AsyncIterator[Scripted]:
    async with scripted() as started:
        yield started


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def client(provider: Scripted, clock: TurnedClock) -> AsyncIterator[ProviderClient]:
    own = Provider(
        "scripted", "Scripted", provider.issuer, "finlink", "s ecret:%", "openid profile email",
        ("https://app.example/callback",),
    )  # fmt: skip
    opened = ProviderClient(own, clock)
    yield opened
    await opened.aclose()
