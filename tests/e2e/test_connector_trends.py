"""Trends through Envoy: what really happened is in them, the same over both ways."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from finlink.connectors.v1 import trend_pb2
from google.protobuf import json_format

from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import PLATFORMS, Json, instant
from tests.e2e.users_errors import Failure, failed, grpc_error

if TYPE_CHECKING:  # the name is in the type stubs only
    from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceAsyncStub

WRONG_SHAPE = "PLATFORM_DATA_ERROR"


async def of_last(rest: httpx.AsyncClient, minutes: int) -> Json:
    reply = await rest.get("/connectors/trends", params={"minutes": minutes})
    assert reply.status_code == 200, reply.text
    data: Json = reply.json()["data"]
    return data


def sums(trends: Json) -> Counter[str]:
    """What is counted, over all steps: `zerodha started`, `fi_money PLATFORM_DATA_ERROR`, …"""
    found: Counter[str] = Counter()
    for point in trends["points"]:
        for platform in point["platforms"]:
            for name in ("started", "succeeded", "partial", "failed"):
                found[f"{platform['platform']} {name}"] += platform[name]
            for failure in platform["failures"]:
                found[f"{platform['platform']} {failure['code']}"] += failure["count"]
    return found


async def test_what_became_of_connections_and_syncs(
    rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub, new_id: str
) -> None:
    before = sums(await of_last(rest, 60))
    await step.create_user(rest, new_id)
    broken = step.credentials_of(step.BROKEN_NET_WORTH)
    fails = await step.connect(rest, new_id, permissions=["portfolio"], credentials=broken)
    works = await step.connect(rest, new_id, "zerodha")
    await step.synced(rest, fails["id"])
    await step.synced(rest, works["id"])

    async def arrived() -> Json | None:
        trends = await of_last(rest, 60)
        new = sums(trends) - before
        wanted = {
            "zerodha started",
            "zerodha succeeded",
            "fi_money started",
            f"fi_money {WRONG_SHAPE}",
        }
        return trends if wanted <= new.keys() else None

    trends = await step.eventually(arrived, "the runs in the trends")
    assert trends["stepSeconds"] == 60
    assert len(trends["points"]) == 60
    moments = [instant(point["at"]) for point in trends["points"]]
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(minutes=1)}
    assert moments[-1] <= datetime.now(UTC) < moments[-1] + timedelta(minutes=2)
    for point in trends["points"]:
        assert [each["platform"] for each in point["platforms"]] == list(PLATFORMS)
        for each in point["platforms"]:
            assert sum(failure["count"] for failure in each["failures"]) == each["failed"]

    async def connected() -> bool:
        newest = (await of_last(rest, 5))["points"][-1]["platforms"]
        return all(platform.get("connected", 0) >= 1 for platform in newest)

    await step.eventually(connected, "the connections in the trends")

    # The same over gRPC, of steps that nothing is added to any more.
    over_grpc = (await connectors.GetConnectorTrends(trend_pb2.GetConnectorTrendsRequest())).data
    over_rest = json_format.ParseDict(await of_last(rest, 60), trend_pb2.ConnectorTrends())
    assert over_grpc.step_seconds == over_rest.step_seconds
    old = {point.at.seconds: point for point in over_grpc.points[:-3]}
    assert len(old) == 57
    assert [old.get(point.at.seconds, point) for point in over_rest.points[:-3]] == list(
        over_rest.points[:-3]
    )


async def test_steps_grow_with_the_span(
    rest: httpx.AsyncClient, connectors: ConnectorServiceAsyncStub
) -> None:
    for minutes, step_minutes, points in ((5, 1, 5), (121, 2, 61), (1440, 12, 120)):
        over_rest = await of_last(rest, minutes)
        assert over_rest["stepSeconds"] == step_minutes * 60
        assert len(over_rest["points"]) == points
        request = trend_pb2.GetConnectorTrendsRequest(minutes=minutes)
        over_grpc = (await connectors.GetConnectorTrends(request)).data
        assert (over_grpc.step_seconds, len(over_grpc.points)) == (step_minutes * 60, points)


@pytest.mark.parametrize("minutes", ["4", "1441", "ten", ""])
async def test_only_such_spans_are_reported(rest: httpx.AsyncClient, minutes: str) -> None:
    failure = failed(await rest.get(f"/connectors/trends?minutes={minutes}"))
    assert failure.code == "VALIDATION_ERROR"
    assert failure.fields.keys() == {"minutes"}


async def test_a_wrong_span_over_grpc(connectors: ConnectorServiceAsyncStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await connectors.GetConnectorTrends(trend_pb2.GetConnectorTrendsRequest(minutes=4))
    span = "must be greater than or equal to 5 and less than or equal to 1440"
    assert grpc_error(raised.value) == Failure(
        "VALIDATION_ERROR", "Validation failed", {"minutes": span}
    )
