"""One page for Prometheus has what all workers count."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Mapping

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server import app
from server.config import ConfigError, Settings
from tests.e2e import connector_steps as steps
from tests.stack import Stack, free_ports

LISTS = {"method": "/finlink.users.v1.UserService/ListUsers", "via": "rest"}


async def counted(stack: Stack, name: str, labels: Mapping[str, str]) -> float:
    async with httpx.AsyncClient() as prometheus:
        page = await prometheus.get(f"http://127.0.0.1:{stack.ports['METRICS_PORT']}/metrics")
    samples = [
        sample
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(sample.value for sample in samples)


async def test_calls_are_counted_over_all_workers(stack: Stack, rest: httpx.AsyncClient) -> None:
    ok, wrong = {**LISTS, "code": "OK"}, {**LISTS, "code": "VALIDATION_ERROR"}
    name = "finlink_call_seconds_count"
    before = await counted(stack, name, ok), await counted(stack, name, wrong)
    replies = await asyncio.gather(*(rest.get("/users") for _ in range(40)))
    assert all(reply.is_success for reply in replies)
    assert (await rest.get("/users", params={"limit": "x"})).status_code == 400
    after = await counted(stack, name, ok), await counted(stack, name, wrong)
    assert after == (before[0] + 40, before[1] + 1)


@pytest.mark.full_only
async def test_users_connections_syncs_and_mongodb_are_counted(
    stack: Stack, rest: httpx.AsyncClient
) -> None:
    fi = {"platform": "fi_money"}
    names = {
        "connected": ("finlink_connects_total", {**fi, "outcome": "connected"}),
        "refused": ("finlink_connects_total", {**fi, "outcome": "INVALID_CREDENTIALS"}),
        "runs": ("finlink_sync_run_seconds_count", {**fi, "status": "success"}),
        "late": ("finlink_sync_lateness_seconds_count", fi),
        "calls": ("finlink_platform_call_seconds_count", {**fi, "call": "initialize"}),
        "commits": ("finlink_mongodb_command_seconds_count", {"command": "commitTransaction"}),
        "users": ("finlink_users", {"status": "active"}),
        "connectors": ("finlink_connectors", {**fi, "status": "connected"}),
        "misses": ("finlink_cached_responses_total", {"outcome": "miss"}),
        "hits": ("finlink_cached_responses_total", {"outcome": "hit"}),
    }  # fmt: skip

    async def gauges_have_caught_up() -> bool:
        """With what tests before this one have left, so that what it adds is seen."""
        status = (await rest.get("/connectors/status")).json()["data"]["byPlatform"]
        users = (await rest.get("/users", params={"status": "active"})).json()["data"]
        shown = [await counted(stack, *names[name]) for name in ("connectors", "users")]
        return shown == [status["fi_money"]["active"], users["pagination"]["totalUsers"]]

    await steps.eventually(gauges_have_caught_up, "the gauges to show what there is")
    before = {name: await counted(stack, *what) for name, what in names.items()}
    user_id = f"user_{uuid.uuid4().hex}"
    await steps.create_user(rest, user_id)
    wrong = {"username": steps.new_login(), "password": "wrong"}
    assert (await steps.post(rest, user_id, "fi_money", credentials=wrong)).status_code == 400
    reply = await steps.post(rest, user_id, "fi_money")
    assert reply.status_code == 201
    await steps.synced(rest, reply.json()["data"]["id"])

    async def all_rose() -> bool:
        assert (await rest.get(f"/users/{user_id}")).is_success
        after = {name: await counted(stack, *what) for name, what in names.items()}
        return all(after[name] > before[name] for name in names)

    await steps.eventually(all_rose, "all to be counted")
    assert await counted(stack, "finlink_mongodb_connections", {}) >= 2


async def test_connectors_that_fail_are_counted(
    stack: Stack, rest: httpx.AsyncClient, new_id: str
) -> None:
    await steps.create_user(rest, new_id)
    broken = steps.credentials_of(steps.BROKEN_NET_WORTH)
    made = await steps.connect(rest, new_id, permissions=["portfolio"], credentials=broken)
    await steps.synced(rest, made["id"])

    async def all_are_counted() -> bool:
        counts = (await rest.get("/connectors/status")).json()["data"]["byPlatform"]["fi_money"]
        shown = await counted(stack, "finlink_connectors_failing", {"platform": "fi_money"})
        return bool(shown == counts["failing"] > 0)

    await steps.eventually(all_are_counted, "the gauge to show those that fail")


async def test_what_may_fail_is_shown_before_it_does(stack: Stack) -> None:
    """Prometheus sees no rise in a series that begins with its first event."""
    async with httpx.AsyncClient() as prometheus:
        page = await prometheus.get(f"http://127.0.0.1:{stack.ports['METRICS_PORT']}/metrics")
    for series in (
        'finlink_sync_run_seconds_count{code="INTERNAL",platform="zerodha",status="failed"}',
        'finlink_sync_run_seconds_count{code="RUN_ABANDONED",platform="zerodha",status="failed"}',
        'finlink_syncs_abandoned_total{platform="zerodha"}',
        'finlink_suspicious_events_total{action="suspicious.many_addresses"}',
        'finlink_password_calls_rejected_total{device="known"}',
        'finlink_provider_calls_total{call="discovery",outcome="failed",provider="two"}',
    ):
        assert f"{series} 0.0\n" in page.text


async def test_a_server_alone_serves_its_own() -> None:
    (port,) = free_ports(1)
    async with app.serving_own_metrics(Settings(metrics_port=port)), httpx.AsyncClient() as http:
        page = await http.get(f"http://127.0.0.1:{port}/metrics")
        assert "# TYPE finlink_suspicious_events_total counter" in page.text


async def test_a_port_that_is_taken_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with app.serving_own_metrics(Settings(metrics_port=port)):
                pass


async def test_off_unless_asked_for() -> None:
    async with app.serving_own_metrics(Settings()):
        pass
