"""Calls to providers are counted by how they end, so that an outage of one can be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from server.domains.identity.external import metrics
from server.domains.identity.external.client import ProviderClient
from server.domains.identity.external.model import ExternalFailure, ProviderDown
from tests.domains.identity.external.scripted import Scripted
from tests.domains.identity.external.test_id_tokens import NONCE, redeemed
from tests.domains.identity.lockout.world import TurnedClock

PATHS = {
    "discovery": "/.well-known/openid-configuration",
    "tokens": "/token",
    "keys": "/keys",
    "user_info": "/user",
}
DOWN = web.Response(status=503)


class Counted:
    """The calls to the scripted provider since the last time, that were any, by call and outcome."""

    def __init__(self) -> None:
        metrics.show_zeros(["scripted"])
        self._before = self._now()

    def since(self) -> dict[tuple[str, str], int]:
        before, self._before = self._before, self._now()
        rose = {key: round(value - before[key]) for key, value in self._before.items()}
        return {key: count for key, count in rose.items() if count}

    @staticmethod
    def _now() -> Mapping[tuple[str, str], float]:
        return {(call, outcome): _value(call, outcome) for call, outcome in _pairs()}


def _pairs() -> Iterator[tuple[str, str]]:
    for call in get_args(metrics.Call):
        for outcome in get_args(metrics.Outcome):
            yield call, outcome


def _value(call: str, outcome: str) -> float:
    labels = {"provider": "scripted", "call": call, "outcome": outcome}
    value = REGISTRY.get_sample_value("finlink_provider_calls_total", labels)
    assert value is not None, "the series exists before anything happens"
    return value


@pytest.fixture
def counted() -> Counted:
    return Counted()


async def test_a_login_is_a_call_of_each_kind(
    provider: Scripted, client: ProviderClient, counted: Counted
) -> None:
    provider.signs(NONCE)
    await redeemed(client)
    assert counted.since() == {(call, "succeeded"): 1 for call in PATHS}
    await redeemed(client)
    assert counted.since() == {("tokens", "succeeded"): 1, ("user_info", "succeeded"): 1}


@pytest.mark.parametrize("call", PATHS)
@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (DOWN, "unavailable"),
        (web.Response(status=429), "unavailable"),
        (web.Response(status=404, body=b"{}"), "failed"),
        (web.Response(status=302, headers={"location": "http://127.0.0.1:1/"}), "failed"),
        (web.Response(status=200, body=b"<html>"), "failed"),
        (web.Response(status=200, body=b"{}"), "failed"),
    ],
    ids=["503", "429", "404", "redirect", "html", "empty"],
)
async def test_a_call_that_fails_is_counted_apart(
    provider: Scripted,
    client: ProviderClient,
    counted: Counted,
    call: str,
    reply: web.Response,
    outcome: str,
) -> None:
    provider.signs(NONCE)
    provider.said[PATHS[call]] = reply
    with pytest.raises((ExternalFailure, ProviderDown)):
        await redeemed(client)
    before = list(PATHS)[: list(PATHS).index(call)]
    assert counted.since() == {**{(each, "succeeded"): 1 for each in before}, (call, outcome): 1}


@pytest.mark.parametrize(
    ("status", "reply", "outcome"),
    [
        (400, {"error": "invalid_grant"}, "refused"),
        (400, {"error": "invalid_request"}, "refused"),
        (400, {"error": {"code": 100}}, "refused"),
        (400, {"error": "invalid_client"}, "failed"),
        (400, {"error": "unauthorized_client"}, "failed"),
        (401, {"error": "invalid_client"}, "failed"),
        (401, {}, "failed"),
    ],
)
async def test_a_code_that_is_not_good_is_no_failure_of_the_provider_but_a_wrong_secret_is(
    provider: Scripted,
    client: ProviderClient,
    counted: Counted,
    status: int,
    reply: dict[str, Any],
    outcome: str,
) -> None:
    provider.said[PATHS["tokens"]] = web.json_response(reply, status=status)
    with pytest.raises(ExternalFailure, match="the code is refused"):
        await redeemed(client)
    assert counted.since() == {("discovery", "succeeded"): 1, ("tokens", outcome): 1}


async def test_an_outage_that_begins_later_is_seen(
    provider: Scripted, client: ProviderClient, counted: Counted, clock: TurnedClock
) -> None:
    await client.metadata()
    counted.since()
    provider.said[PATHS["discovery"]] = DOWN
    await client.metadata()
    assert counted.since() == {}, "it is kept for an hour"
    clock.turn(hours=1)
    for _ in range(2):
        with pytest.raises(ProviderDown):
            await client.metadata()
    assert counted.since() == {("discovery", "unavailable"): 2}
