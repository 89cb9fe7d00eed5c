"""A fault costs only what it is about: other data types come, and the rest of its own."""

from __future__ import annotations

from server.domains.connectors.model import Missing
from server.domains.connectors.records.store import RECORDS
from server.platforms.base import (
    PermissionRefused,
    PlatformDataError,
    PlatformUnavailable,
    Throttled,
)
from server.platforms.records import Item, Profile
from server.storage.driver import Document
from tests.domains.connectors.sync_world import ALL, World, holding

AWAY = PlatformUnavailable("The platform is away")


async def stored(world: World, connector_id: str) -> list[Document]:
    return (
        await world.database.collection(RECORDS).find({"connectorId": connector_id}).to_list(None)
    )


async def closed(world: World, connector_id: str) -> set[str]:
    return {each["key"] for each in await stored(world, connector_id) if "closedAt" in each}


async def test_a_reply_that_makes_no_sense_costs_no_other_data_type(world: World) -> None:
    world.platform.failures = {"portfolio": PlatformDataError("Not understood")}
    connector = await world.synced()
    assert world.platform.fetched == list(ALL)
    (entry,) = connector.history
    assert (entry.status, entry.error_code) == ("partial", "PLATFORM_DATA_ERROR")
    assert [count.data_type for count in entry.counts] == ["transactions", "trades", "profile"]
    assert entry.missing == (Missing("portfolio", "PLATFORM_DATA_ERROR", "Not understood"),)
    assert await world.kept(connector.id) == {"transactions": 2, "trades": 1, "profile": 1}


async def test_each_data_type_has_a_reason_of_its_own(world: World) -> None:
    world.platform.failures = {
        "transactions": PermissionRefused("Not allowed"),
        "portfolio": PlatformDataError("Not understood"),
        "trades": AWAY,
    }
    (entry,) = (await world.synced()).history
    assert [(each.data_type, each.code) for each in entry.missing] == [
        ("transactions", "PERMISSION_REFUSED"),
        ("portfolio", "PLATFORM_DATA_ERROR"),
        ("trades", "PLATFORM_UNAVAILABLE"),
    ]
    assert entry.error_code == "PLATFORM_UNAVAILABLE", "which a later run may bring"


async def test_a_data_type_that_comes_in_part(world: World) -> None:
    faults = [PlatformDataError("txns[].date: expected a date"), PlatformDataError("another")]
    world.platform.faults = {"transactions": faults}
    connector = await world.synced()
    (entry,) = connector.history
    assert (entry.status, entry.records_count) == ("partial", 7)
    assert [count.data_type for count in entry.counts] == list(ALL)
    message = "txns[].date: expected a date; and 1 more faults"
    assert entry.missing == (Missing("transactions", "PLATFORM_DATA_ERROR", message),)
    assert (await world.kept(connector.id))["transactions"] == 2
    # It is said each time, though nothing new is stored.
    connector = await world.sync(connector.id)
    assert (connector.history[0].missing, connector.history[0].added_count) == (entry.missing, 0)
    world.platform.faults = {}
    connector = await world.sync(connector.id)
    assert (connector.history[0].status, connector.history[0].missing) == ("success", ())


async def test_nothing_is_closed_for_not_being_in_a_part(world: World) -> None:
    connector = await world.synced("portfolio")
    world.platform.items["portfolio"] = [holding("h1"), holding("h2", 5)]
    world.platform.faults = {"portfolio": [PlatformDataError("[].quantity: expected a number")]}
    await world.sync(connector.id)
    assert await closed(world, connector.id) == set()
    # The same items as all there is: h3 is gone.
    world.platform.faults = {}
    await world.sync(connector.id)
    assert await closed(world, connector.id) == {"h3"}


async def test_a_profile_keeps_what_a_part_lacks(world: World) -> None:
    connector = await world.synced("profile")
    world.platform.items["profile"] = [Item("profile", Profile(name="Ann Other"))]
    world.platform.faults = {"profile": [PlatformDataError("fetch_credit_report: no")]}
    await world.sync(connector.id)
    data = (await stored(world, connector.id))[0]["data"]
    assert (data["name"], data["platformUserId"], data["exchanges"]) == (
        "Ann Other", "AB1234", ["NSE"],
    )  # fmt: skip
    world.platform.faults = {}
    await world.sync(connector.id)
    data = (await stored(world, connector.id))[0]["data"]
    assert (data["name"], data.get("platformUserId"), data["exchanges"]) == ("Ann Other", None, [])


async def test_a_part_is_fetched_again_if_the_run_goes_on_later(world: World) -> None:
    """Its faults are known to the worker alone that had the run."""
    world.platform.faults = {"transactions": [PlatformDataError("no date")]}
    world.platform.failures = {"trades": Throttled("Slowly")}
    connector = await world.synced("transactions", "portfolio", "trades")
    assert connector.sync.run is not None
    assert [count.data_type for count in connector.sync.run.done] == ["portfolio"]
    world.platform.failures = {}
    await world.make_due(connector.id)
    (entry,) = (await world.sync(connector.id)).history
    assert [each.data_type for each in entry.missing] == ["transactions"]
    assert (entry.status, entry.added_count) == ("partial", 6)
