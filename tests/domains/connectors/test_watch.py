"""Watching: which changes are told, in what order, and that a watch goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody

from server.core.errors import InvalidRequest, ResumeTokenExpired, Unavailable
from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.watch.changes import Change
from server.domains.connectors.watch.convert import response
from server.domains.users.errors import UserNotFound
from server.platforms.base import PlatformUnavailable, Throttled
from server.rpc.streams import rest_message
from server.streaming import hub as hubs
from server.streaming import tokens
from server.streaming import watches as services
from server.streaming.watches import Event as AnyEvent
from server.streaming.watches import Watches
from tests.contract.descriptors import methods
from tests.domains.connectors.sync_world import Checkpoint, World
from tests.mongodb import MongoDb
from tests.storage.databases import fresh

TIMEOUT = 30.0
WATCH = next(method for method in methods() if method.descriptor.name == "WatchConnectors")
Event = AnyEvent[Change]
Stream = AsyncGenerator[Event, None]


@asynccontextmanager
async def watching(
    world: World, user_id: str | None = None, token: str | None = None
) -> AsyncIterator[tuple[Stream, str]]:
    """An open watch, and the token of its `ready`."""
    async with aclosing(world.watches.watch(user_id, token)) as stream:
        ready = await anext(stream)
        assert ready.kind == "ready"
        yield stream, ready.resume_token


async def until(stream: Stream, done: Callable[[Event], bool]) -> list[Event]:
    """The events up to the first that is wanted, without heartbeats."""
    events = []
    async with asyncio.timeout(TIMEOUT):
        async for event in stream:
            if event.kind != "heartbeat":
                events.append(event)
            if done(event):
                return events
    raise AssertionError("the watch ended")


def ended(event: Event) -> bool:
    return event.change is not None and event.change.ended is not None


def deleted(event: Event) -> bool:
    return event.kind == "deleted"


def disconnected(event: Event) -> bool:
    return event.change is not None and event.change.connector.status == "disconnected"


def story(events: list[Event]) -> list[tuple[object, ...]]:
    """(type, status, state of the run, how a run ended) of each event."""
    found: list[tuple[object, ...]] = []
    for event in events:
        assert event.change is not None
        sync, over = event.change.sync, event.change.ended
        status = event.change.connector.status
        found.append((event.kind, status, sync and sync.state, over and over.state))
    return found


async def test_a_connection_and_its_first_sync_are_reported_step_by_step(world: World) -> None:
    async with watching(world) as (stream, _):
        connector = await world.synced("transactions", "portfolio", "profile")
        events = await until(stream, ended)
    assert story(events) == [
        ("connector", "connected", "in_progress", None),
        *[("sync", "connected", "in_progress", None)] * 4,
        ("sync", "connected", None, "success"),
    ]
    changes = [event.change for event in events if event.change]
    assert {change.connector.id for change in changes} == {connector.id}
    begun = [change.sync.started_at is not None for change in changes if change.sync]
    assert begun == [False, True, True, True, True]
    counts = [
        [count.data_type for count in change.sync.counts] for change in changes if change.sync
    ]
    assert counts == [
        [], [], ["transactions"], ["transactions", "portfolio"],
        ["transactions", "portfolio", "profile"],
    ]  # fmt: skip
    assert changes[-1].ended == connector.run_state(connector.last_sync_id or "")
    assert [event.at for event in events] == sorted(event.at for event in events)


async def test_what_has_been_fetched_can_be_read_while_the_run_goes_on(world: World) -> None:
    connector = await world.connected("transactions", "portfolio")
    claimed = await world.claim(connector.id)
    assert claimed.item.sync.run is not None
    checkpoint = Checkpoint()

    async def before_the_second() -> None:
        if world.platform.fetched:
            await checkpoint()

    world.platform.before_fetch = before_the_second
    run = asyncio.create_task(world.runner.run(claimed))
    await checkpoint.reached.wait()
    state = await world.sync_service.get(connector.id, claimed.item.sync.run.sync_id)
    assert state.state == "in_progress"
    assert [
        (count.data_type, count.records_count, count.added_count) for count in state.counts
    ] == [("transactions", 2, 2)]
    checkpoint.opened.set()
    await run


async def test_a_lost_lease_notes_nothing(world: World) -> None:
    connector = await world.connected()
    lost = await world.claim(connector.id)
    await world.make_due(connector.id)
    await world.claim(connector.id)
    before = await world.document(connector.id)
    assert not await world.syncs.keep(lost, [])
    assert await world.document(connector.id) == before


async def test_internal_changes_are_not_reported(world: World) -> None:
    connector = await world.synced("profile")
    async with watching(world) as (stream, _):
        await world.sync_service.update_settings(connector.id, 17, [], None)
        await world.make_due(connector.id)
        claimed = await world.claim(connector.id)  # told: a run begins
        for _ in range(3):
            assert await world.syncs.keep(claimed)
        await world.syncs.jobs.release(claimed)
        await world.service.disconnect(connector.id)
        events = await until(stream, ended)
    assert story(events) == [
        ("sync", "connected", "in_progress", None),
        ("connector", "disconnected", None, "cancelled"),
    ]


async def test_a_deferred_a_failed_and_an_abandoned_run(world: World) -> None:
    connector = await world.synced("profile")
    async with watching(world) as (stream, _):
        world.platform.fail_with(Throttled("Too many requests"))
        await world.sync(connector.id)
        world.platform.fail_with(PlatformUnavailable("It is down"))
        await world.make_due(connector.id)
        await world.runner.run(await world.claim(connector.id))
        first = await until(stream, ended)
        assert await world.syncs.request_run(connector.id, new_sync_id(), [])
        left = await world.claim(connector.id)
        await world.make_due(connector.id)
        taken_over = await world.claim(connector.id)
        second = await until(stream, ended)
    assert story(first) == [
        ("sync", "connected", "in_progress", None),
        ("sync", "connected", "in_progress", None),
        ("sync", "connected", "deferred", None),
        ("sync", "connected", "in_progress", None),
        ("sync", "connected", None, "failed"),
    ]
    assert story(second)[-1] == ("sync", "connected", "in_progress", "abandoned")
    change = second[-1].change
    assert change is not None
    assert change.ended is not None
    assert change.sync is not None
    assert left.item.sync.run is not None
    assert taken_over.item.sync.run is not None
    assert (change.ended.sync_id, change.sync.sync_id) == (
        left.item.sync.run.sync_id,
        taken_over.item.sync.run.sync_id,
    )


async def test_an_expired_session_and_a_deleted_user(world: World) -> None:
    connector = await world.synced("profile")
    async with watching(world, connector.user_id) as (stream, _):
        world.platform.session_over = True
        await world.sync(connector.id)
        await world.user_service.delete(connector.user_id)
        events = await until(stream, deleted)
    assert story(events)[-2:] == [
        ("connector", "expired", None, "failed"),
        ("deleted", "expired", None, None),
    ]
    gone = events[-1].change
    assert gone is not None
    assert (gone.connector.id, gone.connector.user_id) == (connector.id, connector.user_id)


async def test_a_watch_of_one_user_reports_nobody_else(world: World) -> None:
    mine = await world.synced("profile")
    async with watching(world, mine.user_id) as (stream, token):
        other = await world.synced("profile")
        await world.user_service.delete(other.user_id)
        await world.service.disconnect(mine.id)
        live = await until(stream, disconnected)
    async with watching(world, mine.user_id, token) as (stream, _):
        again = await until(stream, disconnected)
    assert story(live) == [("connector", "disconnected", None, None)]
    assert again == live


async def test_a_watch_goes_on_after_each_of_its_events(world: World) -> None:
    async with watching(world) as (stream, start):
        connector = await world.synced("transactions", "profile")
        await world.sync(connector.id)
        await world.user_service.delete(connector.user_id)
        whole = [event.resume_token for event in await until(stream, deleted)]
        assert len(whole) == len(set(whole)) > 8
        for number, token in enumerate([start, *whole[:-1]]):
            async with watching(world, token=token) as (resumed, ready):
                assert ready == token
                rest = [event.resume_token for event in await until(resumed, deleted)]
                assert rest == whole[number:]


async def test_a_token_is_good_for_any_user(world: World) -> None:
    async with watching(world) as (stream, _):
        one, two = await world.synced("profile"), await world.synced("profile")
        events = await until(
            stream, lambda event: ended(event) and _of(event) == two.user_id
        )  # fmt: skip
    last_of_one = [event for event in events if _of(event) == one.user_id][-1]
    async with watching(world, two.user_id, last_of_one.resume_token) as (stream, _):
        resumed = await until(stream, ended)
    assert resumed == [event for event in events if _of(event) == two.user_id]


def _of(event: Event) -> str | None:
    return event.change.connector.user_id if event.change else None


async def test_a_long_way_back_is_read_in_rounds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(world) as (stream, start):
        connector = await world.synced(*world.platform.data_types)
        for _ in range(3):
            await world.sync(connector.id)
        await world.service.disconnect(connector.id)
        live = await until(stream, disconnected)
        monkeypatch.setattr(services, "ROUND_CHANGES", 3)
        async with watching(world, connector.user_id, start) as (resumed, _):
            assert await until(resumed, disconnected) == live
        monkeypatch.setattr(services, "ROUND_SECONDS", 0.0)
        async with watching(world, connector.user_id, start) as (resumed, _):
            assert (await anext(resumed)).kind == "heartbeat"


async def test_changes_while_a_watch_reads_on_come_once_and_in_order(world: World) -> None:
    connector = await world.synced("profile")

    async def many() -> None:
        for _ in range(30):
            await world.sync(connector.id)
        await world.user_service.delete(connector.user_id)

    async with watching(world) as (stream, start):
        changing = asyncio.create_task(many())
        seen: list[Event] = []
        token = start
        while not (seen and deleted(seen[-1])):
            async with watching(world, token=token) as (resumed, _):
                for _ in range(7):
                    event = await anext(resumed)
                    token = event.resume_token
                    if event.change is not None:
                        seen.append(event)
                    if deleted(event):
                        break
        await changing
        assert seen == await until(stream, deleted)


async def test_reading_on_is_done_soon_also_where_nothing_happens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written while it looks for the end: it must not wait for the next write."""
    async with watching(world) as (stream, start):
        connector = await world.synced("profile")
        await until(stream, ended)
    monkeypatch.setattr(services, "HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(services, "ROUND_SECONDS", TIMEOUT)
    async with watching(world, token=start) as (resumed, _):
        feed = world.watches.hub._feed
        assert feed is not None
        assert len(feed._watchers[None]) == 1  # with its first round
        assert len(await until(resumed, ended)) > 2
    await world.service.disconnect(connector.id)
    async with watching(world) as (stream, _):  # from now on: that was before
        assert (await anext(stream)).kind == "heartbeat"


async def test_heartbeats_have_a_token_that_lacks_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "HEARTBEAT_SECONDS", 0.01)
    me = await world.user()
    async with watching(world, me) as (stream, start):
        first = await anext(stream)
        assert first.kind == "heartbeat"
        other = await world.synced("profile")  # nothing of mine, yet the place moves on

        async with asyncio.timeout(TIMEOUT):
            async for beat in stream:
                assert beat.kind == "heartbeat"
                if tokens.decode(beat.resume_token) > tokens.decode(start):
                    break
    async with watching(world, None, beat.resume_token) as (stream, _):
        await world.user_service.delete(other.user_id)
        events = await until(stream, deleted)
    assert story(events)[-1] == ("deleted", "connected", None, None)


