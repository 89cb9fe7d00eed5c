"""Trends: every run counts once, whatever fails on the way, in whatever steps it is asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from finlink_words import PLATFORMS
from hypothesis import given
from hypothesis import strategies as st

from server.core.clock import utc_now
from server.domains.connectors.model import HistoryEntry
from server.domains.connectors.trends import convert as trend_convert
from server.domains.connectors.trends import recorder as recording
from server.domains.connectors.trends.model import (
    MOST_POINTS,
    Counts,
    Minute,
    Trends,
    Window,
    minute_of,
)
from server.domains.connectors.trends.recorder import TrendRecorder
from server.domains.connectors.trends.store import TRENDS, TrendStore
from server.platforms.base import PermissionRefused, PlatformDataError, Throttled
from server.storage.driver import Database
from tests.domains.connectors.sync_world import World
from tests.domains.connectors.waiting import eventually

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# Of what goes into MongoDB, which removes what is old.
HOUR_AGO = minute_of(utc_now()) - timedelta(hours=1)
SUCCESS = HistoryEntry(HOUR_AGO, "success")


async def total(database: Database, platform: str = "fi_money") -> Counts:
    """All that trends have of a platform."""
    found = Counts()
    for minute in sorted(await TrendStore(database).since(HOUR_AGO), key=lambda m: m.at):
        if minute.platform == platform:
            found.go_on(minute.counts)
    return found


# --- from minutes to steps -------------------------------------------------------------------------

small = st.integers(0, 3)
counts = st.builds(
    Counts,
    started=small,
    timed=small,
    late_seconds=small.map(float),
    late_seconds_max=small.map(float),
    succeeded=small,
    partial=small,
    failures=st.builds(
        Counter, st.dictionaries(st.sampled_from(["A", "B"]), st.integers(1, 3), max_size=2)
    ),
    connections=st.none() | st.fixed_dictionaries({"connected": small}),
)
minutes_around_noon = st.lists(
    st.builds(
        Minute,
        st.integers(-1500, 5).map(lambda number: NOON + number * MINUTE),
        st.sampled_from([*PLATFORMS, "another"]),
        counts,
    ),
    max_size=30,
    unique_by=lambda minute: (minute.at, minute.platform),
)
moments = st.integers(0, 3600).map(lambda second: NOON + timedelta(seconds=second))
spans = st.integers(5, 1440)


@given(moments, spans)
def test_a_window_covers_the_span_up_to_now_in_few_steps(now: datetime, span: int) -> None:
    window = Window.of(now, span)
    points = window.in_steps([])
    assert len(points) <= MOST_POINTS
    assert [point.at for point in points] == [
        window.first + number * window.step for number in range(len(points))
    ]
    assert points[-1].at <= now < points[-1].at + window.step, "the last is under way"
    assert span * MINUTE <= len(points) * window.step < span * MINUTE + window.step
    assert all(list(point.platforms) == list(PLATFORMS) for point in points)


@given(moments, spans, minutes_around_noon)
def test_no_run_is_lost_or_counted_twice(now: datetime, span: int, minutes: list[Minute]) -> None:
    window = Window.of(now, span)
    for point in window.in_steps(minutes):
        for name, found in point.platforms.items():
            within = [
                minute.counts
                for minute in sorted(minutes, key=lambda minute: minute.at)
                if minute.platform == name and point.at <= minute.at < point.at + window.step
            ]
            assert found.started == sum(each.started for each in within)
            assert found.timed == sum(each.timed for each in within)
            assert found.late_seconds == sum(each.late_seconds for each in within)
            assert found.late_seconds_max == max(
                (each.late_seconds_max for each in within), default=0
            )
            assert found.succeeded == sum(each.succeeded for each in within)
            assert found.partial == sum(each.partial for each in within)
            assert found.failures == sum((each.failures for each in within), Counter())
            assert found.failed == sum(each.failed for each in within)
            reported = [each.connections for each in within if each.connections is not None]
            assert found.connections == (reported[-1] if reported else None)


@given(moments, moments, spans, minutes_around_noon)
def test_steps_asked_for_at_any_time_fit_together(
    now: datetime, then: datetime, span: int, minutes: list[Minute]
) -> None:
    first, second = (
        {point.at: point for point in Window.of(moment, span).in_steps(minutes)}
        for moment in (now, then)
    )
    late, early = max(first, default=now), max(second, default=then)
    assert (late - early) % Window.of(now, span).step == timedelta(0)
    for at in first.keys() & second.keys():
        assert first[at] == second[at]


def test_what_was_not_seen_is_absent() -> None:
    seen = Counts(started=3, timed=2, late_seconds=5.0, late_seconds_max=4.0, partial=1)
    seen.failures.update(B=1, A=1, C=2)
    seen.connections = {"connected": 7, "error": 1}
    window = Window.of(NOON, 5)
    points = window.in_steps([Minute(NOON, "zerodha", seen)])
    message = trend_convert.trends(Trends(window.step, points))
    assert message.step_seconds == 60
    fi, kite = message.points[-1].platforms
    assert (fi.platform, kite.platform) == PLATFORMS
    assert [field.name for field, _ in fi.ListFields()] == ["platform"]
    assert (kite.connected, kite.disconnected, kite.expired, kite.error) == (7, 0, 0, 1)
    assert kite.HasField("expired")
    assert (kite.started, kite.succeeded, kite.partial, kite.failed) == (3, 0, 1, 4)
    assert (kite.late_seconds_max, kite.late_seconds_mean) == (4.0, 2.5)
    assert [(each.code, each.count) for each in kite.failures] == [("C", 2), ("A", 1), ("B", 1)]


# --- the store -------------------------------------------------------------------------------------


async def test_a_batch_counts_once_however_often_it_is_sent(world: World) -> None:
    store = TrendStore(world.database)
    minute = Minute(HOUR_AGO, "fi_money", Counts(started=2, failures=Counter(A=1)))
    for batch in (1, 1, 2, 2, 1):
        await store.add(minute, "w1", batch)
    await store.add(minute, "w2", 1)
    (found,) = await store.since(HOUR_AGO)
    assert (found.counts.started, found.counts.failures) == (6, Counter(A=3))


async def test_workers_that_meet_lose_nothing(world: World) -> None:
    store = TrendStore(world.database)
    for number in range(5):
        minute = Minute(HOUR_AGO + number * MINUTE, "fi_money", Counts(succeeded=1))
        await asyncio.gather(*(store.add(minute, f"w{worker % 10}", 1) for worker in range(20)))
    assert (await total(world.database)).succeeded == 50


async def test_it_is_kept_for_two_days(world: World) -> None:
    indexes = await world.database.collection(TRENDS).index_information()
    assert indexes["minute_1"]["expireAfterSeconds"] == 48 * 3600


# --- the recorder ----------------------------------------------------------------------------------


class Shaky(TrendStore):
    """Does not always say what it has done."""

    fails_before = False
    fails_after = False

    async def add(self, minute: Minute, worker: str, batch: int) -> None:
        if self.fails_before:
            raise TimeoutError
        await super().add(minute, worker, batch)
        if self.fails_after:
            raise TimeoutError


@pytest.mark.parametrize("way", ["fails_before", "fails_after"])
async def test_what_could_not_be_added_is_added_once(world: World, way: str) -> None:
    store = Shaky(world.database)
    recorder = TrendRecorder(store)
    recorder.ended("fi_money", SUCCESS)
    recorder.ended("zerodha", SUCCESS)
    setattr(store, way, True)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await recorder.flush()
        recorder.ended("fi_money", SUCCESS)
    setattr(store, way, False)
    await recorder.stop()
    assert (await total(world.database)).succeeded == 4
    assert (await total(world.database, "zerodha")).succeeded == 1


async def test_it_adds_by_itself_and_the_rest_at_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "FLUSH_SECONDS", 0.01)
    recorder = TrendRecorder(TrendStore(world.database))
    recorder.start()
    recorder.ended("fi_money", SUCCESS)

    async def added() -> bool:
        return (await total(world.database)).succeeded == 1

    await eventually(added, "the run")
    recorder.ended("fi_money", SUCCESS)
    await recorder.stop()
    assert (await total(world.database)).succeeded == 2


async def test_connections_are_noted_in_every_minute_and_where_they_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = TrendRecorder(TrendStore(world.database))
    for second, connected in ((0, 5), (20, 5), (40, 6), (70, 6), (130, 6)):
        monkeypatch.setattr(recording, "utc_now", lambda s=second: HOUR_AGO + timedelta(seconds=s))
        recorder.connections({("fi_money", "connected"): connected, ("zerodha", "error"): 1})
    await recorder.flush()
    found = {
        (minute.at, minute.platform): minute.counts.connections
        for minute in await TrendStore(world.database).since(HOUR_AGO)
    }
    assert found == {
        (HOUR_AGO + number * MINUTE, platform): connections
        for number in range(3)
        for platform, connections in (("fi_money", {"connected": 6}), ("zerodha", {"error": 1}))
    }


async def test_the_service_reports_what_was_just_added(world: World) -> None:
    recorder = TrendRecorder(TrendStore(world.database))
    recorder.ended("zerodha", HistoryEntry(utc_now(), "partial"))
    await recorder.flush()
    trends = await TrendStore(world.database).last(60)
    assert (trends.step, len(trends.points)) == (MINUTE, 60)
    assert sum(point.platforms["zerodha"].partial for point in trends.points) == 1


# --- runs ------------------------------------------------------------------------------------------


async def test_runs_count_as_they_end(world: World) -> None:
    connector = await world.synced()
    world.platform.failures = {"profile": PermissionRefused("Not allowed")}
    await world.sync(connector.id)
    world.platform.fail_with(PlatformDataError("Another reason"))
    await world.sync(connector.id)
    await world.recorder.flush()
    found = await total(world.database)
    assert (found.started, found.succeeded, found.partial) == (3, 1, 1)
    assert found.failures == Counter({PlatformDataError.code: 1})


async def test_a_run_that_waits_begins_once(world: World) -> None:
    world.platform.failures = {"trades": Throttled("too many calls")}
    connector = await world.connected("transactions", "trades")
    for _ in range(2):
        await world.make_due(connector.id)
        await world.sync(connector.id)
    world.platform.failures = {}
    await world.make_due(connector.id)
    await world.sync(connector.id)
    await world.recorder.flush()
    found = await total(world.database)
    assert (found.started, found.succeeded, found.failed) == (1, 1, 0)


async def test_an_abandoned_run_has_failed(world: World) -> None:
    connector = await world.connected()
    await world.claim(connector.id)  # by a worker that dies
    await world.make_due(connector.id)
    await world.sync(connector.id)
    await world.recorder.flush()
    found = await total(world.database)
    assert (found.succeeded, found.failures) == (1, Counter({"RUN_ABANDONED": 1}))


async def test_how_late_runs_begin(world: World) -> None:
    connector = await world.synced()
    late = timedelta(minutes=10)
    await world.recorder.flush()
    before = await total(world.database)
    due = utc_now() - late
    await world.change(connector.id, {"connectionDetails.nextSyncAt": due, "sync.dueAt": due})
    await world.runner.run(await world.claim(connector.id))
    await world.recorder.flush()
    found = await total(world.database)
    assert found.timed == before.timed + 1
    assert found.late_seconds_max >= late.total_seconds()
    assert found.late_seconds - before.late_seconds == pytest.approx(found.late_seconds_max)
    newest = max(minute.at for minute in await TrendStore(world.database).since(HOUR_AGO))
    assert newest >= minute_of(due) + late, "it counts when it began"
