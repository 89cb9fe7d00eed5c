"""Random operations and events, each compared with a plain model of the contract."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.caller import Caller, Json
from tests.chaos.figures import Figures
from tests.chaos.ground import Ground
from tests.chaos.model_machine import FinlinkMachine
from tests.chaos.model_steps import World
from tests.chaos.model_views import assert_counts
from tests.chaos.platform_side import PlatformSide

LEAST, EXAMPLES, STEPS = 10_000, 5, 100
SHORT_LEAST, SHORT_EXAMPLES, SHORT_STEPS = 50, 2, 25


def test_finlink_does_as_the_model_says(site: Ground, full: bool, figures: Figures) -> None:
    seed = int(os.environ.get("MODEL_SEED") or secrets.randbits(32))
    world = World(Caller(site.stack), PlatformSide(site.sandbox))
    least, examples, steps = (
        (LEAST, EXAMPLES, STEPS) if full else (SHORT_LEAST, SHORT_EXAMPLES, SHORT_STEPS)
    )
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink]
        if full
        else [Phase.generate],  # shrinking takes minutes
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,  # one is shrunk well
    )
    FinlinkMachine.world = world
    began, rounds = time.monotonic(), 0
    try:
        while world.done < least:
            hypothesis.seed(seed + rounds)(FinlinkMachine)
            run_state_machine_as_test(FinlinkMachine, settings=settings)
            rounds += 1
    finally:
        figures.show("seed (MODEL_SEED repeats it)", seed + rounds)
        figures.show("operations and events", world.done)
        figures.show("seconds", time.monotonic() - began)
        figures.show("operations", _by_number(world.caller.counts))
        figures.show("of these over", _by_number(world.caller.ways))
        figures.show("events", _by_number(world.events))
    assert_all_counted(world.caller)
    figures.show("connectors compared whole", world.compared)
    figures.show("mismatches", 0)
    world.caller.close()
    world.platforms.close()


def assert_all_counted(caller: Caller) -> None:
    """`/connectors/status` without filters is a count of all there are, whoever made them."""
    while True:
        before, listed, after = _counts(caller), _all(caller), _counts(caller)
        if before == after:  # else something else happened meanwhile
            break
    counted = Counter(
        (each["platform"], each["connectionStatus"], each["failing"]) for each in listed
    )
    assert_counts(counted, before)


def _counts(caller: Caller) -> Json:
    return caller.read(("GetConnectorStatusSummary", {}))[0]


def _all(caller: Caller) -> list[Json]:
    listed: list[Json] = []
    token: dict[str, Any] = {}
    while True:
        (page,) = caller.read(("ListConnectors", {"limit": 100, **token}))
        listed += page["connectors"]
        if "nextPageToken" not in page["pagination"]:
            return listed
        token = {"pageToken": page["pagination"]["nextPageToken"]}


def _by_number(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.most_common())