# What it refuses


@pytest.mark.parametrize(
    "token",
    ["a", "=", "é", "abcd" * 20, "HbJH7h72gmsAQ0AAAAACKwIpKW4", "82" * 40, "\x00", "AAAA" * 3],
)
async def test_what_is_no_token_is_refused(world: World, token: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await anext(world.watches.watch(None, token))
    assert [error.field for error in caught.value.fields] == ["resumeToken"]


async def test_an_unknown_user_is_refused(world: World) -> None:
    with pytest.raises(UserNotFound):
        await anext(world.watches.watch("nobody", None))


async def test_a_place_from_before_all_that_is_kept(world: World) -> None:
    async with watching(world) as (stream, _):
        await world.connected()
        event = await anext(stream)
    # The same place in the year 2020.
    position = tokens.decode(event.resume_token)
    old = tokens.encode("82" + f"{1_577_836_800:08X}" + position[10:])
    with pytest.raises(ResumeTokenExpired):
        await anext(world.watches.watch(None, old))


async def test_a_place_whose_images_are_gone(world: World) -> None:
    async with watching(world) as (stream, token):
        connector = await world.synced("profile")
        await until(stream, ended)
    images = world.database._client.get_database("config")["system.preimages"]
    removed = await images.delete_many({"preImage.userId": connector.user_id})
    assert removed.deleted_count > 0
    with pytest.raises(ResumeTokenExpired):
        await until(world.watches.watch(None, token), ended)


# Limits, and the end


async def test_one_change_stream_serves_all_and_ends_with_the_last(world: World) -> None:
    opened = closed = 0
    follow = world.connector_changes.follow

    @asynccontextmanager
    async def counted(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
        nonlocal opened, closed
        opened += 1
        async with follow(*arguments, **options) as following:
            try:
                yield following
            finally:
                closed += 1

    world.connector_changes.follow = counted  # type: ignore[method-assign]
    streams = [world.watches.watch(None, None) for _ in range(50)]
    await asyncio.gather(*(anext(stream) for stream in streams))
    connector = await world.connected()
    first = await asyncio.gather(*(anext(stream) for stream in streams))
    assert {event.change.connector.id for event in first if event.change} == {connector.id}
    assert (opened, closed) == (1, 0)
    feed = world.watches.hub._feed
    assert feed is not None
    for stream in streams:
        await stream.aclose()
    await feed.ended()
    assert closed == 1
    assert world.watches.hub._feed is None
    assert not feed._watchers


async def test_a_watcher_that_is_cancelled_leaves_nothing_behind(world: World) -> None:
    async with watching(world):  # keeps the feed
        feed = world.watches.hub._feed
        assert feed is not None
        stream = world.watches.watch(None, None)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert len(feed._watchers[None]) == 2
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(feed._watchers[None]) == 1


async def test_one_who_reads_too_slowly_is_ended_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "MAX_QUEUED", 3)
    async with watching(world) as (slow, start), watching(world) as (quick, _):
        connector = await world.connected("profile")
        first = await anext(slow)
        reading = asyncio.create_task(until(quick, deleted))
        await world.runner.run(await world.claim(connector.id))
        await world.sync(connector.id)
        await world.user_service.delete(connector.user_id)
        everything = await reading
        with pytest.raises(Unavailable, match="too slowly"):
            await until(slow, deleted)
    assert first == everything[0]
    async with watching(world, token=first.resume_token) as (again, _):
        assert await until(again, deleted) == everything[1:]
    assert start != first.resume_token


async def test_there_is_a_limit_to_how_many_watch(world: World) -> None:
    watches = Watches(world.connector_changes, world.watches._admit, limit=2)
    streams = [watches.watch(None, None) for _ in range(2)]
    for stream in streams:
        await anext(stream)
    with pytest.raises(Unavailable, match="too many watches") as caught:
        await anext(watches.watch(None, None))
    assert caught.value.retry_after is not None
    await streams[0].aclose()
    async with aclosing(watches.watch(None, None)) as stream:
        assert (await anext(stream)).kind == "ready"
    await streams[1].aclose()


async def test_closing_ends_every_watch(world: World) -> None:
    streams = [world.watches.watch(None, None) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0)
    await world.watches.hub.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(outcome) for outcome in outcomes} == {hubs.STOPPING}
    with pytest.raises(Unavailable):
        await anext(world.watches.watch(None, None))


