"""What looks like an attack is told in the trail, once."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from server.core.events import Actor, Event, enter_actor
from server.domains.audit.sealer import Sealer
from server.domains.audit.suspicions import RULES
from server.storage.audit import AuditTrail
from server.storage.driver import Database
from server.storage.leases import Leases

ADDRESSES, DELETES = (rule.many for rule in RULES)


@pytest.fixture
def sealer(database: Database, trail: AuditTrail) -> Sealer:
    return Sealer(trail, Leases(database))


async def done(trail: AuditTrail, actor: Actor, event: Event) -> None:
    async def call() -> None:
        enter_actor(actor)
        await trail.add(event)

    await asyncio.create_task(call())


async def suspicious(trail: AuditTrail) -> list[tuple[str, str | None]]:
    found = await trail.find({"action": {"$regex": "^suspicious"}}, 100)
    return [(event["action"], event.get("userId")) for event in found]


def counted(what: str) -> float:
    """What Prometheus would read."""
    return REGISTRY.get_sample_value("finlink_suspicious_events_total", {"action": what}) or 0


async def test_connects_from_many_addresses(trail: AuditTrail, sealer: Sealer) -> None:
    connected = Event("connector.connected", "ann")
    before = counted("suspicious.many_addresses")
    for number in range(ADDRESSES - 1):
        await done(trail, Actor("caller", address=f"192.0.2.{number}"), connected)
        await done(trail, Actor("caller", address="192.0.2.0"), connected)
    await sealer.seal()
    assert await suspicious(trail) == []
    for number in range(ADDRESSES, ADDRESSES + 3):
        await done(trail, Actor("caller", address=f"192.0.2.{number}"), connected)
        await sealer.seal()
    assert await suspicious(trail) == [("suspicious.many_addresses", "ann")]
    assert counted("suspicious.many_addresses") == before + 1


async def test_bursts_of_deletes(trail: AuditTrail, sealer: Sealer) -> None:
    for number in range(DELETES - 1):
        deleted = Event("user.deleted", f"u{number}")
        await done(trail, Actor("caller", key="app", address=f"192.0.2.{number}"), deleted)
        await done(trail, Actor("caller", key="other"), deleted)
    await sealer.seal()
    assert await suspicious(trail) == []
    await done(trail, Actor("caller", key="app"), Event("user.deleted", "last"))
    await sealer.seal()
    assert await suspicious(trail) == [("suspicious.many_deletes", None)]
