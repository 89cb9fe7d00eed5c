"""How connectors' last runs ended, through Envoy: in every read, also from the cache, and in the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from finlink.connectors.v1 import connector_reads_pb2, status_summary_pb2
from google.protobuf import json_format

from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import Json
from tests.e2e.users_errors import failed
from tests.stack import Stack

if TYPE_CHECKING:  # the name is in the type stubs only
    from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceAsyncStub


async def test_a_partial_run_shows_in_every_read(
    rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    broken = step.credentials_of(step.BROKEN_NET_WORTH)
    granted = ["transactions", "portfolio"]
    made = await step.connect(rest, new_id, permissions=granted, credentials=broken)
    fine = await step.connect(rest, new_id, "zerodha")
    for each in (made, fine):
        await step.synced(rest, each["id"])
    whole = await step.get(rest, made["id"])
    newest = whole["syncHistory"][0]
    assert whole["lastRun"] == {
        "state": "partial",
        "finishedAt": newest["syncedAt"],
        "syncId": newest["syncId"],
        "errorCode": "PLATFORM_DATA_ERROR",
        "missing": ["portfolio"],
    }
    assert (whole["connectionStatus"], whole["failing"]) == ("connected", True)
    first, second = (await step.of_user(rest, new_id))["connectors"]
    by_platform = await rest.get(f"/connectors/user/{new_id}/platform/fi_money")
    for shown in (first, by_platform.json()["data"]["connector"]):
        assert (shown["lastRun"], shown["failing"]) == (whole["lastRun"], True)
    assert (second["lastRun"]["state"], second["failing"]) == ("success", False)
    listed = {each["id"]: each for each in await step.listed(rest, failing="true")}
    assert listed[made["id"]]["lastRun"] == whole["lastRun"]
    assert fine["id"] not in listed
    assert fine["id"] in {each["id"] for each in await step.listed(rest)}
    of_zerodha = await step.listed(rest, failing="true", platform="zerodha", status="connected")
    assert made["id"] not in {each["id"] for each in of_zerodha}
    request = connector_reads_pb2.ListConnectorsRequest(failing=True, status="connected", limit=100)
    over_grpc = [
        each for each in (await connectors.ListConnectors(request)).data.connectors
        if each.id == made["id"]
    ]  # fmt: skip
    assert len(over_grpc) == 1
    expected = json_format.ParseDict(whole["lastRun"], type(over_grpc[0].last_run)())
    assert (over_grpc[0].last_run, over_grpc[0].failing) == (expected, True)


async def test_the_counts_have_it_over_both_ways(
    rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, new_id: str
) -> None:
    async def of_fi() -> int:
        counts = await step.summary(rest, platform="fi_money", status="connected")
        fails: int = counts["byPlatform"]["fi_money"]["failing"]
        assert counts["summary"]["failingConnections"] == fails
        request = status_summary_pb2.GetConnectorStatusSummaryRequest(
            platform="fi_money", status="connected"
        )
        over_grpc = (await connectors.GetConnectorStatusSummary(request)).data
        assert over_grpc.summary.failing_connections == fails
        return fails

    before = await of_fi()
    await step.create_user(rest, new_id)
    broken = step.credentials_of(step.BROKEN_NET_WORTH)
    made = await step.connect(rest, new_id, permissions=["portfolio"], credentials=broken)
    await step.synced(rest, made["id"])
    assert await of_fi() == before + 1
    dates = {"fromDate": made["connectedAt"], "toDate": made["connectedAt"]}
    within = await step.summary(rest, platform="fi_money", **dates)
    assert within["summary"]["failingConnections"] == 1
    await step.disconnect(rest, made["id"])
    assert await of_fi() == before


async def test_a_cached_reply_shows_each_end_of_a_run(
    stack: Stack, rest: httpx.AsyncClient, new_id: str
) -> None:
    """Also of runs that fail as the one before did: their times differ."""
    await step.create_user(rest, new_id)
    broken = step.credentials_of(step.BROKEN_NET_WORTH)
    made = await step.connect(rest, new_id, permissions=["portfolio"], credentials=broken)
    await step.synced(rest, made["id"])
    paths = (f"/connectors/user/{new_id}", f"/connectors/user/{new_id}/platform/fi_money")

    def run_in(data: Json) -> Json:
        (connector,) = data.get("connectors") or [data["connector"]]
        run: Json = connector["lastRun"]
        return run

    for _ in range(3):
        for path in paths * 4:  # ready in both workers
            assert (await rest.get(path)).status_code == 200
        entry = await step.sync(rest, made["id"])
        for path in paths * 2:
            run = run_in((await rest.get(path)).json()["data"])
            assert (run["syncId"], run["finishedAt"]) == (entry["syncId"], entry["syncedAt"])


async def test_the_filter_is_a_flag(rest: httpx.AsyncClient) -> None:
    assert (await rest.get("/connectors?failing=false&limit=1")).status_code == 200
    assert failed(await rest.get("/connectors?failing=perhaps")).fields.keys() == {"failing"}
    page = (await rest.get("/connectors?limit=1")).json()["data"]
    if token := page["pagination"].get("nextPageToken"):
        other = await rest.get(f"/connectors?limit=1&failing=true&pageToken={token}")
        assert failed(other).fields.keys() == {"pageToken"}