async def test_a_change_stream_that_breaks_ends_the_watches(mongodb: MongoDb) -> None:
    async with fresh(mongodb.uri, "pymongo") as database:
        world = World(database)
        stream = world.watches.watch(None, None)
        await anext(stream)
        await database.collection(CONNECTORS).drop()
        with pytest.raises(Unavailable, match="interrupted"):
            await anext(stream)


async def test_a_document_nobody_can_read_ends_no_watch(world: World) -> None:
    async with watching(world) as (stream, _):
        await world.database.collection(CONNECTORS).insert_one({"by": "another tool"})
        connector = await world.connected()
        event = await anext(stream)
    assert event.change is not None
    assert event.change.connector.id == connector.id


# Secrets


async def test_events_have_no_secret(world: World) -> None:
    secrets = {"https://platform.test/login", "tok_1"}
    async with watching(world) as (stream, _):
        connector = await world.synced("profile")
        secrets |= {connector.session.id or "", connector.session.sealed or ""}
        world.platform.session_over = True
        await world.sync(connector.id)  # expires, with a login prepared
        after = await world.get(connector.id)
        secrets.add(after.session.sealed_login or "")
        assert "" not in secrets
        assert len(secrets) == 5
        await world.user_service.delete(connector.user_id)
        events = await until(stream, deleted)
    assert {event.kind for event in events} == {"connector", "sync", "deleted"}
    for event in events:
        message = response(event)
        for text in (
            str(message),
            HttpBody.FromString(rest_message(WATCH, message)).data.decode(),
            repr(event),
        ):
            assert [secret for secret in secrets if secret in text] == []
            assert "sessionId" not in text
            assert "credentials" not in text
