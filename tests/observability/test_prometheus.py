"""What a real Prometheus makes of a real Finlink: alerts fire, panels show, a cause is found."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import httpx
import pytest

from tests.chaos.figures import Figures
from tests.e2e import connector_steps as step
from tests.faults.load import under
from tests.observability import causes, declared, messages, prometheus
from tests.observability.causes import CAUSES, TOGETHER, Cause
from tests.observability.monitored import SYNC_LIMIT, Monitored
from tests.observability.prometheus import Prometheus
from tests.observability.signing_in import Users

NOBODYS = "/connectors/000000000000000000000000"
SHORT = TOGETHER[0], TOGETHER[2]  # what `make test` causes; the others kill and freeze


def test_no_alert_is_left_out() -> None:
    assert set().union(*CAUSES.values()) == prometheus.alerts().keys()
    assert set(itertools.chain(*TOGETHER)) == CAUSES.keys()


@pytest.mark.full_only
@prometheus.needed
async def test_an_ordinary_day_raises_no_alert(api: httpx.AsyncClient, metrics: Prometheus) -> None:
    made = await asyncio.gather(*(causes.connector(api, each) for each in step.PLATFORMS))
    for connector_id in made:
        assert (await api.get(f"/connectors/{connector_id}")).is_success
    assert (await api.get("/users/nobody")).status_code == 404
    for _ in range(2):
        await metrics.until_evaluated()
    # A page that came late on a busy machine makes the next moment's alert, and is over with the one after.
    await metrics.until_quiet(set(prometheus.alerts()))


@pytest.mark.full_only
@prometheus.needed
async def test_each_panel_shows_something_and_each_metric_is_seen(
    site: Monitored, metrics: Prometheus
) -> None:
    async def all_are_seen() -> bool:
        seen = {sample.name for sample in await site.samples() if sample.value > 0}
        missing = {name for name, series in declared.series().items() if not series & seen}
        # Of workers that die or hang as they sync; the alerts about them are caused with it.
        return missing <= {
            "finlink_syncs_abandoned", "finlink_sync_overdue_seconds", "finlink_delivery_overdue_seconds"
        }  # fmt: skip

    async with under(partial(everything_happens, site)):
        for title, expression in prometheus.panels():
            shown = await step.eventually(partial(metrics.shown, expression), title)
            for labels in re.findall(r"by \(([^)]*)\)", expression):
                wanted = {label.strip() for label in labels.split(",")} - {"le"}
                assert any(wanted <= series["metric"].keys() for series in shown), title
        await step.eventually(all_are_seen, "all metrics")


@prometheus.needed
async def test_a_failing_sync_is_found_with_its_cause(
    site: Monitored, api: httpx.AsyncClient, metrics: Prometheus, figures: Figures
) -> None:
    """By the dashboard, the log and the API; by a cause that no other test brings about."""
    login = step.new_login()
    connector_id = await causes.connector(api, login=login)
    await metrics.until_evaluated()
    site.ground.sandbox.faults("fi_money", "*", {"kind": "not_json"})
    began, request_id = time.monotonic(), step.new_login()
    reply = await api.post(
        f"/connectors/{connector_id}/sync", json={}, headers={"x-request-id": request_id}
    )
    found: dict[str, float] = {}
    cause = "fetch_credit_report: expected a JSON document"

    async def by_dashboard() -> None:
        (panel,) = (query for title, query in prometheus.panels() if title.endswith("by cause"))
        what = {"platform": "fi_money", "code": "PLATFORM_DATA_ERROR"}

        async def reported() -> bool:
            return any(series["metric"] == what for series in await metrics.shown(panel))

        await step.eventually(reported, "the cause on the dashboard")

    async def by_connector_id() -> None:
        line = await site.line("sync finished", connector_id=connector_id, status="failed")
        assert (line["code"], line["cause"]) == ("PLATFORM_DATA_ERROR", cause)

    async def by_request_id() -> None:
        asked = await site.line("sync requested", request_id=request_id)
        line = await site.line("sync finished", sync_id=asked["sync_id"])
        assert (line["code"], line["cause"]) == ("PLATFORM_DATA_ERROR", cause)
        calls = site.ground.sandbox.calls(platform="fi_money", login=login)["calls"]
        asked_for = {call["request_id"] for call in calls if call["faults"]}
        assert asked_for == {asked["sync_id"]}, "the platform can be asked about it"

    async def by_api() -> None:
        entry = await step.finished(api, connector_id, reply.json()["data"]["syncId"])
        assert (entry["status"], entry["errorMessage"]) == ("failed", cause)
        error = (await step.get(api, connector_id))["errors"][0]
        assert (error["errorCode"], error["errorMessage"]) == ("PLATFORM_DATA_ERROR", cause)

    async def timed(way: str, search: asyncio.Future[None]) -> None:
        await search
        found[way] = time.monotonic() - began

    ways = (by_dashboard, by_connector_id, by_request_id, by_api)
    await asyncio.gather(*(timed(way.__name__, asyncio.ensure_future(way())) for way in ways))
    for way, seconds in found.items():
        figures.show(f"seconds until it was found {way.replace('_', ' ')}", seconds)


async def test_a_platform_is_sent_the_request_id_of_the_caller(
    site: Monitored, api: httpx.AsyncClient
) -> None:
    login, request_id = step.new_login(), step.new_login()
    connector_id = await causes.connector(api, login=login)
    headers = {"x-request-id": request_id}
    reply = await api.put(f"/connectors/{connector_id}/refresh-session", headers=headers)
    assert reply.headers["x-request-id"] == request_id
    calls = site.ground.sandbox.calls(platform="fi_money", login=login)["calls"]
    assert request_id in {call["request_id"] for call in calls}


@prometheus.needed
@pytest.mark.parametrize(
    "group",
    [
        pytest.param(
            group,
            id="-".join(cause.__name__ for cause in group),
            marks=[] if group in SHORT else pytest.mark.full_only,
        )
        for group in TOGETHER
    ],
)
async def test_an_alert_fires(
    site: Monitored, metrics: Prometheus, group: Sequence[Cause], figures: Figures
) -> None:
    alerts = set().union(*(CAUSES[cause] for cause in group))
    await metrics.until_quiet(alerts)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        for cause in group:
            await stack.enter_async_context(cause(site))
        await metrics.until_firing(alerts)
        figures.show(f"seconds until {', '.join(sorted(alerts))}", time.monotonic() - began)


async def everything_happens(site: Monitored) -> None:
    """Connects and syncs that succeed and do not, runs put off and cancelled, cached reads, refusals.

    Users sign in, mistype, come all at once, are stolen from, and go to a provider that is away.
    """

    async def reads_and_failures() -> None:
        async with site.caller() as api:
            connector_id = await causes.connector(api, login=login)
            user_id = (await step.get(api, connector_id))["userId"]
            for _ in range(3):
                assert (await api.get(f"/users/{user_id}")).is_success
            site.ground.sandbox.faults("fi_money", login, {"kind": "unavailable"})
            await causes.sync(api, connector_id)

    async def refused_logins() -> None:
        async with site.caller("192.0.2.7") as stranger:
            calls = [stranger.post(f"{NOBODYS}/sync") for _ in range(SYNC_LIMIT + 50)]
            await asyncio.gather(*calls)

    async def messages_are_sent_and_refused() -> None:
        async with messages.outbox_of(site) as outbox:
            await outbox.add(messages.mail(), messages.mail("refused@example.com"), messages.sms())
            await outbox.add(messages.mail(), decoy=True)

    async def users_sign_in() -> None:
        async with site.channel(site.worker_address()) as channel:
            users = Users.of(channel)
            user_id = await users.register()
            await users.mistype(user_id)
            await users.reuse_a_token(user_id)
            await users.sign_in(user_id)  # in a session that goes on
            await users.ask_for_codes()
            await users.go_to_a_provider()
            await users.all_at_once()

    async def comes_and_goes(cause: Cause) -> None:
        async with cause(site):
            pass

    login = step.new_login()
    async with causes.run_under_way(site):
        await asyncio.gather(
            reads_and_failures(),
            refused_logins(),
            messages_are_sent_and_refused(),
            users_sign_in(),
            comes_and_goes(causes.logins_refused),
            comes_and_goes(causes.run_put_off),
        )
