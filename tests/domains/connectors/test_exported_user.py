"""What the export of a user reads: all of it, page by page, while others write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from server.core.pages import PageRequest
from server.domains.audit.service import AuditService
from server.domains.connectors.export import service as export
from server.domains.connectors.export.service import ConnectorExport
from server.domains.connectors.model import Connector
from server.domains.exports.service import ExportService
from server.domains.users.errors import UserNotFound
from server.domains.users.service import UserDirectory
from server.kernel import UserExporter
from server.storage.audit import AUDIT_EVENTS
from tests.domains.connectors.sync_world import ALL, World, transaction


@pytest.fixture
def exports(world: World, monkeypatch: pytest.MonkeyPatch) -> ExportService:
    """What a worker exports of users, in pages of three."""
    monkeypatch.setattr(export, "PAGE", 3)
    monkeypatch.setattr("server.domains.audit.service.EXPORT_PAGE", 2)
    exporters: list[UserExporter] = [
        world.user_service,
        ConnectorExport(world.connectors, world.records),
        AuditService(world.trail),
    ]
    return ExportService(world.changes, UserDirectory(world.users), exporters)


async def synced(world: World, transactions: int = 10) -> Connector:
    names = [f"t{number}" for number in range(transactions)]
    world.platform.items["transactions"] = [transaction(name) for name in names]
    return await world.synced("transactions")


async def _rest(stream: AsyncIterator[tuple[str, Any]], parts: list[tuple[str, Any]]) -> None:
    """What came before it failed is in `parts` too."""
    async for part in stream:
        parts.append(part)  # noqa: PERF401


async def exported(exports: ExportService, user_id: str) -> list[tuple[str, Any]]:
    return [part async for part in exports.export(user_id)]


def of(kind: str, parts: list[tuple[str, Any]]) -> list[Any]:
    return [value for each, value in parts if each == kind]


async def test_every_page_of_everything(world: World, exports: ExportService) -> None:
    connector, other = await synced(world), await synced(world)
    parts = await exported(exports, connector.user_id)
    assert [kind for kind, _ in parts] == [
        "user", "connector", *["record"] * 10, *["audit_event"] * 2,
    ]  # fmt: skip
    assert of("connector", parts) == [connector]
    records = [value.record for value in of("record", parts)]
    listed, _ = await world.sync_service.records(connector.id, None, PageRequest(limit=100))
    assert records == listed
    assert {value.connector_id for value in of("record", parts)} == {connector.id}
    actions = [event["action"] for event in of("audit_event", parts)]
    assert actions == ["user.exported", "connector.connected"]
    assert other.user_id not in str(parts)


async def test_an_unknown_user_is_not_exported_and_nothing_is_recorded(
    world: World, exports: ExportService
) -> None:
    with pytest.raises(UserNotFound):
        await anext(exports.export("nobody"))
    where = {"action": "user.exported"}
    assert await world.database.collection(AUDIT_EVENTS).count_documents(where) == 0


async def test_it_is_recorded_before_anything_is_returned(
    world: World, exports: ExportService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(event: object, session: object = None) -> None:
        raise RuntimeError("no trail")

    connector = await synced(world)
    monkeypatch.setattr(world.trail, "add", broken)
    with pytest.raises(RuntimeError):
        await anext(exports.export(connector.user_id))


@pytest.mark.parametrize("after", [0, 4, 11])
async def test_a_user_deleted_meanwhile_ends_it(
    world: World, exports: ExportService, after: int
) -> None:
    """Nothing is read of what has become unreadable, and the end does not look like one."""
    connector = await synced(world)
    stream = exports.export(connector.user_id)
    parts = [await anext(stream) for _ in range(after + 1)]
    await world.user_service.delete(connector.user_id)
    with pytest.raises(UserNotFound):
        await _rest(stream, parts)
    # No further page was read.
    assert len(of("record", parts)) <= -(-max(0, after - 1) // 3) * 3


async def test_somebody_else_of_the_same_name_is_not_the_user(
    world: World, exports: ExportService
) -> None:
    connector = await synced(world)
    stream = exports.export(connector.user_id)
    await anext(stream)
    user = await world.user_service.get(connector.user_id)
    await world.user_service.delete(connector.user_id)
    await world.user_named(user.user_id)
    with pytest.raises(UserNotFound):
        async for _ in stream:
            pass


async def test_records_erased_meanwhile_are_given_no_more(
    world: World, exports: ExportService
) -> None:
    connector = await synced(world)
    parts = []
    async with aclosing(exports.export(connector.user_id)) as stream:
        async for part in stream:
            parts.append(part)
            if len(parts) == 3:  # in the first page
                await world.service.disconnect(connector.id, delete_records=True)
                await world.connect(connector.user_id, connector.platform, ALL, {})
    assert len(of("record", parts)) == 3
    assert of("audit_event", parts)
