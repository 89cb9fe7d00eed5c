"""Many callers ask for a sync of one connector while its run is held up at the platform."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from finlink.connectors.v1 import sync_service_pb2
from finlink.connectors.v1.sync_service_pb2_grpc import SyncServiceStub

from tests.chaos.figures import Figures
from tests.chaos.ground import Ground
from tests.e2e import connector_steps as step

if TYPE_CHECKING:
    from finlink.connectors.v1.sync_service_pb2_grpc import SyncServiceAsyncStub

EACH_WAY = 50


@pytest.fixture
def syncs(stubs: grpc.aio.Channel) -> SyncServiceAsyncStub:
    return SyncServiceStub(stubs)


async def test_a_hundred_triggers_of_a_blocked_run(
    site: Ground,
    api: httpx.AsyncClient,
    syncs: SyncServiceAsyncStub,
    new_id: str,
    figures: Figures,
) -> None:
    login = step.new_login()
    await step.create_user(api, new_id)
    made = await step.connect(
        api,
        new_id,
        "fi_money",
        permissions=["transactions", "trades"],
        credentials=step.credentials_of(login),
    )
    connector_id = made["id"]
    before = await step.synced(api, connector_id)
    counted = _data_calls(site, login)

    site.sandbox.put("/breakpoints/the run", {"platform": "fi_money", "login": login})
    first = await step.trigger(api, connector_id)
    await site.sandbox.until_blocked("the run")
    rest = [step.trigger(api, connector_id) for _ in range(EACH_WAY)]
    request = sync_service_pb2.TriggerSyncRequest(connector_id=connector_id)
    calls = [syncs.TriggerSync(request) for _ in range(EACH_WAY)]
    replies, responses = await asyncio.gather(asyncio.gather(*rest), asyncio.gather(*calls))
    still = await step.sync_status(api, connector_id)
    site.sandbox.control.delete("/breakpoints/the run").raise_for_status()
    after = await step.synced(api, connector_id, before["totalSyncs"] + 1)

    reported = Counter(reply["data"]["syncId"] for reply in replies)
    reported += Counter(response.data.sync_id for response in responses)
    made_calls = _data_calls(site, login) - counted
    figures.show("triggers over REST and gRPC", 2 * EACH_WAY)
    figures.show("runs they were told of", len(reported))
    figures.show("runs that ran", after["totalSyncs"] - before["totalSyncs"])
    assert reported == {first["data"]["syncId"]: 2 * EACH_WAY}
    assert still["currentSyncId"] == first["data"]["syncId"]
    assert still["totalSyncs"] == before["totalSyncs"]
    newest, *older = after["syncHistory"]
    assert newest["syncId"] == first["data"]["syncId"]
    assert newest["status"] == "success"
    assert older == before["syncHistory"]
    assert after["totalSyncs"] == before["totalSyncs"] + 1
    assert made_calls == {
        "fetch_bank_transactions": 1,
        "fetch_stock_transactions": 1,
        "fetch_mf_transactions": 1,
    }


def _data_calls(site: Ground, login: str) -> Counter[str]:
    counts = site.sandbox.calls(platform="fi_money", login=login, limit=1)["counts"]
    return Counter({call: n for call, n in counts.items() if call.startswith("fetch_")})
