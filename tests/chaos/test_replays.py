"""Every change sent three times with one key, its first server dead between commit and reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import httpx
import pytest

from tests.chaos.figures import Figures
from tests.chaos.ground import Ground
from tests.chaos.victims import victim
from tests.e2e.connector_steps import (
    Documents,
    Json,
    create_user,
    credentials_of,
    database,
    new_login,
)
from tests.e2e.replies import content_of
from tests.gathered_requests import CHANGES, new_key, over_grpc, over_rest, prepared, state


@pytest.fixture
async def documents(site: Ground) -> AsyncIterator[Documents]:
    async with database(site.stack) as opened:
        yield opened


async def until_served(
    api: httpx.AsyncClient, name: str, request: Json, key: str
) -> httpx.Response:
    """The reply, as a client gets it that tries again. A dead server's transaction lasts some seconds."""
    async with asyncio.timeout(60):
        while (reply := await over_rest(api, name, request, key)).status_code == 503:
            assert reply.json()["error"]["code"] == "UNAVAILABLE"
    return reply


@pytest.mark.full_only
@pytest.mark.parametrize("when", ["after", "before"])
async def test_a_death_around_the_commit(
    when: str,
    site: Ground,
    api: httpx.AsyncClient,
    stubs: grpc.aio.Channel,
    documents: Documents,
    figures: Figures,
) -> None:
    """After the commit the change is there and its reply too; before it, neither."""

    async def replay(name: str) -> None:
        user_id = f"{when}_{name}_{new_key()[-12:]}"
        async with few:  # a worker is busy for long with each password
            request, key = await prepared(name, api, documents, user_id), new_key()
        before = await state(documents, user_id)
        async with few, victim(site, f"{when}-{name}") as (way, channel):
            way.armed = when
            with pytest.raises(grpc.aio.AioRpcError) as died:
                await over_grpc(channel, name, request, key)
        assert died.value.code() == grpc.StatusCode.UNAVAILABLE
        committed = await state(documents, user_id)
        assert (committed != before) == (when == "after"), name
        responses = [await until_served(api, name, request, key) for _ in range(2)]
        assert responses[0].is_success, responses[0].text
        assert content_of(responses[0]) == content_of(responses[1])
        replies = [await over_grpc(stubs, name, request, key) for _ in range(2)]
        assert replies[0] == replies[1]
        after = await state(documents, user_id)
        assert after != before
        if when == "after":
            assert after == committed, name

    few = asyncio.Semaphore(4)
    names = list(CHANGES)
    await asyncio.gather(*map(replay, names))
    figures.show(f"changes whose server died {when} the commit", len(names))
    figures.show("of them with one effect and identical answers", len(names))


@pytest.mark.full_only
async def test_a_call_that_failed_at_the_platform_may_be_tried_again(
    site: Ground, api: httpx.AsyncClient
) -> None:
    login, key, user_id = new_login(), new_key(), f"u{new_key()[-12:]}"
    await create_user(api, user_id)
    request = {
        "userId": user_id,
        "platform": "fi_money",
        "permissions": ["profile"],
        "credentials": credentials_of(login),
    }
    site.sandbox.faults("fi_money", login, {"kind": "unavailable", "calls": "*"})
    failed = await over_rest(api, "CreateConnector", request, key)
    assert failed.status_code == 503, failed.text
    site.sandbox.clear_faults("fi_money", login)
    assert (await over_rest(api, "CreateConnector", request, key)).status_code == 201
